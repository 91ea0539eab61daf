//! Who is calling: the identity that the gateway proved, and the namespace that follows from it.
//!
//! The `weft-*` headers mean something only when the connection's certificate is the gateway's; on any other connection they
//! are ignored and the caller is whoever the connection proves, in the host's default namespace. No tool argument can
//! choose a namespace.

use std::time::Duration;

use http::HeaderMap;
use tokio_util::sync::CancellationToken;

/// The caller's id, visible ASCII.
pub(crate) const CALLER: &str = "weft-caller";
/// The caller's namespace.
pub(crate) const NAMESPACE: &str = "weft-namespace";
/// The caller's roles, separated by commas.
pub(crate) const ROLES: &str = "weft-roles";
/// Milliseconds that the caller still waits.
pub(crate) const DEADLINE: &str = "weft-deadline-ms";

/// An identity that may call tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub id: String,
    /// Whose data: every backend query is confined to it.
    pub namespace: String,
    /// Roles that the gateway granted.
    pub roles: Vec<String>,
}

impl Caller {
    /// The caller of a connection that carries no headers of the gateway.
    pub fn local(namespace: impl Into<String>) -> Self {
        Self { id: "local".to_owned(), namespace: namespace.into(), roles: Vec::new() }
    }

    /// The caller that the gateway vouches for. What a header does not say stays as it is in `fallback`.
    pub(crate) fn from_gateway(headers: &HeaderMap, fallback: &Self) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        Self {
            id: text(CALLER).unwrap_or(&fallback.id).to_owned(),
            namespace: text(NAMESPACE).unwrap_or(&fallback.namespace).to_owned(),
            roles: text(ROLES).map(split).unwrap_or_default(),
        }
    }

    /// Whether the gateway granted `role`.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

/// What the HTTP layer found out about a request before the SDK saw it.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) caller: Caller,
    pub(crate) patience: Option<Duration>,
    /// Fires when the session-era client cancels by another request.
    pub(crate) cancel: Option<CancellationToken>,
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_names_caller_namespace_and_roles() {
        let mut headers = HeaderMap::new();
        headers.insert(CALLER, "alice".parse().unwrap());
        headers.insert(NAMESPACE, "team-a".parse().unwrap());
        headers.insert(ROLES, "reader, writer,,".parse().unwrap());
        let caller = Caller::from_gateway(&headers, &Caller::local("local"));
        assert_eq!((caller.id.as_str(), caller.namespace.as_str()), ("alice", "team-a"));
        assert!(caller.has_role("writer") && !caller.has_role(""));
    }

    #[test]
    fn an_empty_namespace_header_is_no_namespace() {
        let mut headers = HeaderMap::new();
        headers.insert(NAMESPACE, "".parse().unwrap());
        assert_eq!(Caller::from_gateway(&headers, &Caller::local("local")).namespace, "local");
    }
}
