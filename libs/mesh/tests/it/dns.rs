//! What a gateway knows of services in the DNS while the name server answers, fails and comes back.

use std::{sync::Arc, time::Duration};

use hickory_proto::{op::ResponseCode, rr::RecordType};
use tokio::sync::watch;
use weft_mesh::{Dns, Snapshot, Watch};

use crate::{
    Owned, all,
    nameserver::{NameServer, Say, ip, srv},
    until,
};

type Snapshots = watch::Receiver<Arc<Snapshot>>;

const SRV: &str = "_mcp._tcp.echo.example.";
const HOST: &str = "echo.example.";

fn open(uris: &[String]) -> (Arc<Dns>, Owned) {
    let dns = Dns::open(uris.iter().map(|uri| uri.parse().unwrap()).collect()).unwrap();
    let following = Arc::clone(&dns);
    (dns, Owned(tokio::spawn(async move { following.follow().await })))
}

fn host(server: &NameServer) -> String {
    format!("dns://{HOST}?port=8501&path=/x&identity=spiffe://w/svc/echo&nameserver={}", server.address)
}

#[tokio::test]
async fn the_addresses_of_a_host_are_instances_on_the_given_port() {
    let server = NameServer::start().await;
    server.say(HOST, RecordType::A, Say::records(&[ip(HOST, 1, "10.0.0.2"), ip(HOST, 1, "10.0.0.1")]));
    server.say(HOST, RecordType::AAAA, Say::records(&[ip(HOST, 1, "fd00::1")]));
    let (dns, _following) = open(&[host(&server)]);
    assert!(dns.watch().borrow().stale);
    // One kind of address is enough, so a machine that stands still may have one of them for a second without the other.
    let snapshot = until(&mut dns.watch(), |snapshot| !snapshot.stale && all(snapshot).len() == 3).await;
    let instances = all(&snapshot);
    let addresses: Vec<_> = instances.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1:8501", "10.0.0.2:8501", "[fd00::1]:8501"]);
    for one in instances {
        assert_eq!(one.id, format!("mcp-echo-{}", one.address));
        assert_eq!((one.path.as_str(), one.identity.as_deref()), ("/x", Some("spiffe://w/svc/echo")));
        assert!(one.healthy && one.weight == 1);
    }
}

#[tokio::test]
async fn srv_records_say_ports_weights_and_priorities() {
    let server = NameServer::start().await;
    let records = vec![
        srv(SRV, 60, (0, 30, 8501), "a.example."),
        srv(SRV, 60, (0, 10, 8502), "b.example."),
        srv(SRV, 60, (5, 10, 8503), "c.example."),
        srv(SRV, 60, (0, 10, 8504), "gone.example."),
    ];
    let additionals = vec![ip("A.example.", 60, "10.0.0.1")];
    server.say(SRV, RecordType::SRV, Say::Records { answers: records, additionals });
    server.say("b.example.", RecordType::A, Say::records(&[ip("b.example.", 60, "10.0.0.2")]));
    server.say("b.example.", RecordType::AAAA, Say::Code(ResponseCode::ServFail));
    server.say("c.example.", RecordType::AAAA, Say::records(&[ip("c.example.", 60, "fd00::3")]));
    let (dns, _following) = open(&[format!("dns://{SRV}?nameserver={}", server.address)]);
    // A host that was not answered for in time is left out until the next question.
    let snapshot = until(&mut dns.watch(), |snapshot| !snapshot.stale && all(snapshot).len() == 3).await;
    let told: Vec<_> = all(&snapshot)
        .into_iter()
        .map(|one| (one.address.to_string(), one.weight, one.meta["priority"].clone()))
        .collect();
    let expected = [("10.0.0.1:8501", 3, "0"), ("10.0.0.2:8502", 1, "0"), ("[fd00::3]:8503", 0, "5")];
    assert_eq!(told, expected.map(|(address, weight, priority)| (address.into(), weight, priority.into())));
    assert!(server.asked("a.example.", RecordType::A).is_empty(), "its address came with the answer");
}

