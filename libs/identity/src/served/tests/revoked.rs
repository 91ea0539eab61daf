//! Lists of revoked certificates: who is let in by which list, and who may stay when it changes.

use std::future::poll_fn;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber, SigningKey,
};
use time::{Duration as Span, OffsetDateTime};

use super::*;

/// A list of these numbers that was made and is over at these times from now.
fn list<S: SigningKey>(
    issuer: &Issuer<'_, S>,
    revoked: &[u64],
    (made, over): (Span, Span),
) -> rcgen::CertificateRevocationList {
    let now = OffsetDateTime::now_utc();
    let entry = |number: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*number),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: now + made,
        next_update: now + over,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap()
}

const DAY: (Span, Span) = (Span::hours(-1), Span::hours(23));

fn numbered(number: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![dns("a.example")];
    params.serial_number = Some(SerialNumber::from(number));
    params
}

struct Clients {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Clients {
    fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        write(folder.path(), &authority);
        fs::write(folder.path().join("ca"), authority.0.pem()).unwrap();
        Self { folder, authority }
    }

    fn publish(&self, text: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join("crl"), text).unwrap();
    }

    fn revoke(&self, revoked: &[u64]) {
        self.publish(list(&self.authority.0, revoked, DAY).pem().unwrap());
    }

    fn open(&self) -> Served {
        open(self.folder.path(), true).unwrap()
    }

    /// A client with the certificate of this number.
    async fn enters(&self, served: &Served, number: u64) -> Result<Proven, IdentityError> {
        let key = KeyPair::generate().unwrap();
        let certificate = numbered(number).signed_by(&key, &self.authority.0).unwrap();
        meet(served, &self.authority, Some((certificate, key))).await.0.map(Option::unwrap)
    }
}

