//! `service.toml` → what the mesh must know of a service before it runs: name, port, balancing, the URI schemes it owns.

use serde::Deserialize;
use weft_mesh::ServiceId;

/// The checked content of a `service.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `[a-z0-9-]{1,16}`: the first half of every tool name in the mesh.
    #[serde(rename = "name")]
    pub id: ServiceId,
    /// A name for people.
    pub title: String,
    /// What the service is for, one sentence.
    pub description: String,
    /// The default port in a container of its own.
    pub port: u16,
    /// How the gateway picks an instance.
    pub policy: Policy,
    /// What places a call where the policy is consistent hashing: `session`, `caller`, `argument:<name>` or `header:<name>`.
    pub key: Option<String>,
    /// URI schemes that pass through the gateway unchanged because only this service owns them (`file`).
    #[serde(default)]
    pub schemes: Vec<String>,
    /// Advice for the model about the service as a whole.
    pub instructions: Option<String>,
}

/// Balancing policies, spelled as in the gateway's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// One after the other.
    RoundRobin,
    /// The less loaded of two drawn.
    LeastConnections,
    /// The same caller to the same instance.
    ConsistentHash,
}

impl Policy {
    /// As registry metadata has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConnections => "least_connections",
            Self::ConsistentHash => "consistent_hash",
        }
    }
}

/// What is wrong with a `service.toml`.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the expected TOML.
    #[error("service.toml: {0}")]
    Syntax(#[from] toml::de::Error),
    /// Not a URI scheme.
    #[error("service.toml: `{0}` is no URI scheme: write it in lower case and without `:`")]
    Scheme(String),
}

impl Manifest {
    /// The service's name as text.
    pub fn name(&self) -> &str {
        self.id.as_ref()
    }

    /// Parses and checks the text of a `service.toml`.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        if let Some(odd) = manifest.schemes.iter().find(|scheme| !is_scheme(scheme)) {
            return Err(ManifestError::Scheme(odd.clone()));
        }
        Ok(manifest)
    }
}

/// RFC 3986, 3.1, lower case.
fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "name = 'echo'\ntitle = 'Echo'\ndescription = 'Says it again.'\nport = 7800\npolicy = 'round_robin'\n";

    #[test]
    fn a_small_manifest_is_enough() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!((manifest.name(), manifest.policy), ("echo", Policy::RoundRobin));
    }

    #[test]
    fn names_and_schemes_that_the_mesh_cannot_carry_are_refused() {
        let fault = Manifest::parse(&GOOD.replace("'echo'", "'my_echo'")).unwrap_err().to_string();
        assert!(fault.contains("my_echo") && fault.contains("a-z"), "{fault}");
        let scheme = format!("{GOOD}schemes = ['File:']\n");
        assert!(matches!(Manifest::parse(&scheme), Err(ManifestError::Scheme(_))));
        assert!(matches!(Manifest::parse(&format!("{GOOD}colour = 1\n")), Err(ManifestError::Syntax(_))));
    }
}
