//! The hosts that the operator allows → whether an address on the web names one of them.

use anyhow::{Context as _, ensure};
use reqwest::Url;

/// One allowed host, or all below a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Allowed {
    /// As addresses have it: small letters, Punycode, IPv6 in brackets. `None` is every host.
    name: Option<String>,
    /// All names that end with a dot and this one, and not it.
    below: bool,
    /// The scheme's own without one.
    port: Option<u16>,
}

/// The list.
#[derive(Debug, Clone)]
pub(super) struct Hosts(Vec<Allowed>);

impl Hosts {
    /// From `docs.example`, `docs.example:8443`, `*.example` and `*`.
    pub(super) fn parse(entries: &[String]) -> Result<Self, anyhow::Error> {
        entries.iter().map(|entry| parse(entry)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it names an allowed host and port.
    pub(super) fn permit(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let host = host.trim_end_matches('.');
        self.0.iter().any(|allowed| {
            let named = match &allowed.name {
                None => true,
                Some(name) if allowed.below => {
                    host.strip_suffix(name.as_str()).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
                }
                Some(name) => host == name,
            };
            named && allowed.port == url.port()
        })
    }
}

fn parse(entry: &str) -> Result<Allowed, anyhow::Error> {
    if entry == "*" {
        return Ok(Allowed { name: None, below: false, port: None });
    }
    let (rest, below) = entry.strip_prefix("*.").map_or((entry, false), |rest| (rest, true));
    let wrong = || format!("`fetch.hosts` has {entry:?}: give a host, host:port, *.domain or *");
    let url = Url::parse(&format!("http://{rest}")).with_context(wrong)?;
    let is_bare = url.path() == "/" && !rest.contains(['/', '@', '?', '#', '*']);
    ensure!(is_bare, wrong());
    let name = url.host_str().map(|host| host.trim_end_matches('.').to_owned());
    ensure!(name.as_ref().is_some_and(|name| !name.is_empty()), wrong());
    Ok(Allowed { name, below, port: url.port() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(entries: &[&str], url: &str) -> bool {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Hosts::parse(&entries).unwrap().permit(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_is_allowed_by_its_whole_name_and_port() {
        for url in ["http://docs.example/a", "https://DOCS.example./", "https://docs.example:443/"] {
            assert!(permits(&["Docs.Example"], url), "{url}");
        }
        for url in [
            "http://docs.example.evil/",
            "http://evildocs.example/",
            "http://a.docs.example/",
            "http://docs.example:81/",
            "http://docs.example@evil/",
            "http://127.1/",
        ] {
            assert!(!permits(&["docs.example"], url), "{url}");
        }
        assert!(permits(&["docs.example:81"], "http://docs.example:81/"));
        assert!(permits(&["127.0.0.1"], "http://2130706433/"));
        assert!(permits(&["bücher.example"], "http://xn--bcher-kva.example/"));
    }

    #[test]
    fn a_star_stands_for_names_below_and_never_for_the_end() {
        assert!(permits(&["*.example"], "http://a.b.example/"));
        assert!(!permits(&["*.example"], "http://example/"));
        assert!(!permits(&["*.example"], "http://badexample/"));
        assert!(permits(&["*"], "https://any.where/") && !permits(&["*"], "https://any.where:8443/"));
        for wrong in ["", "http://x", "a/b", "u@h", "a*.example", "*.", "a b"] {
            assert!(Hosts::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
