//! The sources of identities by the names that are written on a command line.

use std::path::Path;

use crate::{DevCa, Files, Identity, IdentityError};

impl Identity {
    /// Opens the identity of `name` at the source that `text` names: `dev:DIR` (a development authority in a directory, made
    /// on first use) or `files:DIR` (`tls.crt`, `tls.key`, `ca.crt`, as cert-manager mounts them).
    pub fn open(text: &str, name: &str) -> Result<Self, IdentityError> {
        match text.split_once(':') {
            Some(("dev", dir)) if !dir.is_empty() => DevCa::open_or_create(Path::new(dir))?.issue(name),
            Some(("files", dir)) if !dir.is_empty() => Files::in_directory(Path::new(dir)).open(),
            _ => Err(IdentityError::Source(text.to_owned())),
        }
    }

    /// The SPIFFE URI of another member of the same mesh: ours with another last part. Where our own name is a service's name
    /// in Consul (`mcp-<name>`), the other's is too.
    pub fn name_of(&self, name: &str) -> String {
        let own = self.spiffe_id();
        let (base, last) = own.rsplit_once('/').unwrap_or((&own, ""));
        let prefix = if last.starts_with("mcp-") { "mcp-" } else { "" };
        format!("{base}/{prefix}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_opened_by_its_name_and_knows_the_others_of_its_mesh() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("dev:{}", folder.path().display());
        let identity = Identity::open(&text, "echo").unwrap();
        assert_eq!(identity.spiffe_id(), "spiffe://weft.local/svc/echo");
        assert_eq!(identity.name_of("gateway"), "spiffe://weft.local/svc/gateway");
        for wrong in ["", "dev:", "spire:/x", "/etc/certs"] {
            let error = Identity::open(wrong, "echo").unwrap_err().to_string();
            assert!(error.contains("files:DIR"), "{error}");
        }
    }
}
