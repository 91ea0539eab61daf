//! Step 2: the outermost check of a request, before anything is read: is this place, this host, this origin ours.
//!
//! Host and Origin are checked against DNS rebinding: a web page must not reach a gateway on the reader's own machine
//! through a name it controls (MCP 2026-07-28, Streamable HTTP, security warning).

use std::{net::IpAddr, str::FromStr as _, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Uri, header, request::Parts};
use weft_identity::Served;
use weft_mesh::ServiceId;

use crate::{refusal::Refusal, settings::Doors};

/// Which view of the mesh a path shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Surface {
    /// `/mcp`: all services, names prefixed.
    Aggregate,
    /// `/mcp/<service>`: one service, its own names.
    Service(ServiceId),
    /// `/mcp/v/<name>`: a part of the mesh, names prefixed. Whether there is such a server is not known at the door.
    Virtual(Arc<str>),
}

/// What the HTTP method asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A message.
    Post,
    /// The session's stream.
    Get,
    /// The end of a session.
    Delete,
    /// A browser asking for permission.
    Preflight,
}

/// What may stand behind a door: what the settings allow, and what we are called anyway.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) doors: &'a Doors,
    /// The address that we listen on. A page of somebody else has a name, so an address is none that it could have brought here.
    pub(crate) listen: IpAddr,
    /// The certificate that clients see: nobody else has one for its names.
    pub(crate) tls: Option<&'a Served>,
}

impl Known<'_> {
    /// Host and port that clients on other machines can use, as far as we know of any.
    pub(crate) fn address(self, port: u16) -> String {
        let listen = (!self.listen.is_unspecified()).then(|| self.listen.to_string());
        let covered = |host: &String| self.tls.is_none_or(|tls| tls.covers(host));
        let told = listen.iter().chain(&self.doors.hosts).find(|host| covered(host)).cloned();
        let host = told.or_else(|| self.tls.and_then(Served::host)).unwrap_or_else(|| self.listen.to_string());
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// Opens the door, or says why not.
pub(crate) fn enter(parts: &Parts, known: Known<'_>) -> Result<(Surface, Verb), Refusal> {
    check(&parts.uri, &parts.headers, known)?;
    let surface = surface(parts.uri.path())?;
    let verb = match parts.method {
        Method::POST => Verb::Post,
        Method::GET => Verb::Get,
        Method::DELETE => Verb::Delete,
        Method::OPTIONS if parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) => Verb::Preflight,
        _ => return Err(Refusal::MethodNotAllowed),
    };
    Ok((surface, verb))
}

/// Notes the host where HTTP/1.1 has it: HTTP/2 says it in the address, which is lost when a request becomes another one.
pub(crate) fn note_host(parts: &mut Parts) {
    if parts.headers.contains_key(header::HOST) {
        return;
    }
    let named = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = named {
        parts.headers.insert(header::HOST, host);
    }
}

/// Host and Origin alone.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap, known: Known<'_>) -> Result<(), Refusal> {
    host(uri, headers, known)?;
    origin(headers, known.doors)
}

/// The path of an endpoint.
pub(crate) fn path(surface: &Surface) -> String {
    match surface {
        Surface::Aggregate => "/mcp".to_owned(),
        Surface::Service(service) => format!("/mcp/{service}"),
        Surface::Virtual(name) => format!("/mcp/v/{name}"),
    }
}

/// The endpoint that a path below `prefix` names: the aggregate or one service.
pub(crate) fn below(prefix: &str, path: &str) -> Result<Surface, Refusal> {
    let rest = path.strip_prefix(prefix).ok_or(Refusal::NotFound)?;
    surface(&format!("/mcp{rest}"))
}

fn surface(path: &str) -> Result<Surface, Refusal> {
    let rest = path.strip_prefix("/mcp").ok_or(Refusal::NotFound)?;
    match rest.strip_suffix('/').unwrap_or(rest) {
        "" => Ok(Surface::Aggregate),
        service => {
            let name = service.strip_prefix('/').ok_or(Refusal::NotFound)?;
            // A service may be called `v`: its own endpoint has nothing behind its name.
            let named = |name| ServiceId::from_str(name).map_err(|_| Refusal::NotFound);
            match name.strip_prefix("v/") {
                Some(name) => named(name).map(|name| Surface::Virtual(name.as_ref().into())),
                None => named(name).map(Surface::Service),
            }
        }
    }
}

