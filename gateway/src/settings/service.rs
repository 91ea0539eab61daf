//! One service: what is different for it, and, for a server that is in no registry, where it is.

use std::{collections::BTreeMap, path::PathBuf};

use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_mesh::{PeerEra, ServiceId};
use weft_settings::Reference;

/// A `[[service]]`. Without `url`, `urls`, `sse`, `command` or `openapi` it is one that the registry knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSettings {
    /// Its name: what its tools' names begin with.
    pub name: String,
    /// Where it is, for one instance: `https://HOST/PATH` (Streamable HTTP).
    pub url: Option<String>,
    /// Where it is, for several instances.
    pub urls: Vec<String>,
    /// Where it is, when it speaks the HTTP+SSE transport of 2024-11-05.
    pub sse: Option<String>,
    /// The program of a stdio server, and its arguments. It is started by the gateway and by nothing that comes over the network.
    pub command: Vec<String>,
    /// Variables of that program, each by reference (`env:NAME`, `file:PATH`, `text:VALUE`); it gets no others but `PATH` and `HOME`.
    pub env: BTreeMap<String, Reference>,
    /// The directory that the program runs in.
    pub directory: Option<PathBuf>,
    /// One program for each `session` (the usual), for each `caller`, or one `shared` by all.
    pub sharing: Option<String>,
    /// Programs at once.
    pub children: Option<usize>,
    /// An OpenAPI 3 document (a file): its operations become tools.
    pub openapi: Option<PathBuf>,
    /// Where the API of the document is, when the document does not say.
    pub base: Option<String>,
    /// Headers of every request to it, each by reference (`env:NAME`, `file:PATH`, `text:VALUE`).
    pub headers: BTreeMap<String, Reference>,
    /// Certificate authorities (PEM) that vouch for it, besides those of the system.
    pub ca: Option<PathBuf>,
    /// The eras that it speaks: `session`, `stateless` or `dual`; asked of the server without it.
    pub era: Option<String>,
    /// `round_robin`, `least_connections` or `consistent_hash`, instead of what the service asks for.
    pub policy: Option<String>,
    /// What places a call on the ring of `consistent_hash`: `session` (the caller where there is none), `caller`,
    /// `argument:<name>` or `header:<name>`.
    pub key: Option<String>,
    /// The SPIFFE URI that its instances must prove; that of the same mesh with the service's name without it.
    pub identity: Option<String>,
    /// Whether slow calls are hedged.
    pub hedge: Option<bool>,
    /// One call, from its first attempt to the last byte, seconds.
    pub call_seconds: Option<u64>,
    /// Calls in flight at this service; more are shed. No limit of its own without it.
    pub concurrency: Option<usize>,
    /// Let the limit follow what latency says, with `concurrency` as its upper bound.
    pub adaptive: bool,
    /// Whether what its tools say of themselves (`readOnlyHint`) decides what readers may call. Without it: only of the servers that
    /// come with Weft, where they prove to be of the mesh.
    pub trusted: Option<bool>,
    /// Which of its tools are shown, and how.
    pub tools: super::Shape,
}

/// Not a short form of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no service; write NAME=URL, NAME=sse+URL or 'NAME=PROGRAM ARGUMENTS…'")]
pub struct InvalidService(pub String);

/// The short form: `NAME=URL`, `NAME=sse+URL`, or `NAME=PROGRAM ARGUMENTS…` with words as a shell takes them apart.
impl std::str::FromStr for ServiceSettings {
    type Err = InvalidService;

    fn from_str(text: &str) -> Result<Self, InvalidService> {
        let wrong = || InvalidService(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let mut service = Self { name: name.trim().to_owned(), ..Self::default() };
        let is_url = |text: &str| text.starts_with("http://") || text.starts_with("https://");
        match rest.strip_prefix("sse+").filter(|rest| is_url(rest)) {
            Some(url) => service.sse = Some(url.to_owned()),
            None if is_url(rest) => service.url = Some(rest.to_owned()),
            None => service.command = shlex::split(rest).filter(|words| !words.is_empty()).ok_or_else(wrong)?,
        }
        Ok(service)
    }
}

impl ServiceSettings {
    /// The addresses of its instances, where they are said here.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.url.iter().chain(&self.urls).map(String::as_str)
    }

    /// True when the settings say where it is; false when the registry must.
    pub fn is_found_here(&self) -> bool {
        self.addresses().next().is_some() || self.sse.is_some() || !self.command.is_empty() || self.openapi.is_some()
    }

    /// The eras that it speaks, as far as is said.
    pub fn peer_era(&self) -> PeerEra {
        match self.era.as_deref() {
            Some("session") => PeerEra::Session,
            Some("stateless") => PeerEra::Stateless,
            Some("dual") => PeerEra::Dual,
            _ => PeerEra::Unknown,
        }
    }

