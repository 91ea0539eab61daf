//! What a gateway knows of services in a cluster while its API lists, watches, forgets, cuts and refuses.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use weft_mesh::{Kubernetes, KubernetesOptions, ServiceId, Snapshot, Watch};

use crate::{
    Owned, all,
    apiserver::{ApiServer, refusal, value},
    until,
};

type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// A slice of the service echo with these addresses.
fn slice(name: &str, version: &str, addresses: &[&str]) -> Value {
    let labels = json!({"weft.dev/mcp": "true", "kubernetes.io/service-name": "mcp-echo"});
    let endpoints: Vec<_> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "namespace": "tools", "resourceVersion": version, "labels": labels},
        "ports": [{"name": "mcp", "port": 8501}], "endpoints": endpoints})
}

fn bookmark(version: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"resourceVersion": version}})
}

async fn follow(uri: &str) -> (Snapshots, Owned) {
    let source = Kubernetes::connect(uri.parse().unwrap()).await.unwrap();
    (source.watch(), Owned(tokio::spawn(async move { source.follow().await })))
}

async fn started(version: &str, slices: &[Value]) -> (ApiServer, Snapshots, Owned) {
    let server = ApiServer::start().await;
    server.list(version, slices);
    let (watch, following) = follow(&format!("k8s://tools?server=http://{}", server.address)).await;
    assert!(watch.borrow().stale && watch.borrow().services.is_empty());
    (server, watch, following)
}

fn hosts(snapshot: &Snapshot) -> Vec<String> {
    all(snapshot).iter().map(|one| one.address.ip().to_string()).collect()
}

async fn until_hosts(watch: &mut Snapshots, expected: &[&str]) {
    until(watch, |snapshot| !snapshot.stale && hosts(snapshot) == expected).await;
}

