//! Inside the mesh: announced with an identity, reached over mutual TLS, and the gateway alone speaks for callers.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use weft_identity::{Connector, DevCa, Identity, Peers};
use weft_kit::{Host, Running, serve};
use weft_mesh::{Local, PeerEra, Watch};

use crate::harness::{GRACE, call, host, modern_headers, soon};
use crate::rack::Rack;

struct Mesh {
    ca: DevCa,
    _dir: tempfile::TempDir,
}

impl Mesh {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { ca: DevCa::open_or_create(&dir.path().join("ca")).unwrap(), _dir: dir }
    }

    fn identity(&self, name: &str) -> Identity {
        self.ca.issue(name).unwrap()
    }

    async fn served(&self, gateway: Peers) -> Running {
        let host = Host { identity: Some(self.identity("rack")), gateway, ..host() };
        serve(Rack::new().service(), host).await.unwrap()
    }
}

fn only(identity: &Identity) -> Peers {
    Peers::Only(vec![identity.spiffe_id()])
}

/// Asks `whoami` as `identity` with the headers of a gateway; an error is a refused connection.
async fn whoami(
    connector: &Connector,
    server: &str,
    address: SocketAddr,
    claims: &[(&str, &str)],
) -> Result<Value, String> {
    let message = call("whoami", json!({}));
    let mut request = hyper::Request::post("/mcp").header("host", address.to_string());
    request =
        request.header("content-type", "application/json").header("accept", "application/json, text/event-stream");
    for (name, value) in modern_headers(&message).iter().chain(claims) {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::from(message.to_string())).unwrap();
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let stream = connector.connect(server, stream).await.map_err(|error| error.to_string())?;
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let response = if is_h2 {
        let io = TokioIo::new(stream);
        let (mut sender, line) = http2::handshake(TokioExecutor::new(), io).await.map_err(|error| error.to_string())?;
        tokio::spawn(line);
        let uri = format!("http://{address}/mcp").parse().unwrap();
        let mut request = request;
        *request.uri_mut() = uri;
        request.headers_mut().remove("host");
        sender.send_request(request).await.map_err(|error| error.to_string())?
    } else {
        let (mut sender, line) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(line);
        sender.send_request(request).await.map_err(|error| error.to_string())?
    };
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    let answer: Value = serde_json::from_slice(&body).map_err(|_| String::from_utf8_lossy(&body).into_owned())?;
    Ok(answer["result"]["structuredContent"]["data"].clone())
}

const CLAIMS: [(&str, &str); 3] =
    [("weft-caller", "alice"), ("weft-namespace", "team-a"), ("weft-roles", "reader,writer")];

#[tokio::test]
async fn the_gateway_speaks_for_its_callers() {
    let mesh = Mesh::new();
    let gateway = mesh.identity("gateway");
    let running = mesh.served(only(&gateway)).await;
    let server = mesh.identity("rack").spiffe_id();
    let who = whoami(&gateway.connector(), &server, running.address(), &CLAIMS).await.unwrap();
    assert_eq!(who, json!({"caller": "alice", "namespace": "team-a", "roles": ["reader", "writer"]}));
    let who = whoami(&gateway.connector().offering_http2(), &server, running.address(), &[]).await.unwrap();
    assert_eq!(who["namespace"], "local");
}

#[tokio::test]
async fn a_peer_of_the_trust_domain_speaks_only_for_itself() {
    let mesh = Mesh::new();
    let running = mesh.served(Peers::TrustDomain).await;
    let other = mesh.identity("search");
    let who = whoami(&other.connector(), &mesh.identity("rack").spiffe_id(), running.address(), &CLAIMS).await.unwrap();
    assert_eq!(who, json!({"caller": other.spiffe_id(), "namespace": "local", "roles": []}));
}

#[tokio::test]
async fn strangers_other_services_and_plain_text_get_no_answer() {
    let mesh = Mesh::new();
    let running = mesh.served(only(&mesh.identity("gateway"))).await;
    let server = mesh.identity("rack").spiffe_id();
    for stranger in [mesh.identity("search"), Mesh::new().identity("gateway")] {
        let refused = soon("the refusal", whoami(&stranger.connector(), &server, running.address(), &CLAIMS)).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let stream = TcpStream::connect(running.address()).await.unwrap();
    let (mut sender, line) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(line);
    let request = hyper::Request::get("/live").header("host", "x").body(Full::<Bytes>::default()).unwrap();
    assert!(soon("the refusal", sender.send_request(request)).await.is_err());
}

#[tokio::test]
async fn an_instance_is_announced_when_it_can_answer_and_withdrawn_first() {
    let mesh = Mesh::new();
    let registry = Local::new();
    let mut seen = registry.watch();
    let identity = mesh.identity("rack");
    let host = Host {
        identity: Some(identity.clone()),
        register: Some(registry),
        instance: Some(3),
        zone: Some("z1".into()),
        ..host()
    };
    let running = serve(Rack::new().service(), host).await.unwrap();
    let instance = {
        let snapshot = seen.borrow_and_update();
        snapshot.services[running.service()][0].clone()
    };
    assert_eq!(
        (instance.id.as_str(), instance.address, instance.path.as_str()),
        ("mcp-rack-3", running.address(), "/mcp")
    );
    assert_eq!(instance.identity, Some(identity.spiffe_id()));
    assert_eq!((instance.era, instance.sessions), (PeerEra::Dual, false));
    assert_eq!(
        (instance.version.as_str(), instance.schemes, instance.zone),
        ("1.2.3", vec!["note".into()], Some("z1".into()))
    );
    let end = tokio::spawn(running.shutdown(GRACE));
    soon("the withdrawal", seen.wait_for(|snapshot| snapshot.services.is_empty())).await.unwrap();
    soon("the end", end).await.unwrap();
}