    fn check(&self, say: &mut impl FnMut(String)) {
        if let Err(error) = self.name.parse::<ServiceId>() {
            say(format!(": {error}"));
        }
        let http = usize::from(self.addresses().next().is_some());
        let sources = http
            + usize::from(self.sse.is_some())
            + usize::from(!self.command.is_empty())
            + usize::from(self.openapi.is_some());
        if sources > 1 {
            say(": give one of url (or urls), sse, command and openapi".into());
        }
        for url in self.addresses().chain(self.sse.as_deref()).chain(self.base.as_deref()) {
            if let Err(why) = address(url) {
                say(format!(": {url:?} {why}"));
            }
        }
        if let Some(era) = self.era.as_deref().filter(|era| !matches!(*era, "auto" | "session" | "stateless" | "dual"))
        {
            say(format!(".era: {era:?} is none; write auto, session, stateless or dual"));
        }
        if let Some(sharing) = self.sharing.as_deref().filter(|it| !matches!(*it, "session" | "caller" | "shared")) {
            say(format!(".sharing: {sharing:?} is none; write session, caller or shared"));
        }
        for name in self.headers.keys().filter(|name| http::HeaderName::try_from(name.as_str()).is_err()) {
            say(format!(".headers: {name:?} is no name of a header"));
        }
        self.check_balance(say);
    }

    fn check_balance(&self, say: &mut impl FnMut(String)) {
        if let Some(Err(error)) = self.policy.as_deref().map(str::parse::<weft_balance::Policy>) {
            say(format!(".policy: {error}"));
        }
        if let Some(Err(error)) = self.key.as_deref().map(str::parse::<Key>) {
            say(format!(".key: {error}"));
        }
        if self.concurrency == Some(0) || self.children == Some(0) {
            say(": concurrency and children must be at least 1".into());
        }
        if self.adaptive && self.concurrency.is_none() {
            say(".adaptive needs concurrency as its upper bound".into());
        }
    }
}

/// The parts of `http[s]://HOST[:PORT][/PATH]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) authority: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
}

/// Takes an address apart.
pub(crate) fn address(url: &str) -> Result<Address, &'static str> {
    const FORM: &str = "is no address of a server; write http://HOST:PORT/PATH or https://HOST/PATH";
    let uri: Uri = url.parse().map_err(|_| FORM)?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(FORM),
    };
    let authority = uri.authority().ok_or(FORM)?;
    if authority.as_str().contains('@') {
        return Err("holds a password; name it in headers, by reference");
    }
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let path = uri.path_and_query().map_or("/mcp", |path| if path.as_str() == "/" { "/mcp" } else { path.as_str() });
    Ok(Address { tls, authority: authority.to_string(), host, port, path: path.to_owned() })
}

/// What places a call on the ring.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Key {
    #[default]
    Session,
    Caller,
    Argument(String),
    Header(String),
}

impl std::str::FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "session" => Ok(Self::Session),
            None if text == "caller" => Ok(Self::Caller),
            Some(("argument", name)) if !name.is_empty() => Ok(Self::Argument(name.to_owned())),
            Some(("header", name)) if http::HeaderName::try_from(name).is_ok() => {
                Ok(Self::Header(name.to_ascii_lowercase()))
            }
            _ => Err(format!("{text:?} is no key; write session, caller, argument:<name> or header:<name>")),
        }
    }
}

pub(super) fn check(services: &[ServiceSettings], wrong: &mut Vec<String>) {
    for (at, settings) in services.iter().enumerate() {
        if services[..at].iter().any(|before| before.name == settings.name) {
            wrong.push(format!("service {:?} stands twice; put all of it into one [[service]]", settings.name));
        }
        settings.check(&mut |what| wrong.push(format!("service {:?}{what}", settings.name)));
        settings.tools.check(&format!("service {:?}: tools", settings.name), wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_is_an_address_or_a_program() {
        let of = |text: &str| text.parse::<ServiceSettings>().unwrap();
        assert_eq!(of("a=https://h/mcp").url.as_deref(), Some("https://h/mcp"));
        assert_eq!(of("a=sse+http://h/sse").sse.as_deref(), Some("http://h/sse"));
        assert_eq!(of("a=python3 'my server.py' --x=1").command, ["python3", "my server.py", "--x=1"]);
        for bad in ["a", "a=", "a='open"] {
            assert!(bad.parse::<ServiceSettings>().unwrap_err().to_string().contains("NAME=URL"), "{bad}");
        }
    }

    #[test]
    fn an_address_falls_into_its_parts() {
        let whole = address("https://api.example/v1/mcp?x=1").unwrap();
        assert_eq!((whole.tls, &*whole.authority, &*whole.host), (true, "api.example", "api.example"));
        assert_eq!((whole.port, &*whole.path), (443, "/v1/mcp?x=1"));
        let local = address("http://[::1]:9/").unwrap();
        assert_eq!((&*local.host, local.port, &*local.path), ("::1", 9, "/mcp"));
        for bad in ["ftp://x/", "api.example", "https://", "https://user:secret@api.example/"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn everything_wrong_with_a_service_is_said_at_once() {
        let both = ServiceSettings {
            name: "Not a name".into(),
            url: Some("nowhere".into()),
            command: vec!["x".into()],
            era: Some("old".into()),
            key: Some("moon".into()),
            ..ServiceSettings::default()
        };
        let mut wrong = Vec::new();
        check(&[both.clone(), both], &mut wrong);
        for part in ["a-z", "give one of", "no address", ".era", ".key", "stands twice"] {
            assert!(wrong.iter().any(|line| line.contains(part)), "{part}: {wrong:?}");
        }
    }
}
