//! The gateway speaking for itself at one instance, in whichever era the instance understands.
//!
//! A server that does not say which eras it speaks is asked: `server/discover` first, and `initialize` when that is not
//! understood, whatever the refusal looks like: servers of the session era refuse an unknown method in many ways (MCP
//! 2026-07-28, versioning, backward compatibility).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::value::RawValue;
use weft_wire::{code, headers, splice::quote, version::Version};

mod ask;

use ask::{Asked, ask, ask_with_headers};

use super::{
    Instance,
    exchange::{self, Answer, Events, Outgoing},
    spoken::Eras,
};
use crate::{authenticate::Caller, sampling, settings::sampling::Sampled};

/// Why a server cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TalkError {
    #[error("{0}")]
    Lost(String),
    #[error("{0} was answered with: {1}")]
    Refused(&'static str, String),
}

/// One question may take this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a server introduced itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// Raw JSON of its capabilities.
    pub(crate) capabilities: String,
    /// Raw JSON of its name and version.
    pub(crate) info: Option<String>,
    pub(crate) instructions: Option<String>,
}

/// A conversation with one instance.
#[derive(Debug)]
pub(crate) struct Talk {
    instance: Arc<Instance>,
    /// The session era, and the session if the server keeps one.
    session: Option<(Version, Option<String>)>,
    pub(crate) about: About,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered<'a> {
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    instructions: Option<String>,
    #[serde(default)]
    supported_versions: Vec<String>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<DiscoveredMeta<'a>>,
}

#[derive(Deserialize)]
struct DiscoveredMeta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/serverInfo")]
    info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized<'a> {
    protocol_version: String,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    instructions: Option<String>,
    #[serde(borrow)]
    server_info: Option<&'a RawValue>,
}

fn raw(value: Option<&RawValue>) -> Option<String> {
    value.map(|value| value.get().to_owned())
}

impl Talk {
    /// Begins in the era that the instance speaks, which is learned where it is not known.
    pub(crate) async fn begin(instance: &Arc<Instance>) -> Result<Self, TalkError> {
        match instance.spoken.eras() {
            Some(eras) if eras.stateless => match Self::discover(instance).await {
                Err(TalkError::Refused(..)) if instance.info.era == weft_mesh::PeerEra::Unknown => {
                    // It has been exchanged for another one.
                    instance.spoken.forget();
                    Self::initialize(instance).await
                }
                other => other,
            },
            Some(_) => match Self::initialize(instance).await {
                Err(TalkError::Refused(..)) if instance.info.era == weft_mesh::PeerEra::Unknown => {
                    instance.spoken.forget();
                    Self::discover(instance).await
                }
                other => other,
            },
            None => match Self::discover(instance).await {
                Err(TalkError::Refused(..)) => Self::initialize(instance).await,
                other => other,
            },
        }
    }

    async fn discover(instance: &Arc<Instance>) -> Result<Self, TalkError> {
        const METHOD: &str = "server/discover";
        let result = match ask(instance, METHOD, &question_of(METHOD, "", instance.sampled)).await {
            Err(Asked::Error { code, text }) => {
                if (code::UNSUPPORTED_VERSION..=code::HEADER_MISMATCH).contains(&code) {
                    instance.spoken.learn(Eras::STATELESS);
                }
                return Err(TalkError::Refused(METHOD, text));
            }
            other => other?,
        };
        let found: Discovered<'_> =
            serde_json::from_str(&result).map_err(|error| TalkError::Refused(METHOD, error.to_string()))?;
        // A server of the session era that echoes whatever it is asked has no capabilities to tell.
        let capabilities = raw(found.capabilities).ok_or_else(|| TalkError::Refused(METHOD, shortened(&result)))?;
        if instance.spoken.eras().is_none() {
            let listed = Eras::of_versions(&found.supported_versions);
            // Some list versions that their SDK knows and they do not serve.
            let both = listed.session && Box::pin(Self::initialize(instance)).await.is_ok();
            instance.spoken.learn(Eras { session: both, ..listed });
        }
        let about =
            About { capabilities, info: raw(found.meta.and_then(|meta| meta.info)), instructions: found.instructions };
        Ok(Self { instance: Arc::clone(instance), session: None, about })
    }

