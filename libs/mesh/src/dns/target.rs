//! What is written of one service in the DNS, `dns://NAME?…`, into what is asked. Apart, because it needs no network.

use std::{net::SocketAddr, str::FromStr};

use hickory_resolver::proto::rr::Name;

use crate::{InvalidSource, ServiceId, uri::SourceUri};

const KEYS: &[&str] = &["service", "port", "path", "identity", "nameserver"];

/// One service in the DNS.
///
/// `dns://NAME[?service=ID&port=8501&path=/mcp&identity=spiffe://…&nameserver=127.0.0.1:5353]`, where NAME is either
/// `_service._proto.name`, asked for its SRV records (RFC 2782), which say the ports; or the name of a host, asked for its
/// addresses (A and AAAA), all with the given port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsTarget {
    /// The service. When it is not written: the first label without its underscore and without `mcp-`; after `_mcp`, the
    /// first label that begins with no underscore.
    pub service: ServiceId,
    /// The name that is asked.
    pub name: String,
    /// The port of every address; none when SRV records say it.
    pub port: Option<u16>,
    /// The path of the MCP endpoint; `/mcp` when it is not written.
    pub path: String,
    /// The SPIFFE URI that every instance proves; none means plain HTTP.
    pub identity: Option<String>,
    /// Whom to ask; none means as the system does.
    pub nameserver: Option<SocketAddr>,
}

impl FromStr for DnsTarget {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, InvalidSource> {
        let mut uri = SourceUri::split(text, "dns", KEYS)?;
        let name = uri.rest.clone();
        if name.is_empty() {
            return Err(uri.wrong("it has no name"));
        }
        Name::from_utf8(&name).map_err(|error| uri.wrong(error.to_string()))?;
        let port: Option<u16> = uri.take("port")?;
        match (port, name.starts_with('_')) {
            (None, false) => return Err(uri.wrong("addresses say no port; add ?port=")),
            (Some(_), true) => return Err(uri.wrong("SRV records say their ports; leave ?port= out")),
            _ => {}
        }
        let service = match uri.take("service")? {
            Some(service) => service,
            None => usual(&name).parse().map_err(|error| uri.wrong(format!("{error}; or add ?service=")))?,
        };
        let path = uri.take("path")?.unwrap_or_else(|| "/mcp".to_owned());
        if !path.starts_with('/') {
            return Err(uri.wrong("the path must begin with /"));
        }
        Ok(Self { service, name, port, path, identity: uri.take("identity")?, nameserver: uri.take("nameserver")? })
    }
}

fn usual(name: &str) -> &str {
    let mut labels = name.split('.');
    let first = labels.next().unwrap_or_default();
    let first = if first == "_mcp" { labels.find(|label| !label.starts_with('_')).unwrap_or_default() } else { first };
    let first = first.strip_prefix('_').unwrap_or(first);
    first.strip_prefix("mcp-").unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_service() {
        for (uri, service) in [
            ("dns://_filesystem._tcp.mesh.example", "filesystem"),
            ("dns://_mcp._tcp.filesystem.tools.svc.cluster.local", "filesystem"),
            ("dns://_mcp._tcp.mcp-echo.tools.svc.cluster.local.", "echo"),
            ("dns://mcp-echo.example?port=1", "echo"),
            ("dns://host.example?port=1&service=files", "files"),
        ] {
            assert_eq!(uri.parse::<DnsTarget>().unwrap().service.as_ref(), service, "{uri}");
        }
        let all = "dns://h.example?service=echo&port=8501&path=/x&identity=spiffe://w/svc/echo&nameserver=[::1]:53";
        let all: DnsTarget = all.parse().unwrap();
        assert_eq!((all.name.as_str(), all.port, all.path.as_str()), ("h.example", Some(8501), "/x"));
        assert_eq!(all.identity.as_deref(), Some("spiffe://w/svc/echo"));
        assert_eq!(all.nameserver, Some("[::1]:53".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (uri, hint) in [
            ("http://a", "dns://"),
            ("dns://?port=1", "no name"),
            ("dns://a..b?port=1", "label"),
            ("dns://a", "?port="),
            ("dns://_a._tcp.b?port=1", "leave ?port= out"),
            ("dns://UPPER.example?port=1", "?service="),
            ("dns://a?port=1&path=mcp", "begin with /"),
            ("dns://a?port=1&nameserver=here", "nameserver"),
            ("dns://a?port=70000", "port"),
        ] {
            let error = uri.parse::<DnsTarget>().unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