/// Why a client may not stay; none while it may.
async fn why(served: &Served, proven: &Proven) -> Option<IdentityError> {
    let mut distrusted = std::pin::pin!(served.distrusted(&proven.chain));
    poll_fn(|cx| match distrusted.as_mut().poll(cx) {
        std::task::Poll::Ready(error) => std::task::Poll::Ready(Some(error)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

async fn next_look(served: &Served) {
    tokio::time::sleep(LOOK).await;
    served.look();
}

#[tokio::test]
async fn who_is_revoked_is_not_let_in_and_may_not_stay() {
    let clients = Clients::new();
    clients.revoke(&[7]);
    let served = clients.open();
    let (ann, bob) = (clients.enters(&served, 1).await.unwrap(), clients.enters(&served, 2).await.unwrap());
    assert!(matches!(clients.enters(&served, 7).await, Err(IdentityError::Revoked)));
    // Whoever waits for it is told, though nobody else comes.
    let (other, chain) = (served.clone(), ann.chain.clone());
    let waiting = tokio::spawn(async move { other.distrusted(&chain).await });
    clients.revoke(&[7, 1]);
    next_look(&served).await;
    assert!(matches!(waiting.await.unwrap(), IdentityError::Revoked));
    assert!(matches!(why(&served, &ann).await, Some(IdentityError::Revoked)));
    assert!(why(&served, &bob).await.is_none());
    assert!(matches!(clients.enters(&served, 1).await, Err(IdentityError::Revoked)));
    assert!(clients.enters(&served, 2).await.is_ok());
}

#[tokio::test]
async fn a_list_that_cannot_be_used_is_told_at_the_start_and_later_changes_nothing_else() {
    let clients = Clients::new();
    let delta = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
    for garbage in ["", "half a li", delta, "0"] {
        clients.publish(garbage);
        let told = open(clients.folder.path(), true).unwrap_err().to_string();
        assert!(told.contains("crl") && told.contains("list"), "{garbage:?}: {told}");
    }
    clients.revoke(&[7]);
    let served = clients.open();
    let ann = clients.enters(&served, 1).await.unwrap();
    // With a new certificate at the same time, which does not wait for the list.
    clients.publish("half a li");
    let renewed = write(clients.folder.path(), &clients.authority);
    next_look(&served).await;
    let key = KeyPair::generate().unwrap();
    let certificate = numbered(2).signed_by(&key, &clients.authority.0).unwrap();
    let (proven, seen) = meet(&served, &clients.authority, Some((certificate, key))).await;
    assert!(proven.is_ok());
    assert_eq!(seen.unwrap().0, renewed);
    assert!(matches!(clients.enters(&served, 7).await, Err(IdentityError::Revoked)), "the last good list stays");
    assert!(why(&served, &ann).await.is_none());
    // And a certificate that cannot be used does not hold up a list.
    fs::write(clients.folder.path().join("cert"), "half a certificate").unwrap();
    clients.revoke(&[1]);
    next_look(&served).await;
    assert!(matches!(why(&served, &ann).await, Some(IdentityError::Revoked)));
    fs::remove_file(clients.folder.path().join("crl")).unwrap();
    next_look(&served).await;
    assert!(matches!(clients.enters(&served, 1).await, Err(IdentityError::Revoked)), "a list that is gone stays too");
}

/// A client that was let in while the list was good; the machine may stand still for longer than that, so again if need be.
async fn soon_out_of_date(clients: &Clients) -> (Served, Proven) {
    for _ in 0..20 {
        clients.publish(list(&clients.authority.0, &[], (Span::hours(-1), Span::seconds(3))).pem().unwrap());
        let served = clients.open();
        match clients.enters(&served, 1).await {
            Ok(ann) => return (served, ann),
            Err(error) => assert!(matches!(error, IdentityError::Uncertain(_)), "{error}"),
        }
    }
    panic!("a list is out of date at once");
}

#[tokio::test]
async fn a_list_that_is_out_of_date_lets_nobody_in_and_nobody_stay() {
    let clients = Clients::new();
    let (served, ann) = soon_out_of_date(&clients).await;
    while why(&served, &ann).await.is_none() {
        next_look(&served).await;
    }
    assert!(matches!(why(&served, &ann).await, Some(IdentityError::Uncertain(_))));
    let refused = clients.enters(&served, 1).await.unwrap_err();
    assert!(refused.to_string().contains("out of date"), "{refused}");
    clients.revoke(&[]);
    next_look(&served).await;
    assert!(clients.enters(&served, 1).await.is_ok());
}

#[tokio::test]
async fn the_newest_list_of_an_authority_counts_and_der_is_as_good_as_pem() {
    let clients = Clients::new();
    let old = list(&clients.authority.0, &[], (Span::hours(-2), Span::hours(20))).pem().unwrap();
    let new = list(&clients.authority.0, &[7], DAY);
    for file in [format!("{old}{}", new.pem().unwrap()).into_bytes(), new.der().to_vec()] {
        clients.publish(file);
        assert!(matches!(clients.enters(&clients.open(), 7).await, Err(IdentityError::Revoked)));
    }
    // One that the authority did not sign says nothing, whatever name is on it.
    clients.publish(list(&Authority::new().0, &[], DAY).pem().unwrap());
    assert!(matches!(clients.enters(&clients.open(), 1).await, Err(IdentityError::Uncertain(_))));
}

#[tokio::test]
async fn each_certificate_of_a_chain_needs_a_list() {
    let clients = Clients::new();
    let mut params = numbered(50);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "between");
    let between = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &clients.authority.0).unwrap();
    let enters = async || {
        let key = KeyPair::generate().unwrap();
        let chain = vec![numbered(1).signed_by(&key, &between).unwrap().der().clone(), between.der().clone()];
        let mut roots = RootCertStore::empty();
        roots.add(clients.authority.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let client = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), theirs);
        let served = clients.open();
        tokio::join!(served.accept(ours), client).0.map(|(_, guest)| guest)
    };
    let of = |revoked: &[u64]| list(&clients.authority.0, revoked, DAY).pem().unwrap();
    let own = list(&between, &[], DAY).pem().unwrap();
    clients.publish(format!("{}{own}", of(&[])));
    assert!(enters().await.is_ok());
    clients.publish(&own);
    assert!(matches!(enters().await, Err(IdentityError::Uncertain(_))), "the root's list is missing");
    clients.publish(of(&[]));
    assert!(matches!(enters().await, Err(IdentityError::Uncertain(_))), "the other's list is missing");
    clients.publish(format!("{}{own}", of(&[50])));
    assert!(matches!(enters().await, Err(IdentityError::Revoked)), "who signed it was revoked");
}
