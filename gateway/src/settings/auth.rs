//! Who may call, and over what kind of connection: the settings of callers and of TLS, and the rule that nothing is served to other
//! machines unless both are there.

use std::{net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Settings, globs::globs};
use crate::authorize::Role;

/// What callers must prove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing, on the machine itself; nobody else is let in.
    #[default]
    None,
    /// An API key, or a client certificate that `[[auth.certificate]]` gives a role.
    Keys,
}

/// Not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mode; use none or keys")]
pub struct InvalidMode(pub String);

impl std::str::FromStr for Mode {
    type Err = InvalidMode;

    fn from_str(text: &str) -> Result<Self, InvalidMode> {
        match text {
            "none" => Ok(Self::None),
            "keys" => Ok(Self::Keys),
            _ => Err(InvalidMode(text.to_owned())),
        }
    }
}

/// Who may call.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// `none` or `keys`.
    pub mode: Mode,
    /// The file that `weft keys` writes; default: `keys.json` in the state directory.
    pub keys: Option<PathBuf>,
    /// Roles of callers with a client certificate; the first entry that fits counts.
    pub certificate: Vec<CertificateRole>,
    /// Listen off loopback without TLS or without authentication all the same: for gateways behind a proxy that ends TLS.
    pub insecure: bool,
    /// Show the console and the state to whoever reaches the administration address, and not only to this machine and to admins.
    pub open_admin: bool,
}

/// A role for the callers whose certificate proves a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateRole {
    /// A pattern of the name, behind its kind: `dns:*.ops.example`, `uri:spiffe://example/agent/*`, `email:ann@example` or
    /// `cn:deploy`. `*` matches anything.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whose data they work on: the namespace that servers are told.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// TLS for MCP clients.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate, and behind it its intermediates (PEM); read again when it changes.
    pub cert: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// The authorities that clients' certificates must be signed by (PEM).
    pub client_ca: Option<PathBuf>,
    /// The certificates that these authorities have revoked: a list of each of them (PEM, or one in DER); read again when it changes.
    pub client_crl: Option<PathBuf>,
    /// Whether a client must have a certificate.
    pub client_auth: ClientAuth,
}

/// Whether a client must have a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// It may have one.
    #[default]
    Optional,
    /// Without one there is no connection.
    Required,
}

/// The services that come with Weft: what their tools say of themselves is believed when they prove to be of the mesh.
const OWN: [&str; 7] = ["aiml", "database", "echo", "filesystem", "memory", "search", "vectorstore"];

/// True for a service that comes with Weft.
pub(crate) fn is_own(service: &str) -> bool {
    OWN.contains(&service)
}

impl Auth {
    /// True when there may be callers who do not see everything.
    pub(crate) fn has_roles(&self) -> bool {
        self.mode != Mode::None || !self.certificate.is_empty()
    }
}

impl Tls {
    /// True when clients connect with TLS.
    pub fn is_on(&self) -> bool {
        self.cert.is_some()
    }
}

/// Adds what is wrong.
pub(super) fn check(settings: &Settings, wrong: &mut Vec<String>) {
    let (auth, tls) = (&settings.auth, &settings.tls);
    if tls.cert.is_some() != tls.key.is_some() {
        wrong.push("tls.cert and tls.key belong together: give both, or none".into());
    }
    if tls.client_ca.is_some() && tls.cert.is_none() {
        wrong
            .push("tls.client_ca needs tls.cert and tls.key: clients show certificates on TLS connections only".into());
    }
    if tls.client_crl.is_some() && tls.client_ca.is_none() {
        wrong.push("tls.client_crl needs tls.client_ca: the authority that revokes clients' certificates".into());
    }
    if tls.client_auth == ClientAuth::Required && tls.client_ca.is_none() {
        wrong.push(
            "tls.client_auth = \"required\" needs tls.client_ca: the authority that signs clients' certificates".into(),
        );
    }
    if !auth.certificate.is_empty() && tls.client_ca.is_none() {
        wrong.push("auth.certificate needs tls.client_ca: the authority that signs clients' certificates".into());
    }
    for (entry, number) in auth.certificate.iter().zip(1..) {
        let key = format!("auth.certificate[{number}].name");
        if !["dns:", "uri:", "email:", "cn:"].iter().any(|kind| entry.name.starts_with(kind)) {
            wrong.push(format!("{key}: {:?} must begin with dns:, uri:, email: or cn:", entry.name));
        }
        globs(&key, std::slice::from_ref(&entry.name), wrong);
    }
    if let Some(missing) = unsafe_without(settings.listen, auth, tls) {
        wrong.push(format!(
            "listen = {} is reached from other machines and has no {missing}: set tls.cert, tls.key and auth.mode = \"keys\" \
             (--tls-cert, --tls-key, --auth keys), or listen on 127.0.0.1; behind a proxy that ends TLS and lets nobody else in, \
             set auth.insecure = true (--insecure)",
            settings.listen
        ));
    }
}

/// What a listener off loopback lacks.
fn unsafe_without(listen: SocketAddr, auth: &Auth, tls: &Tls) -> Option<&'static str> {
    if auth.insecure || listen.ip().to_canonical().is_loopback() {
        return None;
    }
    match (tls.is_on(), auth.mode != Mode::None) {
        (true, true) => None,
        (true, false) => Some("authentication"),
        (false, true) => Some("TLS"),
        (false, false) => Some("TLS and no authentication"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        toml::from_str::<Settings>(text).unwrap().check()
    }

    #[test]
    fn nothing_is_served_to_other_machines_without_tls_and_authentication() {
        let (tls, keys) = ("tls = { cert = \"c\", key = \"k\" }\n", "auth = { mode = \"keys\" }\n");
        for address in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:0"] {
            let listen = format!("listen = {address:?}\n");
            for (more, missing) in [("", "TLS and no authentication"), (tls, "no authentication"), (keys, "no TLS")] {
                let wrong = wrong(&format!("{listen}{more}"));
                assert!(wrong.len() == 1 && wrong[0].contains(missing) && wrong[0].contains("--insecure"), "{wrong:?}");
            }
            assert!(wrong(&format!("{listen}{tls}{keys}")).is_empty());
            assert!(wrong(&format!("{listen}auth = {{ insecure = true }}\n")).is_empty());
        }
        for address in ["127.0.0.1:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
            assert!(wrong(&format!("listen = {address:?}\n")).is_empty(), "{address}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told_at_once() {
        let text = r#"
            tls = { cert = "c", client_auth = "required", client_crl = "l" }
            auth = { certificate = [{ name = "ann", role = "reader" }, { name = "dns:[", role = "admin" }] }
        "#;
        let wrong = wrong(text);
        assert_eq!(wrong.len(), 6, "{wrong:#?}");
        assert!(toml::from_str::<Settings>("auth = { mode = \"jwt\" }").is_err());
    }

    #[test]
    fn the_services_that_come_with_weft_are_those_that_are_there() {
        let services = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
        let folders = std::fs::read_dir(services).unwrap().map(|entry| entry.unwrap());
        let mut there: Vec<String> = folders
            .filter(|entry| entry.path().join("service.toml").exists())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(there, OWN);
    }
}
