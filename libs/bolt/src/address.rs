//! A URL to where a server listens and how it is spoken to. `bolt` is one server, `neo4j` a cluster whose members are asked
//! for; `+s` is TLS with certificates that are checked. There is no way to not check them.

use std::fmt;

use crate::error::BoltError;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name, or an address without brackets.
    pub host: String,
    /// 7687 if not said.
    pub port: u16,
}

/// What a URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: Address,
    pub(crate) routed: bool,
    pub(crate) tls: bool,
}

const PORT: u16 = 7687;

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// Reads `host`, `host:port` or `[address]:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, BoltError> {
        let refused = Err(BoltError::Address("write HOST:PORT, with an IPv6 address in brackets"));
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, port)) => (host, port),
                None => return refused,
            },
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => Some(PORT),
            None => None,
            Some(port) => port.parse().ok(),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
        match port {
            Some(port) if !host.is_empty() && host.chars().all(fits) => Ok(Self { host: host.to_owned(), port }),
            _ => refused,
        }
    }
}

impl Place {
    pub(crate) fn parse(url: &str) -> Result<Self, BoltError> {
        let form = "write bolt://, bolt+s://, neo4j:// or neo4j+s:// and HOST:PORT";
        let (scheme, rest) = url.split_once("://").ok_or(BoltError::Address(form))?;
        let (routed, tls) = match scheme {
            "bolt" => (false, false),
            "bolt+s" => (false, true),
            "neo4j" => (true, false),
            "neo4j+s" => (true, true),
            "bolt+ssc" | "neo4j+ssc" => {
                return Err(BoltError::Address(
                    "certificates are always checked: use +s and name the authorities' file",
                ));
            }
            _ => return Err(BoltError::Address(form)),
        };
        if rest.contains('@') {
            return Err(BoltError::Address("take user and password out of the URL, they have settings of their own"));
        }
        if rest.contains('?') {
            return Err(BoltError::Address("take what follows ? out of the URL, routing policies are not supported"));
        }
        let address = Address::parse(rest.strip_suffix('/').unwrap_or(rest))?;
        Ok(Self { address, routed, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_host_port_routing_and_tls() {
        let read = |url: &str| {
            let place = Place::parse(url).unwrap();
            (place.address.to_string(), place.routed, place.tls)
        };
        assert_eq!(read("bolt://localhost"), ("localhost:7687".to_owned(), false, false));
        assert_eq!(read("bolt+s://db.example:1/"), ("db.example:1".to_owned(), false, true));
        assert_eq!(read("neo4j://10.0.0.1:7688"), ("10.0.0.1:7688".to_owned(), true, false));
        assert_eq!(read("neo4j+s://[::1]:7688"), ("[::1]:7688".to_owned(), true, true));
    }

    #[test]
    fn a_url_that_hides_a_password_or_an_unchecked_certificate_is_refused_without_being_repeated() {
        for url in [
            "bolt://u:hunter2@host",
            "bolt+ssc://host",
            "http://host",
            "host:7687",
            "bolt://",
            "bolt://h:99999",
            "bolt://a:b:1",
            "bolt://[::1",
            "bolt://h/db",
            "neo4j://h?policy=x",
        ] {
            let error = Place::parse(url).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