    async fn initialize(instance: &Arc<Instance>) -> Result<Self, TalkError> {
        const METHOD: &str = "initialize";
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"weft","method":"initialize","params":{{"protocolVersion":"{}","capabilities":{},"clientInfo":{}}}}}"#,
            Version::LATEST_SESSION.as_str(),
            sampling::declared(instance.sampled, "{}"),
            own_info()
        );
        let asking = plain(body.into(), Version::LATEST_SESSION, None);
        let (result, answer_headers) = ask_with_headers(instance, METHOD, &asking).await?;
        let found: Initialized<'_> =
            serde_json::from_str(&result).map_err(|error| TalkError::Refused(METHOD, error.to_string()))?;
        let version = Version::parse(&found.protocol_version).unwrap_or(Version::LATEST_SESSION);
        let token = answer_headers.get(headers::SESSION_ID).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let ready = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let ready = plain(ready, version, token.clone());
        let told = tokio::time::timeout(PATIENCE, exchange::exchange(instance, &ready)).await;
        let lost = |why: &str| TalkError::Lost(why.to_owned());
        told.map_err(|_| lost("it did not take the end of the handshake in time"))?
            .map_err(|error| lost(error.why()))?;
        if instance.spoken.eras().is_none() {
            instance.spoken.learn(Eras::SESSION);
        }
        let about = About {
            capabilities: raw(found.capabilities).unwrap_or_else(|| "{}".into()),
            info: raw(found.server_info),
            instructions: found.instructions,
        };
        Ok(Self { instance: Arc::clone(instance), session: Some((version, token)), about })
    }

    /// True when lists come without a hint of how long they hold.
    pub(crate) const fn is_session_era(&self) -> bool {
        self.session.is_some()
    }

    /// Asks; gives the raw JSON of the result. `params` are members with a comma behind each.
    pub(crate) async fn ask(&self, method: &'static str, params: &str) -> Result<String, TalkError> {
        let outgoing = match &self.session {
            None => question_of(method, params, self.instance.sampled),
            Some((version, token)) => {
                let params = params.trim_end_matches(',');
                let body =
                    format!(r#"{{"jsonrpc":"2.0","id":"weft","method":{},"params":{{{params}}}}}"#, quote(method));
                plain(body.into(), *version, token.clone())
            }
        };
        Ok(ask(&self.instance, method, &outgoing).await?)
    }

    /// Opens the server's stream of list changes; none when it has no such thing.
    pub(crate) async fn listen(&self) -> Option<Events> {
        let asking = match &self.session {
            None => {
                let wish = r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true},"#;
                question("subscriptions/listen", wish)
            }
            Some(_) if !self.about.capabilities.contains("listChanged") => return None,
            Some((_, None)) => return None,
            Some((version, token)) => {
                let mut asking = plain(Bytes::new(), *version, token.clone());
                asking.verb = Method::GET;
                asking
            }
        };
        match tokio::time::timeout(Duration::from_secs(5), exchange::exchange(&self.instance, &asking)).await {
            Ok(Ok(Answer::Events { body, .. })) => Some(Events::new(body, 1 << 20)),
            _ => None,
        }
    }
}

impl Drop for Talk {
    /// Ends the session at the server, so that nothing is left of the conversation.
    fn drop(&mut self) {
        let Some((version, Some(token))) = self.session.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let instance = Arc::clone(&self.instance);
        let mut farewell = plain(Bytes::new(), version, Some(token));
        farewell.verb = Method::DELETE;
        runtime.spawn(async move {
            // The server forgets it in time if this does not arrive.
            let _ = tokio::time::timeout(PATIENCE, exchange::exchange(&instance, &farewell)).await;
        });
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

fn own_info() -> String {
    format!(r#"{{"name":"weft-gateway","version":"{}"}}"#, env!("CARGO_PKG_VERSION"))
}

/// A request of the gateway itself, in the stateless era; `params` are members with a comma behind each.
pub(crate) fn question(method: &str, params: &str) -> Outgoing {
    question_of(method, params, Sampled::Never)
}

/// The same to a server whose own questions to a model are answered: some offer tools that need it to nobody else.
fn question_of(method: &str, params: &str, sampled: Sampled) -> Outgoing {
    let version = Version::LATEST;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"weft","method":{},"params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/clientCapabilities":{}}}}}}}"#,
        quote(method),
        version.as_str(),
        own_info(),
        sampling::declared(sampled, "{}")
    );
    Outgoing { method: Some(method.to_owned()), ..plain(body.into(), version, None) }
}

fn plain(body: Bytes, version: Version, session: Option<String>) -> Outgoing {
    Outgoing {
        verb: Method::POST,
        body,
        version,
        method: None,
        name: None,
        session,
        client: Arc::new(HeaderMap::new()),
        caller: Caller::gateway(),
        traced: Vec::new(),
    }
}
