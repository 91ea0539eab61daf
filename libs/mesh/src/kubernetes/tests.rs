//! Against a server that speaks the wire format of Kubernetes' list and watch (API concepts, "Efficient detection of changes").

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

fn slice(name: &str, version: u32, endpoints: &Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": name, "namespace": "mesh", "resourceVersion": version.to_string(),
            "labels": { "weft.dev/mcp": "true", "kubernetes.io/service-name": "mcp-echo" },
            "annotations": { "weft.dev/weight": "3", "weft.dev/sessions": "false" },
        },
        "ports": [{ "name": "admin", "port": 9 }, { "name": "mcp", "port": 8501 }],
        "endpoints": endpoints,
    })
}

fn endpoint(ip: &str, pod: &str, terminating: bool) -> Value {
    json!({
        "addresses": [ip], "zone": "a", "conditions": { "ready": !terminating, "serving": true, "terminating": terminating },
        "targetRef": { "kind": "Pod", "name": pod },
    })
}

/// Answers each request with the next of `answers`; a watch's lines come in one chunk each, then it hangs up.
async fn server(mut answers: mpsc::Receiver<(&'static str, Vec<Value>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let length = socket.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let Some((expected, lines)) = answers.recv().await else { return };
            let is_watch = request.contains("watch=true");
            assert_eq!(is_watch, expected == "watch", "{request}");
            assert!(request.contains("labelSelector=weft.dev%2Fmcp%3Dtrue"), "{request}");
            let mut out = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
            for line in lines {
                let line = format!("{line}\n");
                out.push_str(&format!("{:x}\r\n{line}\r\n", line.len()));
            }
            out.push_str("0\r\n\r\n");
            socket.write_all(out.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn slices_become_instances_through_changes_and_lost_versions() {
    let (tell, told) = mpsc::channel(8);
    let list = |version: u32, items: Vec<Value>| {
        let list = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList",
            "metadata": { "resourceVersion": version.to_string() }, "items": items,
        });
        ("list", vec![list])
    };
    let one = slice("echo-a", 5, &json!([endpoint("10.0.0.1", "echo-1", false)]));
    tell.send(list(10, vec![one.clone()])).await.unwrap();
    let two = slice("echo-b", 11, &json!([endpoint("10.0.0.2", "echo-2", false)]));
    let leaving = slice("echo-a", 12, &json!([endpoint("10.0.0.1", "echo-1", true)]));
    let bookmark = json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "resourceVersion": "13" }, "addressType": "", "endpoints": [] });
    let lines = vec![
        json!({ "type": "ADDED", "object": two }),
        json!({ "type": "MODIFIED", "object": leaving }),
        json!({ "type": "BOOKMARK", "object": bookmark }),
    ];
    tell.send(("watch", lines)).await.unwrap();
    // The version is too old: everything is listed again.
    let gone = json!({ "type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "too old resource version",
        "reason": "Expired", "code": 410 } });
    tell.send(("watch", vec![gone])).await.unwrap();
    tell.send(list(20, vec![two.clone()])).await.unwrap();
    let url = server(told).await;
    let kubernetes = Kubernetes::parse("mesh").unwrap();
    let mut watch = kubernetes.watch();
    let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    let following = tokio::spawn({
        let kubernetes = Arc::clone(&kubernetes);
        async move { kubernetes.follow_with(client).await }
    });
    let mut until = async |what: fn(&[Instance]) -> bool| {
        let seen = |snapshot: &Arc<Snapshot>| what(snapshot.services.values().next().map_or(&[], Vec::as_slice));
        tokio::time::timeout(Duration::from_secs(20), watch.wait_for(seen)).await.unwrap().unwrap().clone()
    };
    let first = until(|all| all.len() == 1).await;
    let instance = &first.services.values().next().unwrap()[0];
    assert_eq!((instance.id.as_str(), instance.address.to_string().as_str()), ("echo-1", "10.0.0.1:8501"));
    assert_eq!((instance.weight, instance.sessions, instance.zone.as_deref()), (3, false, Some("a")));
    until(|all| all.len() == 2 && !all[0].healthy && all[1].healthy).await;
    let last = until(|all| all.len() == 1 && all[0].id == "echo-2").await;
    assert!(!last.stale);
    following.abort();
}
