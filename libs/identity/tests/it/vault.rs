//! Vault's PKI engine, by its published wire format: login, issue, renewal, and a Vault that is away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use weft_identity::{Peers, Vault};

use crate::handshakes::meet;

/// What the stand-in was asked, and whether it answers.
#[derive(Default)]
struct Seen {
    issued: AtomicUsize,
    away: AtomicBool,
    refused: AtomicUsize,
}

/// Waits until the stand-in has counted so many.
async fn counted(counter: &AtomicUsize, count: usize) {
    let counting = async {
        while counter.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), counting).await.unwrap();
}

struct Pki {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl Pki {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// `POST /v1/<mount>/issue/<role>`. The certificate is valid for longer than is told, so that it is renewed soon but does not
    /// end while the machine stands still.
    fn issue(&self, asked: &Value) -> Value {
        let seconds: i64 = asked["ttl"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
        let key = KeyPair::generate().unwrap();
        let now = time::OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(asked["uri_sans"].as_str().unwrap().try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = now - time::Duration::minutes(1);
        params.not_after = now + time::Duration::seconds(seconds) + time::Duration::minutes(10);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        json!({ "lease_id": "", "renewable": false, "data": {
            "certificate": certificate, "private_key": key.serialize_pem(), "private_key_type": "ec",
            "issuing_ca": self.root, "ca_chain": [self.root], "serial_number": "01",
            "expiration": (now + time::Duration::seconds(seconds)).unix_timestamp() } })
    }
}

async fn stand_in(seen: Arc<Seen>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let pki = Arc::new(Pki::new());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let body = loop {
                let mut part = [0; 4096];
                let read = socket.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break serde_json::from_str::<Value>(body).unwrap();
                }
            };
            let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
            let (status, answer) = answer(&head, &body, &pki, &seen);
            let answer = answer.to_string();
            let out = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            socket.write_all(out.as_bytes()).await.unwrap();
        }
    });
    address
}

fn answer(head: &str, body: &Value, pki: &Pki, seen: &Seen) -> (u16, Value) {
    if seen.away.load(Ordering::Relaxed) {
        seen.refused.fetch_add(1, Ordering::Relaxed);
        return (503, json!({ "errors": ["Vault is sealed"] }));
    }
    if head.starts_with("post /v1/auth/approle/login ") {
        let right = body["role_id"] == "mesh-role" && body["secret_id"] == "hush";
        return if right {
            (200, json!({ "auth": { "client_token": "t-1" } }))
        } else {
            (400, json!({ "errors": ["invalid role or secret ID"] }))
        };
    }
    if head.starts_with("post /v1/pki/mesh/issue/weft ") && head.contains("x-vault-token: t-1") {
        seen.issued.fetch_add(1, Ordering::Relaxed);
        return (200, pki.issue(body));
    }
    (403, json!({ "errors": ["permission denied"] }))
}

#[tokio::test]
async fn certificates_are_issued_renewed_and_kept_while_vault_is_away() {
    let seen = Arc::new(Seen::default());
    let address = stand_in(Arc::clone(&seen)).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hush\n").unwrap();
    let none = |_: &str| None;
    let text = format!(
        "vault://{address}/pki/mesh/weft?domain=mesh.test&approle=mesh-role&secret_file={}&life_s=",
        secret.display()
    );
    let server = Vault::parse(&format!("{text}3"), none).unwrap().start("server").await.unwrap();
    let client = Vault::parse(&format!("{text}600"), none).unwrap().start("client").await.unwrap();
    let name = "spiffe://mesh.test/svc/server";
    assert_eq!(server.spiffe_id(), name);
    assert_eq!(server.name_of("gateway"), "spiffe://mesh.test/svc/gateway");
    let (peer, said) = meet(&server, Peers::TrustDomain, &client, name).await;
    assert_eq!((peer.unwrap().0.as_str(), said.unwrap().as_str()), ("spiffe://mesh.test/svc/client", "hello"));
    // At two thirds of three seconds there is another one; and when Vault is away the next time, it stays.
    counted(&seen.issued, 3).await;
    seen.away.store(true, Ordering::Relaxed);
    counted(&seen.refused, 1).await;
    let (_, said) = meet(&server, Peers::TrustDomain, &client, name).await;
    assert_eq!(said.unwrap(), "hello");
}

#[tokio::test]
async fn what_vault_refuses_is_said() {
    let address = stand_in(Arc::default()).await;
    let token = |name: &str| (name == "VAULT_TOKEN").then(|| "wrong".to_owned());
    let refused = Vault::parse(&format!("vault://{address}/pki/mesh/weft"), token)
        .unwrap()
        .start("x")
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("403") && refused.contains("permission denied"), "{refused}");
    for (text, hint) in
        [("vault://a:1", "MOUNT/ROLE"), ("vault://a:1/pki/weft", "VAULT_TOKEN"), ("vault://a/b/c?tokn=x", "tokn")]
    {
        let error = Vault::parse(text, |_| None).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}
