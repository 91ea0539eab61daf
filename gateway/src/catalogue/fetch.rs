//! Asks one service for everything it offers, all pages of all lists, in the stateless era.
//!
//! This is the gateway speaking for itself: it takes no ticket and no caller's rate, and one instance answers the whole
//! round, so that the pages belong together.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::value::RawValue;
use weft_balance::Outcome;
use weft_wire::{splice::quote, version::Version};

use super::{
    Kind,
    shelf::{Page, Shelf},
};
use crate::upstream::{
    Instance, Service, Upstreams,
    exchange::{self, Outgoing},
};

/// Why a service's entries could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no instance of it can be tried")]
    NoInstance,
    #[error("{0}")]
    Lost(String),
    #[error("{0} was answered with: {1}")]
    Refused(&'static str, String),
    #[error("it lists more than {0} entries; raise catalogue.entries or let it offer fewer")]
    TooMany(usize),
}

/// One question may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A cursor that leads nowhere new must not be followed for ever.
const PAGES: usize = 1000;

#[derive(Deserialize)]
struct Discovered<'a> {
    #[serde(borrow, default)]
    capabilities: Capabilities<'a>,
    instructions: Option<String>,
}

#[derive(Deserialize, Default)]
struct Capabilities<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    prompts: Option<&'a RawValue>,
    #[serde(borrow)]
    resources: Option<&'a RawValue>,
}

/// Everything that `service` offers now.
pub(crate) async fn shelf(upstreams: &Upstreams, service: &Service, entries: usize) -> Result<Shelf, FetchError> {
    let group = service.group();
    let pick = group.pool.pick(upstreams.now(), fastrand::u64(..), None, &[]).map_err(|_| FetchError::NoInstance)?;
    let instance = &group.instances[pick.index];
    group.pool.begin(&pick, upstreams.now());
    let began = std::time::Instant::now();
    let fetched = all(instance, entries).await;
    let latency = began.elapsed();
    let outcome = match &fetched {
        Err(FetchError::Lost(_)) => Outcome::Failure { latency, retry_after: None },
        _ => Outcome::Success { latency },
    };
    group.pool.finish(&pick, upstreams.now(), outcome);
    let mut shelf = fetched?;
    shelf.schemes.clone_from(&instance.info.schemes);
    Ok(shelf)
}

async fn all(instance: &Instance, entries: usize) -> Result<Shelf, FetchError> {
    let discovered = ask(instance, "server/discover", "").await?;
    let discovered: Discovered<'_> =
        serde_json::from_str(&discovered).map_err(|error| FetchError::Refused("server/discover", error.to_string()))?;
    let mut shelf = Shelf { instructions: discovered.instructions.clone(), ttl_ms: u64::MAX, ..Shelf::default() };
    let capabilities = &discovered.capabilities;
    let lists = [
        (capabilities.tools, "tools/list"),
        (capabilities.prompts, "prompts/list"),
        (capabilities.resources, "resources/list"),
        (capabilities.resources, "resources/templates/list"),
    ];
    let mut room = entries;
    for (_, method) in lists.iter().filter(|(offered, _)| offered.is_some()) {
        pages(instance, method, &mut shelf, &mut room).await?;
        if room == 0 {
            return Err(FetchError::TooMany(entries));
        }
    }
    if shelf.ttl_ms == u64::MAX {
        shelf.ttl_ms = 0;
    }
    Ok(shelf)
}

async fn pages(
    instance: &Instance,
    method: &'static str,
    shelf: &mut Shelf,
    room: &mut usize,
) -> Result<(), FetchError> {
    debug_assert!(Kind::of(method).is_some());
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let result = match ask(instance, method, &cursor).await {
            // A server without templates may say so with an error: the other lists still count.
            Err(FetchError::Refused(..)) if method == "resources/templates/list" => return Ok(()),
            other => other?,
        };
        let page: Page<'_> =
            serde_json::from_str(&result).map_err(|error| FetchError::Refused(method, error.to_string()))?;
        *room = room.saturating_sub(shelf.add(&page));
        match page.next_cursor {
            Some(next) if *room > 0 => cursor = format!(r#""cursor":{},"#, quote(&next)),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// One question; gives the raw JSON of its result.
async fn ask(instance: &Instance, method: &'static str, params: &str) -> Result<String, FetchError> {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let asked = async {
        let answer = exchange::exchange(instance, &question(method, params)).await?;
        exchange::response(answer, 32 << 20).await
    };
    let (_, body) = tokio::time::timeout(PATIENCE, asked)
        .await
        .map_err(|_| FetchError::Lost("it did not answer in time".into()))?
        .map_err(|error| FetchError::Lost(error.why().to_owned()))?;
    let response: Response<'_> =
        serde_json::from_slice(&body).map_err(|error| FetchError::Refused(method, error.to_string()))?;
    match (response.result, response.error) {
        (Some(result), None) => Ok(result.get().to_owned()),
        (_, Some(error)) => Err(FetchError::Refused(method, error.get().chars().take(300).collect())),
        (None, None) => Err(FetchError::Refused(method, "neither result nor error".into())),
    }
}

/// A request of the gateway itself, in the stateless era; `params` are members with a comma behind each.
pub(crate) fn question(method: &str, params: &str) -> Outgoing {
    let version = Version::LATEST;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"weft","method":{},"params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientInfo":{{"name":"weft-gateway","version":"{}"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#,
        quote(method),
        version.as_str(),
        env!("CARGO_PKG_VERSION")
    );
    Outgoing {
        verb: Method::POST,
        body: Bytes::from(body),
        version,
        method: Some(method.to_owned()),
        name: None,
        session: None,
        correlation: None,
        client: Arc::new(HeaderMap::new()),
        caller: "weft-gateway".into(),
    }
}
