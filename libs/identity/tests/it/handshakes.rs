//! The rules of the handshake, each broken once.

use std::path::Path;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use weft_identity::{DevCa, Identity, IdentityError, PeerId, Peers};

const SERVER: &str = "spiffe://weft.local/svc/server";

/// A server and a client meet once: whom the server saw, and what the client was told.
pub(crate) async fn meet(
    server: &Identity,
    allow: Peers,
    client: &Identity,
    expected: &str,
) -> (Result<PeerId, IdentityError>, Result<String, IdentityError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = server.acceptor(allow);
    let serving = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let (mut stream, peer) = acceptor.accept(socket).await?;
        let _ = stream.write_all(b"hello").await;
        let _ = stream.shutdown().await;
        Ok(peer)
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let said = match client.connector().connect(expected, socket).await {
        Ok(mut stream) => {
            let mut said = String::new();
            match stream.read_to_string(&mut said).await {
                Ok(_) => Ok(said),
                Err(error) => Err(IdentityError::Handshake(error.to_string())),
            }
        }
        Err(error) => Err(error),
    };
    (serving.await.unwrap(), said)
}

fn authority(path: &Path) -> DevCa {
    DevCa::open_or_create(path).unwrap()
}

#[tokio::test]
async fn peers_of_one_authority_meet_and_know_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(folder.path());
    let (server, client) = (ca.issue("server").unwrap(), ca.issue("client").unwrap());
    assert_eq!(server.spiffe_id(), SERVER);
    let (peer, said) = meet(&server, Peers::TrustDomain, &client, SERVER).await;
    assert_eq!(peer.unwrap(), PeerId("spiffe://weft.local/svc/client".into()));
    assert_eq!(said.unwrap(), "hello");
}

#[tokio::test]
async fn a_foreign_authority_is_refused_by_either_side() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = authority(one.path()).issue("server").unwrap();
    let client = authority(two.path()).issue("client").unwrap();
    let (peer, said) = meet(&server, Peers::TrustDomain, &client, SERVER).await;
    assert!(matches!(said, Err(IdentityError::Foreign)), "{said:?}");
    assert!(peer.is_err());
}

#[tokio::test]
async fn a_wrong_name_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(folder.path());
    let (server, client) = (ca.issue("server").unwrap(), ca.issue("client").unwrap());
    let (_, said) = meet(&server, Peers::TrustDomain, &client, "spiffe://weft.local/svc/other").await;
    assert!(matches!(said, Err(IdentityError::WrongName { .. })), "{said:?}");
    let only = Peers::Only(vec!["spiffe://weft.local/svc/gateway".into()]);
    let (peer, _) = meet(&server, only, &client, SERVER).await;
    let Err(IdentityError::WrongName { found }) = peer else { panic!("{peer:?}") };
    assert_eq!(found, "spiffe://weft.local/svc/client");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_as_expired() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(folder.path());
    // Ended an hour ago; renewing at once gives the same, so it stays expired.
    let server = ca.issue_for("server", time::Duration::hours(-1)).unwrap();
    let client = ca.issue("client").unwrap();
    let (_, said) = meet(&server, Peers::TrustDomain, &client, SERVER).await;
    assert!(matches!(said, Err(IdentityError::Expired)), "{said:?}");
}

#[tokio::test]
async fn plain_text_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let server = authority(folder.path()).issue("server").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = server.acceptor(Peers::TrustDomain);
    let serving = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        acceptor.accept(socket).await.map(|(_, peer)| peer)
    });
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(b"POST /mcp HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let refused = serving.await.unwrap();
    assert!(matches!(refused, Err(IdentityError::PlainText)), "{refused:?}");
}

#[test]
fn two_that_open_one_directory_at_once_get_one_authority() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || DevCa::open_or_create(&path).unwrap().certificate_pem().to_owned())
        })
        .collect();
    let mut seen: Vec<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    seen.dedup();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with("-----BEGIN CERTIFICATE"));
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn a_torn_authority_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path());
    let file = folder.path().join("dev-ca.pem");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    let error = DevCa::open_or_create(folder.path()).err().unwrap().to_string();
    assert!(error.contains("remove the file"), "{error}");
}
