//! The development authority: a CA in a directory, made on first use, whose leaves live a day and renew themselves.
//!
//! For one machine and for tests. Its key lies in a file that only its owner can read; production identities come from
//! elsewhere and use the same [`Identity`].

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::sign::any_ecdsa_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use time::{Duration, OffsetDateTime};

use crate::{Identity, IdentityError, Material, Source, keep_first};

const TRUST_DOMAIN: &str = "weft.local";
const CA_LIFE: Duration = Duration::days(3650);
const LEAF_LIFE: Duration = Duration::hours(24);
/// Clocks of two processes may differ by this much.
const SKEW: Duration = Duration::minutes(5);

/// The authority.
#[derive(Clone)]
pub struct DevCa {
    authority: Arc<Authority>,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl DevCa {
    /// Opens the authority in `dir`, or makes one. Two processes that do this at once end with the same one.
    pub fn open_or_create(dir: &Path) -> Result<Self, IdentityError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| file(dir, &error))?;
        let path = dir.join("dev-ca.pem");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&path)?,
            Err(error) => return Err(file(&path, &error)),
        };
        Self::parse(&path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, IdentityError> {
        let wrong = |why: String| IdentityError::File {
            path: path.to_owned(),
            why: format!("{why}; remove the file to have a new development authority made"),
        };
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let key = KeyPair::try_from(&key).map_err(|error| wrong(error.to_string()))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| wrong(error.to_string()))?;
        let pem = text.find("-----BEGIN CERTIFICATE").map_or_else(String::new, |at| text[at..].to_owned());
        Ok(Self { authority: Arc::new(Authority { issuer, certificate, pem }) })
    }

    /// The authority's certificate, for those who are to trust it.
    pub fn certificate_pem(&self) -> &str {
        &self.authority.pem
    }

    /// An identity `spiffe://weft.local/svc/<name>`; its certificate is renewed in memory at two thirds of its life.
    pub fn issue(&self, name: &str) -> Result<Identity, IdentityError> {
        self.issue_for(name, LEAF_LIFE)
    }

    /// The same with another life of each certificate.
    pub fn issue_for(&self, name: &str, life: Duration) -> Result<Identity, IdentityError> {
        let leaf = Leaf {
            authority: Arc::clone(&self.authority),
            name: name.to_owned(),
            life,
            present: ArcSwap::from_pointee(self.authority.leaf(name, life)?),
        };
        Ok(Identity::new(Arc::new(leaf)))
    }
}

fn create(path: &Path) -> Result<String, IdentityError> {
    let issue = |error: rcgen::Error| IdentityError::Issue(error.to_string());
    let key = KeyPair::generate().map_err(issue)?;
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Weft development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{TRUST_DOMAIN}").try_into().map_err(issue)?)];
    params.not_before = now - SKEW;
    params.not_after = now + CA_LIFE;
    let certificate = params.self_signed(&key).map_err(issue)?;
    let text = format!("{}{}", key.serialize_pem(), certificate.pem());
    // Whoever comes second finds the first one's.
    let kept = keep_first(path, text.as_bytes()).map_err(|error| file(path, &error))?;
    String::from_utf8(kept).map_err(|_| IdentityError::File { path: path.into(), why: "it is no PEM text".to_owned() })
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn file(path: &Path, error: &std::io::Error) -> IdentityError {
    IdentityError::File { path: PathBuf::from(path), why: error.to_string() }
}

impl Authority {
    fn leaf(&self, name: &str, life: Duration) -> Result<Dated, IdentityError> {
        let issue = |error: rcgen::Error| IdentityError::Issue(error.to_string());
        let spiffe_id = format!("spiffe://{TRUST_DOMAIN}/svc/{name}");
        let key = KeyPair::generate().map_err(issue)?;
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.subject_alt_names = vec![SanType::URI(spiffe_id.as_str().try_into().map_err(issue)?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = now - SKEW;
        params.not_after = now + life;
        let certificate = params.signed_by(&key, &self.issuer).map_err(issue)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = any_ecdsa_type(&private).map_err(|error| IdentityError::Issue(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(|error| IdentityError::Issue(error.to_string()))?;
        let material = Material {
            key: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)),
            roots: Arc::new(roots),
            spiffe_id,
        };
        Ok(Dated { material: Arc::new(material), renew_at: now + life * 2 / 3 })
    }
}

struct Dated {
    material: Arc<Material>,
    renew_at: OffsetDateTime,
}

/// A workload's certificate that renews itself.
struct Leaf {
    authority: Arc<Authority>,
    name: String,
    life: Duration,
    present: ArcSwap<Dated>,
}

impl Source for Leaf {
    fn current(&self) -> Arc<Material> {
        let present = self.present.load();
        if OffsetDateTime::now_utc() < present.renew_at {
            return Arc::clone(&present.material);
        }
        match self.authority.leaf(&self.name, self.life) {
            Ok(fresh) => {
                let material = Arc::clone(&fresh.material);
                self.present.store(Arc::new(fresh));
                material
            }
            Err(error) => {
                tracing::error!(name = self.name, %error, "a certificate could not be renewed; the old one stays in use");
                Arc::clone(&present.material)
            }
        }
    }
}
