//! Certificates in files, exchanged under open connections.

use std::{path::Path, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use weft_identity::{Files, Peers};

use crate::handshakes::meet;

const SERVER: &str = "spiffe://mesh.test/svc/server";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A leaf and its key for one use.
    fn leaf(&self, uri: &str, usage: &[ExtendedKeyUsagePurpose]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = usage.to_vec();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn deliver(&self, to: &Path, uri: &str, authorities: &str) {
        let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let (leaf, key) = self.leaf(uri, &both);
        write(to, &leaf, &key, authorities);
    }
}

fn write(to: &Path, leaf: &str, key: &str, authorities: &str) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::write(to.join("ca.crt"), authorities).unwrap();
    std::fs::write(to.join("tls.key"), key).unwrap();
    std::fs::write(to.join("tls.crt"), leaf).unwrap();
}

#[tokio::test]
async fn leaf_and_root_are_exchanged_under_an_open_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (server_dir, client_dir) = (folder.path().join("server"), folder.path().join("client"));
    let (old, new) = (Authority::new(), Authority::new());
    old.deliver(&server_dir, SERVER, &old.pem);
    old.deliver(&client_dir, "spiffe://mesh.test/svc/client", &old.pem);
    let server = Files::in_directory(&server_dir).open().unwrap();
    let client = Files::in_directory(&client_dir).open().unwrap();
    // A connection that stays open all the time.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = server.acceptor(Peers::TrustDomain);
    let echoing = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let (mut stream, _) = acceptor.accept(socket).await.unwrap();
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            stream.write_all(&byte).await.unwrap();
        }
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let mut stream = client.connector().connect(SERVER, socket).await.unwrap();
    let mut still_open = async |value: u8| {
        stream.write_all(&[value]).await.unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte[0], value);
    };
    still_open(1).await;
    // First both roots are trusted, then the leaves change, then the old root goes.
    let both = format!("{}{}", old.pem, new.pem);
    for (authority, trusted) in [(&old, &both), (&new, &both), (&new, &new.pem)] {
        authority.deliver(&server_dir, SERVER, trusted);
        authority.deliver(&client_dir, "spiffe://mesh.test/svc/client", trusted);
        tokio::time::sleep(Duration::from_millis(2200)).await;
        let (peer, said) = meet(&server, Peers::TrustDomain, &client, SERVER).await;
        assert!(peer.is_ok() && said.is_ok(), "{peer:?} {said:?}");
        still_open(2).await;
    }
    // Who still has a leaf of the old root is a stranger now.
    let left = folder.path().join("left");
    old.deliver(&left, "spiffe://mesh.test/svc/left", &both);
    let left = Files::in_directory(&left).open().unwrap();
    let (peer, _) = meet(&server, Peers::TrustDomain, &left, SERVER).await;
    assert_eq!(peer.unwrap_err().label(), "foreign");
    echoing.abort();
}

#[tokio::test]
async fn files_that_do_not_fit_are_refused_and_never_replace_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let dir = folder.path().join("certs");
    authority.deliver(&dir, SERVER, &authority.pem);
    let identity = Files::in_directory(&dir).open().unwrap();
    let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let ((leaf, key), (_, other)) = (authority.leaf(SERVER, &both), authority.leaf(SERVER, &both));
    let unnamed = authority.leaf("https://not.spiffe/", &both);
    let wrong = [
        (leaf.as_str(), other.as_str(), authority.pem.as_str(), "fit"),
        (&leaf[..200], &key, &authority.pem, "tls.crt"),
        (&unnamed.0, &unnamed.1, &authority.pem, "SPIFFE"),
        (&leaf, &key, "", "ca.crt"),
    ];
    for (leaf, key, authorities, hint) in wrong {
        write(&dir, leaf, key, authorities);
        let error = Files::in_directory(&dir).open().unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(identity.spiffe_id(), SERVER);
    }
}

#[tokio::test]
async fn a_certificate_is_good_for_its_use_only() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let dirs = ["server", "client", "server-as-client"].map(|name| folder.path().join(name));
    authority.deliver(&dirs[0], SERVER, &authority.pem);
    let client = authority.leaf("spiffe://mesh.test/svc/client", &[ExtendedKeyUsagePurpose::ClientAuth]);
    write(&dirs[1], &client.0, &client.1, &authority.pem);
    let odd = authority.leaf("spiffe://mesh.test/svc/odd", &[ExtendedKeyUsagePurpose::ServerAuth]);
    write(&dirs[2], &odd.0, &odd.1, &authority.pem);
    let [server, client, odd] = dirs.map(|dir| Files::in_directory(&dir).open().unwrap());
    let (peer, said) = meet(&server, Peers::TrustDomain, &client, SERVER).await;
    assert!(peer.is_ok() && said.is_ok(), "{peer:?} {said:?}");
    let (peer, _) = meet(&server, Peers::TrustDomain, &odd, SERVER).await;
    assert!(peer.is_err());
}
