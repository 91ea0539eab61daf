//! The way between replicas: who comes in by it, and what clients must show beside it.

use super::*;
use crate::DevCa;

/// One handshake; whom the listener took it for, and whether the other end took the listener for a replica.
async fn meets(from: &Served, to: &Served) -> (Result<Guest, IdentityError>, bool) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (accepted, connected) = tokio::join!(to.accept(theirs), from.connect(ours));
    (accepted.map(|(_, guest)| guest), connected.is_ok())
}

fn folder(authority: &Authority) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), authority);
    fs::write(folder.path().join("ca"), authority.0.pem()).unwrap();
    folder
}

#[tokio::test]
async fn replicas_know_each_other_by_their_identity_whatever_clients_must_show() {
    let (authority, mesh) = (Authority::new(), tempfile::tempdir().unwrap());
    let ca = DevCa::open_or_create(mesh.path()).unwrap();
    let as_member = |name: &str| {
        // A certificate of its own for each, as an issuer for pods would give.
        let folder = folder(&authority);
        Served::open(files(folder.path(), true), Some(ca.issue(name).unwrap())).unwrap()
    };
    let (one, other, server) = (as_member("gateway"), as_member("gateway"), as_member("echo"));
    let (guest, known) = meets(&one, &other).await;
    assert_eq!((guest.unwrap(), known), (Guest::Replica, true));
    // Another member of the mesh is no replica, and none takes it for one.
    let (guest, known) = meets(&server, &other).await;
    assert!(guest.is_err() && !known, "{guest:?}");
    let foreign = tempfile::tempdir().unwrap();
    let foreign = DevCa::open_or_create(foreign.path()).unwrap().issue("gateway").unwrap();
    let stranger = Served::open(files(folder(&authority).path(), true), Some(foreign)).unwrap();
    let (guest, known) = meets(&stranger, &other).await;
    assert!(guest.is_err() && !known, "{guest:?}");
}

#[tokio::test]
async fn without_an_identity_replicas_know_each_other_by_the_certificate_that_they_share() {
    let authority = Authority::new();
    let (shared, another) = (folder(&authority), folder(&authority));
    let [one, same, different] = [&shared, &shared, &another].map(|folder| open(folder.path(), true).unwrap());
    let (guest, known) = meets(&one, &same).await;
    assert_eq!((guest.unwrap(), known), (Guest::Replica, true));
    let (guest, known) = meets(&one, &different).await;
    assert!(guest.is_err() && !known, "{guest:?}");
}

#[tokio::test]
async fn asking_for_the_way_of_replicas_is_not_being_one() {
    let (authority, mesh) = (Authority::new(), tempfile::tempdir().unwrap());
    let identity = DevCa::open_or_create(mesh.path()).unwrap().issue("gateway").unwrap();
    let folder = folder(&authority);
    for identity in [None, Some(identity)] {
        let served = Served::open(files(folder.path(), false), identity).unwrap();
        for shown in [None, Some(authority.issue(vec![dns("a.example")], "Ann"))] {
            let mut config = trusting(&authority, shown);
            config.alpn_protocols = vec![b"weft-replica/1".to_vec(), b"h2".to_vec()];
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let name = ServerName::try_from("localhost").unwrap();
            let client = TlsConnector::from(Arc::new(config)).connect(name, theirs);
            let (accepted, _) = tokio::join!(served.accept(ours), client);
            assert!(accepted.is_err());
        }
    }
}