fn host(uri: &Uri, headers: &HeaderMap, known: Known<'_>) -> Result<(), Refusal> {
    let name = match headers.get(header::HOST) {
        Some(value) => value.to_str().map_err(|_| Refusal::Host)?,
        None => uri.authority().map(http::uri::Authority::as_str).ok_or(Refusal::Host)?,
    };
    let authority = http::uri::Authority::from_str(name).map_err(|_| Refusal::Host)?;
    let bare = bare_host(authority.host());
    let allowed = is_local(bare)
        || known.doors.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(bare))
        || known.tls.is_some_and(|tls| tls.covers(bare))
        || IpAddr::from_str(bare).is_ok_and(|address| address == known.listen && !address.is_unspecified());
    if allowed { Ok(()) } else { Err(Refusal::Host) }
}

fn origin(headers: &HeaderMap, doors: &Doors) -> Result<(), Refusal> {
    let Some(value) = headers.get(header::ORIGIN) else { return Ok(()) };
    let text = value.to_str().map_err(|_| Refusal::Origin)?;
    if doors.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(text)) {
        return Ok(());
    }
    let uri = Uri::from_str(text).map_err(|_| Refusal::Origin)?;
    match uri.host() {
        Some(host) if is_local(bare_host(host)) => Ok(()),
        _ => Err(Refusal::Origin),
    }
}

fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || IpAddr::from_str(host).is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The CORS headers that let an allowed page read the answer; none for requests without an Origin.
pub(crate) fn cors(origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Mcp-Session-Id, MCP-Protocol-Version, Retry-After, WWW-Authenticate"),
    );
}

/// What a preflight is told besides [`cors`].
pub(crate) fn preflight(asked: Option<&HeaderValue>, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE, OPTIONS"));
    let allowed = asked.cloned().unwrap_or_else(|| HeaderValue::from_static("Content-Type, MCP-Protocol-Version"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn doors() -> Doors {
        Doors { hosts: vec!["weft.example".into()], origins: vec!["https://app.example".into()] }
    }

    fn at<'a>(doors: &'a Doors, listen: &str) -> Known<'a> {
        Known { doors, listen: listen.parse().unwrap(), tls: None }
    }

    #[test]
    fn paths_name_the_aggregate_or_one_service_or_a_virtual_server() {
        let doors = doors();
        let enter = |path: &str| enter(&parts("POST", path, &[("host", "localhost:8080")]), at(&doors, "127.0.0.1"));
        assert_eq!(enter("/mcp").unwrap().0, Surface::Aggregate);
        assert_eq!(enter("/mcp/").unwrap().0, Surface::Aggregate);
        assert_eq!(enter("/mcp/echo").unwrap().0, Surface::Service("echo".parse().unwrap()));
        assert_eq!(enter("/mcp/v").unwrap().0, Surface::Service("v".parse().unwrap()));
        assert_eq!(enter("/mcp/v/desk").unwrap().0, Surface::Virtual("desk".into()));
        assert_eq!(enter("/mcp/v/desk/").unwrap().0, Surface::Virtual("desk".into()));
        for path in ["/mcp/v/UP", "/mcp/v/a/b", "/mcp/v//", "/mcp/v1/tools"] {
            assert!(matches!(enter(path), Err(Refusal::NotFound)), "{path}");
        }
        for path in ["/", "/mcpx", "/mcp/UP", "/mcp/a/b", "/mcp/..", "/.well-known/oauth-protected-resource"] {
            assert!(matches!(enter(path), Err(Refusal::NotFound)), "{path}");
        }
    }

    #[test]
    fn foreign_hosts_and_origins_are_refused() {
        let doors = doors();
        let with = |headers: &[(&str, &str)]| enter(&parts("POST", "/mcp", headers), at(&doors, "10.0.0.5"));
        for host in ["127.0.0.1:8080", "localhost", "[::1]:80", "weft.example:443", "10.0.0.5:8080"] {
            assert!(with(&[("host", host)]).is_ok(), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "10.0.0.6", ""] {
            assert!(matches!(with(&[("host", host)]), Err(Refusal::Host)), "{host}");
        }
        for origin in ["http://localhost:3000", "https://app.example", "http://127.0.0.1"] {
            assert!(with(&[("host", "localhost"), ("origin", origin)]).is_ok(), "{origin}");
        }
        for origin in ["http://evil.example", "null", "https://app.example.evil", "http://localhost.evil"] {
            assert!(matches!(with(&[("host", "localhost"), ("origin", origin)]), Err(Refusal::Origin)), "{origin}");
        }
    }
}
