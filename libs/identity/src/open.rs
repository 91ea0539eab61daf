//! The sources of identities by the names that are written on a command line.

use std::path::Path;

use weft_mesh::ConsulOptions;

use crate::{DevCa, Files, Identity, IdentityError, Vault, consul};

/// For the error that says how to write one.
pub(crate) const FORMS: &str = "dev:DIR, files:DIR, consul, consul://HOST:PORT or vault://HOST:PORT/MOUNT/ROLE";

impl Identity {
    /// Opens the identity of `name` at the source that `text` names:
    /// - `dev:DIR`: a development authority in a directory, made on first use;
    /// - `files:DIR`: `tls.crt`, `tls.key` and `ca.crt`, as cert-manager mounts them;
    /// - `consul` or `consul://HOST:PORT[?…]`: Consul Connect, as the service `mcp-<name>` (options as for the registry);
    /// - `vault://HOST:PORT/MOUNT/ROLE[?…]`: Vault's PKI engine, see [`Vault::parse`].
    pub async fn open(text: &str, name: &str) -> Result<Self, IdentityError> {
        let variable = |name: &str| std::env::var(name).ok();
        let unusable = |error: weft_mesh::RegistryError| IdentityError::Source(format!("{text:?}: {error}"));
        if let Some(rest) = text.strip_prefix("consul") {
            let address = match rest {
                "" => {
                    let told = variable("CONSUL_HTTP_ADDR").unwrap_or_default();
                    format!("consul://{}", told.trim_start_matches("http://"))
                }
                _ if rest.starts_with("://") => text.to_owned(),
                _ => return Err(unknown(text)),
            };
            let options = ConsulOptions::parse(&address, variable).map_err(unusable)?;
            return consul::start(&options, &format!("mcp-{name}")).await;
        }
        if text.starts_with("vault://") {
            return Vault::parse(text, variable)?.start(name).await;
        }
        match text.split_once(':') {
            Some(("dev", dir)) if !dir.is_empty() => DevCa::open_or_create(Path::new(dir))?.issue(name),
            Some(("files", dir)) if !dir.is_empty() => Files::in_directory(Path::new(dir)).open(),
            _ => Err(unknown(text)),
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

fn unknown(text: &str) -> IdentityError {
    IdentityError::Source(format!("{text:?} is no source of identities; write {FORMS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_source_is_opened_by_its_name_and_knows_the_others_of_its_mesh() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("dev:{}", folder.path().display());
        let identity = Identity::open(&text, "echo").await.unwrap();
        assert_eq!(identity.spiffe_id(), "spiffe://weft.local/svc/echo");
        assert_eq!(identity.name_of("gateway"), "spiffe://weft.local/svc/gateway");
        for wrong in ["", "dev:", "spire:/x", "/etc/certs", "consulting"] {
            let error = Identity::open(wrong, "echo").await.unwrap_err().to_string();
            assert!(error.contains("files:DIR"), "{error}");
        }
    }
}
