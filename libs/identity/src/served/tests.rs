//! Handshakes over a pipe: what a client sees, what it proves, and what a change of the files does.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio_rustls::TlsConnector;

use super::*;

mod replicas;
mod revoked;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, names: Vec<SanType>, common: &str) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn write(folder: &Path, authority: &Authority) -> CertificateDer<'static> {
    let (certificate, key) = authority.issue(vec![dns("localhost")], "served");
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("cert"), certificate.pem()).unwrap();
    certificate.der().clone()
}

fn files(folder: &Path, required: bool) -> ServedFiles {
    ServedFiles {
        certificate: folder.join("cert"),
        key: folder.join("key"),
        clients: folder.join("ca").exists().then(|| folder.join("ca")),
        revoked: folder.join("crl").exists().then(|| folder.join("crl")),
        required,
    }
}

fn open(folder: &Path, required: bool) -> Result<Served, IdentityError> {
    Served::open(files(folder, required), None)
}

type Shown = (Result<Option<Proven>, IdentityError>, Option<(CertificateDer<'static>, Vec<u8>)>);

/// A client that knows the authority, with or without a certificate.
fn trusting(authority: &Authority, shown: Option<(rcgen::Certificate, KeyPair)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
    }
}

/// One handshake: what the listener made of the client, and what the client saw.
async fn meet(served: &Served, authority: &Authority, shown: Option<(rcgen::Certificate, KeyPair)>) -> Shown {
    let mut config = trusting(authority, shown);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let client = async {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, theirs).await.ok()?;
        let connection = stream.get_ref().1;
        let seen = connection.peer_certificates()?.first()?.clone().into_owned();
        Some((seen, connection.alpn_protocol()?.to_vec()))
    };
    let (accepted, seen) = tokio::join!(served.accept(ours), client);
    let proven = accepted.map(|(_, guest)| match guest {
        Guest::Client(proven) => proven,
        Guest::Replica => panic!("a client was taken for a replica"),
    });
    (proven, seen)
}

#[tokio::test]
async fn clients_see_the_certificate_of_the_moment_and_a_bad_one_changes_nothing() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let first = write(folder.path(), &authority);
    let served = open(folder.path(), false).unwrap();
    let seen = async || meet(&served, &authority, None).await.1.unwrap();
    assert_eq!(seen().await, (first.clone(), b"h2".to_vec()));
    fs::write(folder.path().join("cert"), "half a certificate").unwrap();
    tokio::time::sleep(LOOK).await;
    assert_eq!(seen().await.0, first);
    let second = write(folder.path(), &authority);
    tokio::time::sleep(LOOK).await;
    assert_eq!(seen().await.0, second);
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_client_proves_the_names_of_its_certificate_and_needs_none_unless_it_must() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write(folder.path(), &authority);
    fs::write(folder.path().join("ca"), authority.0.pem()).unwrap();
    let names = || {
        let uri = SanType::URI("spiffe://example/agent".try_into().unwrap());
        vec![dns("a.example"), uri, SanType::Rfc822Name("ann@example".try_into().unwrap()), dns("b c")]
    };
    let optional = open(folder.path(), false).unwrap();
    let (proven, _) = meet(&optional, &authority, Some(authority.issue(names(), "Ann"))).await;
    let proven = proven.unwrap().unwrap();
    assert_eq!(proven.names, ["dns:a.example", "uri:spiffe://example/agent", "email:ann@example", "cn:Ann"]);
    assert!(proven.until > SystemTime::now());
    assert_eq!(meet(&optional, &authority, None).await.0.unwrap(), None);
    let foreign = Authority::new().issue(names(), "Ann");
    let (refused, _) = meet(&optional, &authority, Some(foreign)).await;
    assert!(matches!(refused, Err(IdentityError::Foreign)), "{refused:?}");
    let required = open(folder.path(), true).unwrap();
    let (refused, _) = meet(&required, &authority, None).await;
    assert!(matches!(refused, Err(IdentityError::NoCertificate)), "{refused:?}");
}

#[test]
fn the_hosts_of_a_certificate_are_its_names_and_addresses() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let address = SanType::IpAddress("10.1.2.3".parse().unwrap());
    let (certificate, key) =
        authority.issue(vec![dns("*.Wide.example"), dns("Weft.example"), address], "gateway.example");
    fs::write(folder.path().join("key"), key.serialize_pem()).unwrap();
    fs::write(folder.path().join("cert"), certificate.pem()).unwrap();
    let served = open(folder.path(), false).unwrap();
    for host in ["weft.example", "WEFT.example", "a.wide.example", "10.1.2.3"] {
        assert!(served.covers(host), "{host}");
    }
    for host in
        ["wide.example", ".wide.example", "a.b.wide.example", "gateway.example", "10.1.2.4", "xweft.example", ""]
    {
        assert!(!served.covers(host), "{host}");
    }
    assert_eq!(served.host().unwrap(), "weft.example");
}

#[test]
fn files_that_do_not_fit_are_told_by_their_name() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write(folder.path(), &authority);
    let told = |files: ServedFiles| Served::open(files, None).unwrap_err().to_string();
    let good = || files(folder.path(), false);
    assert!(told(ServedFiles { certificate: folder.path().join("none"), ..good() }).contains("none"));
    assert!(told(ServedFiles { clients: Some(folder.path().join("key")), ..good() }).contains("no certificate"));
    fs::write(folder.path().join("key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(told(good()).contains("does not fit"));
}