#[tokio::test]
async fn an_answer_is_held_for_its_ttl_and_asked_for_again() {
    let server = NameServer::start().await;
    server.say(HOST, RecordType::A, Say::records(&[ip(HOST, 2, "10.0.0.1")]));
    let (dns, _following) = open(&[host(&server)]);
    let mut watch = dns.watch();
    until(&mut watch, |snapshot| !snapshot.stale).await;
    server.say(HOST, RecordType::A, Say::records(&[ip(HOST, 2, "10.0.0.2")]));
    until_at(&mut watch, "10.0.0.2:8501").await;
    // Questions are not counted: one that waits for its answer is sent again.
    let first = server.asked(HOST, RecordType::A)[0];
    assert!(first.elapsed() >= Duration::from_secs(2), "{:?}", first.elapsed());
}

/// Waits until this one address is known, and is what was answered last.
async fn until_at(watch: &mut Snapshots, address: &str) {
    let known = |snapshot: &Snapshot| all(snapshot).iter().map(|one| one.address.to_string()).collect::<Vec<_>>();
    until(watch, |snapshot| !snapshot.stale && known(snapshot) == [address]).await;
}

/// The server answers, then does `bad`, then answers again.
async fn stays_while(bad: impl Fn(&NameServer)) {
    let server = NameServer::start().await;
    server.say(HOST, RecordType::A, Say::records(&[ip(HOST, 1, "10.0.0.1")]));
    let (dns, _following) = open(&[host(&server)]);
    let mut watch = dns.watch();
    until(&mut watch, |snapshot| !snapshot.stale).await;
    bad(&server);
    let snapshot = until(&mut watch, |snapshot| snapshot.stale).await;
    assert_eq!(all(&snapshot).len(), 1);
    server.say(HOST, RecordType::A, Say::records(&[ip(HOST, 1, "10.0.0.2")]));
    until_at(&mut watch, "10.0.0.2:8501").await;
}

fn both(server: &NameServer, say: Say) {
    server.say(HOST, RecordType::A, say.clone());
    server.say(HOST, RecordType::AAAA, say);
}

#[tokio::test]
async fn a_server_that_fails_leaves_the_last_set_stale() {
    stays_while(|server| both(server, Say::Code(ResponseCode::ServFail))).await;
}

#[tokio::test]
async fn a_server_that_refuses_leaves_the_last_set_stale() {
    stays_while(|server| both(server, Say::Code(ResponseCode::Refused))).await;
}

#[tokio::test]
async fn a_server_that_is_silent_leaves_the_last_set_stale() {
    stays_while(|server| both(server, Say::Nothing)).await;
}

#[tokio::test]
async fn a_name_that_vanishes_leaves_the_last_set_stale_for_a_while() {
    stays_while(|server| server.forget(HOST, RecordType::A)).await;
}

#[tokio::test]
async fn a_name_without_such_records_leaves_the_last_set_stale_for_a_while() {
    stays_while(|server| both(server, Say::records(&[]))).await;
}

#[tokio::test]
async fn one_name_that_fails_changes_nothing_of_another() {
    let server = NameServer::start().await;
    server.say(HOST, RecordType::A, Say::records(&[ip(HOST, 60, "10.0.0.1")]));
    for kind in [RecordType::A, RecordType::AAAA] {
        server.say("files.example.", kind, Say::Code(ResponseCode::ServFail));
    }
    let nameserver = server.address;
    let other = format!("dns://files.example.?port=1&nameserver={nameserver}");
    let twice = format!("dns://{HOST}?port=8501&nameserver={nameserver}");
    let (dns, _following) = open(&[host(&server), other, twice]);
    let mut watch = dns.watch();
    let snapshot = until(&mut watch, |snapshot| snapshot.services.len() == 1).await;
    assert!(snapshot.stale && all(&snapshot).len() == 1, "{snapshot:?}");
    let found = Say::records(&[ip("files.example.", 60, "10.0.0.9")]);
    server.say("files.example.", RecordType::A, found);
    let snapshot = until(&mut watch, |snapshot| !snapshot.stale).await;
    assert_eq!(snapshot.services.len(), 2);
}

#[test]
fn nothing_to_ask_for_is_said() {
    let error = Dns::open(Vec::new()).err().unwrap().to_string();
    assert!(error.contains("no names"), "{error}");
}