#[tokio::test]
async fn a_list_is_followed_by_what_changes() {
    let both = [slice("a", "5", &["10.0.0.1"]), slice("b", "6", &["10.0.0.2"])];
    let (mut server, mut watch, _following) = started("7", &both).await;
    until_hosts(&mut watch, &["10.0.0.1", "10.0.0.2"]).await;
    assert_eq!(watch.borrow().services.len(), 1, "two slices, one service");
    let open = server.watch().await;
    assert!(open.target.starts_with("/apis/discovery.k8s.io/v1/namespaces/tools/endpointslices?"), "{}", open.target);
    assert_eq!((open.version(), value(&open.target, "allowWatchBookmarks")), ("7", "true"));
    assert_eq!(value(&open.target, "labelSelector"), "weft.dev%2Fmcp%3Dtrue");
    open.send("ADDED", slice("c", "8", &["10.0.0.3"]));
    until_hosts(&mut watch, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    open.send("MODIFIED", slice("b", "9", &["10.0.0.4"]));
    until_hosts(&mut watch, &["10.0.0.1", "10.0.0.3", "10.0.0.4"]).await;
    open.send("DELETED", slice("a", "10", &["10.0.0.1"]));
    until_hosts(&mut watch, &["10.0.0.3", "10.0.0.4"]).await;
    let revision = watch.borrow().revision;
    open.send("MODIFIED", slice("b", "11", &["10.0.0.4"]));
    open.send("ADDED", slice("d", "12", &["10.0.0.5"]));
    until_hosts(&mut watch, &["10.0.0.3", "10.0.0.4", "10.0.0.5"]).await;
    assert_eq!(watch.borrow().revision, revision + 1, "what changes nothing is no revision");
}

/// A slice of the Service of the gateways, with these pods.
fn gateways(version: &str, pods: &[(&str, &str)]) -> Value {
    let mut slice = slice("gateways", version, &[]);
    slice["metadata"]["labels"]["weft.dev/service"] = json!("gateway");
    slice["ports"] = json!([{"name": "admin", "port": 8081}, {"name": "mcp", "port": 8080}]);
    slice["endpoints"] = pods
        .iter()
        .map(|(pod, address)| json!({"addresses": [address], "targetRef": {"kind": "Pod", "name": pod}}))
        .collect();
    slice
}

#[tokio::test]
async fn gateways_are_known_to_each_other_by_their_pods() {
    let mut server = ApiServer::start().await;
    server.list("7", &[gateways("5", &[("weft-0", "10.0.0.1")]), slice("a", "6", &["10.0.0.9"])]);
    let uri = format!("k8s://tools?server=http://{}&identity=spiffe://w/svc/%7Bservice%7D", server.address);
    let (mut watch, _following) = follow(&uri).await;
    let open = server.watch().await;
    open.send("MODIFIED", gateways("8", &[("weft-0", "10.0.0.1"), ("weft-1", "10.0.0.2")]));
    let both = |snapshot: &Snapshot| snapshot.services.get(&ServiceId::gateway()).map_or(0, Vec::len) == 2;
    let snapshot = until(&mut watch, both).await;
    let found = &snapshot.services[&ServiceId::gateway()];
    let known: Vec<_> = found.iter().map(|one| (one.id.as_str(), one.address.to_string())).collect();
    let expected = [("mcp-gateway-tools.weft-0", "10.0.0.1:8080"), ("mcp-gateway-tools.weft-1", "10.0.0.2:8080")];
    assert_eq!(known, expected.map(|(id, address)| (id, address.to_owned())));
}

#[tokio::test]
async fn a_watch_that_ends_or_breaks_goes_on_at_the_last_version() {
    let (mut server, mut watch, _following) = started("7", &[slice("a", "5", &["10.0.0.1"])]).await;
    let open = server.watch().await;
    open.send("ADDED", slice("b", "9", &["10.0.0.2"]));
    until_hosts(&mut watch, &["10.0.0.1", "10.0.0.2"]).await;
    drop(open);
    let open = server.watch().await;
    assert_eq!(open.version(), "9");
    open.send("BOOKMARK", bookmark("40"));
    open.cut();
    let open = server.watch().await;
    assert_eq!(open.version(), "40");
    open.send("DELETED", slice("a", "41", &[]));
    until_hosts(&mut watch, &["10.0.0.2"]).await;
    assert_eq!(server.lists(), 1);
}

#[tokio::test]
async fn a_version_that_the_server_forgot_leads_to_a_new_list() {
    let (mut server, mut watch, _following) = started("7", &[slice("a", "5", &["10.0.0.1"])]).await;
    let open = server.watch().await;
    until_hosts(&mut watch, &["10.0.0.1"]).await;
    // Told in the stream, then as an answer.
    server.list("50", &[slice("b", "20", &["10.0.0.2"])]);
    open.send("ERROR", refusal(410));
    until_hosts(&mut watch, &["10.0.0.2"]).await;
    let open = server.watch().await;
    assert_eq!(open.version(), "50");
    server.list("90", &[slice("c", "60", &["10.0.0.3"])]);
    server.refuse_watch(410);
    drop(open);
    until_hosts(&mut watch, &["10.0.0.3"]).await;
    assert_eq!((server.watch().await.version(), server.lists()), ("90", 3));
}

#[tokio::test]
async fn while_the_api_is_away_the_last_set_stays_and_is_stale() {
    let (mut server, mut watch, _following) = started("7", &[slice("a", "5", &["10.0.0.1"])]).await;
    let open = server.watch().await;
    until_hosts(&mut watch, &["10.0.0.1"]).await;
    server.refuse(Some(503));
    open.cut();
    let snapshot = until(&mut watch, |snapshot| snapshot.stale).await;
    assert_eq!(hosts(&snapshot), ["10.0.0.1"]);
    server.refuse(None);
    // Nothing has changed, so no event will say that all is well again.
    let open = server.watch().await;
    until_hosts(&mut watch, &["10.0.0.1"]).await;
    assert_eq!((open.version(), server.lists()), ("7", 1));
}

#[tokio::test]
async fn an_error_in_the_stream_is_no_silent_loss() {
    let (mut server, mut watch, _following) = started("7", &[slice("a", "5", &["10.0.0.1"])]).await;
    let open = server.watch().await;
    until_hosts(&mut watch, &["10.0.0.1"]).await;
    server.list("8", &[slice("a", "8", &["10.0.0.2"])]);
    open.send("ERROR", refusal(500));
    until(&mut watch, |snapshot| snapshot.stale && hosts(snapshot) == ["10.0.0.1"]).await;
    until_hosts(&mut watch, &["10.0.0.2"]).await;
}

#[tokio::test]
async fn a_list_in_pages_is_one_change() {
    let server = ApiServer::start().await;
    let (one, two) = ([slice("a", "5", &["10.0.0.1"])], [slice("b", "6", &["10.0.0.2"])]);
    server.pages(&[("7", &one, "1"), ("7", &two, "")]);
    let (mut watch, _following) = follow(&format!("k8s://*?server=http://{}&selector=team%3Dx", server.address)).await;
    watch.changed().await.unwrap();
    assert_eq!(hosts(&watch.borrow_and_update()), ["10.0.0.1", "10.0.0.2"]);
    let heads = server.heads();
    assert!(heads[0].starts_with("GET /apis/discovery.k8s.io/v1/endpointslices?"), "{}", heads[0]);
    assert!(heads[1].contains("continue=1") && heads[1].contains("labelSelector=team%3Dx"), "{}", heads[1]);
}

#[tokio::test]
async fn a_kubeconfig_says_server_namespace_and_credentials() {
    let mut server = ApiServer::start().await;
    server.list("7", &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "none",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", server.address)}}],
        "users": [{"name": "u", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "mine"}}]});
    std::fs::write(&path, config.to_string()).unwrap();
    let uri = format!("k8s://?kubeconfig={}", path.display());
    let error = Kubernetes::connect(uri.parse().unwrap()).await.err().unwrap().to_string();
    assert!(error.contains("no configuration for the cluster"), "{error}");
    let (_watch, _following) = follow(&format!("{uri}&context=x")).await;
    server.watch().await;
    let head = &server.heads()[0];
    assert!(
        head.contains("/namespaces/mine/") && head.to_lowercase().contains("authorization: bearer t0ken"),
        "{head}"
    );
}

#[tokio::test]
async fn a_server_over_tls_needs_no_more_than_its_address() {
    for (server, good) in [("https://127.0.0.1:1", true), ("not an address", false)] {
        let options = KubernetesOptions { server: Some(server.to_owned()), ..("k8s://".parse().unwrap()) };
        assert_eq!(Kubernetes::connect(options).await.is_ok(), good, "{server}");
    }
}
