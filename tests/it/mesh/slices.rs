//! Gateways in a cluster, whose API is a stand-in with endpoint slices: replicas know each other by their pods.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{
    Mesh,
    life::{await_both, handed_over, of_one_era, taken},
};

/// What the API shows, and who watches.
#[derive(Default)]
struct Shown {
    slices: Vec<Value>,
    watches: Vec<TcpStream>,
}

pub(super) struct Api {
    port: u16,
    shown: Arc<Mutex<Shown>>,
}

impl Api {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = Arc::<Mutex<Shown>>::default();
        let told = Arc::clone(&shown);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &mut told.lock().unwrap());
            }
        });
        Self { port, shown }
    }

    /// One endpoint of a service, in a slice of its own, from now on.
    pub(super) fn show(&self, service: &str, pod: &str, port: u16) {
        let mut shown = self.shown.lock().unwrap();
        let version = (shown.slices.len() + 2).to_string();
        let labels = json!({ "weft.dev/mcp": "true", "weft.dev/service": service });
        let slice = json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "name": pod, "namespace": "mesh", "resourceVersion": version, "labels": labels },
            "ports": [{ "name": "mcp", "port": port }],
            "endpoints": [{ "addresses": ["127.0.0.1"], "targetRef": { "kind": "Pod", "name": pod } }] });
        let event = json!({ "type": "ADDED", "object": slice });
        shown.slices.push(slice);
        shown.watches.retain_mut(|watch| writeln!(watch, "{event}").is_ok());
    }

    pub(super) fn registry(&self) -> String {
        format!("k8s://mesh?server=http://127.0.0.1:{}", self.port)
    }
}

/// A list, or the beginning of a watch; one request a connection.
fn answer(mut stream: TcpStream, shown: &mut Shown) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        head.extend(byte);
    }
    let begin = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let head = String::from_utf8_lossy(&head);
    if head.contains("watch=true") {
        let mut lines = format!("{begin}\r\n");
        // What has come since the list that the watcher has (Kubernetes API concepts, efficient detection of changes).
        let since = head.split("resourceVersion=").nth(1).and_then(|rest| rest.split(['&', ' ']).next());
        let since: usize = since.and_then(|version| version.parse().ok()).expect("a watch begins at a version");
        for slice in shown.slices.iter().skip(since - 1) {
            lines.push_str(&format!("{}\n", json!({ "type": "ADDED", "object": slice })));
        }
        // A gateway that has gone meanwhile is no failure of ours.
        if stream.write_all(lines.as_bytes()).is_ok() {
            shown.watches.push(stream);
        }
        return;
    }
    let metadata = json!({ "resourceVersion": (shown.slices.len() + 1).to_string() });
    let list = json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": metadata,
        "items": shown.slices })
    .to_string();
    let _ = write!(stream, "{begin}content-length: {}\r\n\r\n{list}", list.len());
}

#[test]
fn replicas_in_a_cluster_hand_answers_to_each_other() {
    let (mesh, api, servers) = (Mesh::start(), Api::start(), of_one_era());
    let pods = ["weft-gateway-7d9f-aaaaa", "weft-gateway-7d9f-bbbbb"];
    let [first, second] = pods.map(|pod| {
        let gateway = mesh.gateway_at(&api.registry(), &[], &[("WEFT_GATEWAY_POD", &format!("mesh.{pod}"))]);
        api.show("gateway", pod, gateway.port);
        gateway
    });
    // After the gateways: who knows of this one knows of both.
    for (name, server) in &servers {
        api.show(name, &format!("{name}-0"), server.port);
    }
    [&first, &second].into_iter().for_each(await_both);
    handed_over(first.port, second.port);
    assert!(taken(&first) >= 3.0, "{}", taken(&first));
}
