//! Slices as the API's reference shows them.

use serde_json::{Value, json};

use super::*;

fn read_json(slice: Value) -> Vec<Instance> {
    instances(&serde_json::from_value(slice).unwrap(), &"k8s://?identity=spiffe://w/svc/{service}".parse().unwrap())
}

fn slice(metadata: Value, ports: Value, endpoints: Value) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": metadata, "ports": ports, "endpoints": endpoints})
}

fn echo(endpoints: Value) -> Value {
    let metadata =
        json!({"name": "mcp-echo-x", "namespace": "tools", "labels": {"kubernetes.io/service-name": "mcp-echo"}});
    slice(metadata, json!([{"name": "mcp", "port": 8501, "protocol": "TCP"}]), endpoints)
}

#[test]
fn an_endpoint_with_everything_is_an_instance_with_everything() {
    let metadata = json!({"name": "s", "namespace": "tools",
        "labels": {"kubernetes.io/service-name": "any", "weft.dev/service": "files", "weft.dev/policy": "round_robin",
            "weft.dev/weight": "9"},
        "annotations": {"weft.dev/weight": "3", "weft.dev/path": "/x", "weft.dev/identity": "spiffe://o/files",
            "weft.dev/era": "dual", "weft.dev/schemes": "file, s3", "weft.dev/version": "1.2.3",
            "weft.dev/sessions": "false"}});
    let ports = json!([{"name": "web", "port": 80}, {"name": "mcp", "port": 8501}]);
    let endpoints = json!([{"addresses": ["10.0.0.1"], "zone": "z", "nodeName": "n", "conditions": {"ready": true},
        "targetRef": {"kind": "Pod", "name": "files-0"}}]);
    let all = read_json(slice(metadata, ports, endpoints));
    let meta = [("namespace", "tools"), ("node", "n"), ("pod", "files-0")];
    let expected = Instance {
        id: "mcp-files-tools.files-0".into(),
        path: "/x".into(),
        identity: Some("spiffe://o/files".into()),
        version: "1.2.3".into(),
        weight: 3,
        zone: Some("z".into()),
        era: PeerEra::Dual,
        sessions: false,
        schemes: vec!["file".into(), "s3".into()],
        policy: Some("round_robin".into()),
        meta: meta.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..Instance::new("files".parse().unwrap(), 0, "10.0.0.1:8501".parse().unwrap())
    };
    assert_eq!(all, [expected]);
}

#[test]
fn an_endpoint_with_little_has_the_usual_values() {
    let all = read_json(echo(json!([{"addresses": ["10.0.0.1"]}])));
    assert_eq!((all[0].service.as_ref(), all[0].id.as_str()), ("echo", "mcp-echo-10.0.0.1:8501"));
    assert_eq!((all[0].path.as_str(), all[0].identity.as_deref()), ("/mcp", Some("spiffe://w/svc/echo")));
    assert!(all[0].healthy && all[0].weight == 1);
}

#[test]
fn what_no_label_can_hold_is_read_from_what_one_can() {
    let labels = json!({"kubernetes.io/service-name": "any", "weft.dev/service": "database",
        "weft.dev/schemes": "postgres_sqlite_svn.ssh", "weft.dev/key": "argument.connection"});
    let metadata = json!({"name": "s", "namespace": "tools", "labels": labels});
    let all = read_json(slice(metadata, json!([{"port": 8502}]), json!([{"addresses": ["10.0.0.1"]}])));
    assert_eq!(all[0].schemes, ["postgres", "sqlite", "svn.ssh"]);
    assert_eq!(all[0].meta["key"], "argument:connection");
}

#[test]
fn only_what_is_ready_and_stays_takes_new_calls() {
    for (conditions, healthy) in [
        (json!({}), true),
        (json!({"ready": true, "serving": true, "terminating": false}), true),
        (json!({"ready": false}), false),
        (json!({"ready": false, "serving": true, "terminating": true}), false),
        (json!({"ready": true, "terminating": true}), false),
    ] {
        let all = read_json(echo(json!([{"addresses": ["10.0.0.1"], "conditions": conditions}])));
        assert_eq!(all[0].healthy, healthy, "{conditions}");
    }
}

#[test]
fn a_slice_that_makes_no_sense_gives_nothing() {
    let endpoints = json!([{"addresses": ["10.0.0.1"]}]);
    let named = |annotations: Value| {
        let metadata =
            json!({"name": "s", "labels": {"kubernetes.io/service-name": "echo"}, "annotations": annotations});
        slice(metadata, json!([{"port": 1}]), endpoints.clone())
    };
    assert_eq!(read_json(named(json!({}))).len(), 1);
    for wrong in [
        named(json!({"weft.dev/weight": "much"})),
        named(json!({"weft.dev/era": "old"})),
        named(json!({"weft.dev/sessions": "perhaps"})),
        named(json!({"weft.dev/path": "x"})),
        named(json!({"weft.dev/service": "Not_A_Name"})),
        slice(json!({"name": "s"}), json!([{"port": 1}]), endpoints.clone()),
        slice(json!({"name": "s", "labels": {"weft.dev/service": "echo"}}), json!([]), endpoints.clone()),
        slice(
            json!({"name": "s", "labels": {"weft.dev/service": "echo"}}),
            json!([{"port": 1, "protocol": "UDP"}]),
            endpoints.clone(),
        ),
    ] {
        assert!(read_json(wrong.clone()).is_empty(), "{wrong}");
    }
    let mut hosts = echo(json!([{"addresses": ["host.example"]}]));
    hosts["addressType"] = json!("FQDN");
    assert!(read_json(hosts).is_empty());
}

#[test]
fn a_pod_in_two_slices_is_one_instance() {
    let pod = |address: &str, ready: bool| {
        let target = json!({"kind": "Pod", "name": "echo-0"});
        json!({"addresses": [address], "targetRef": target, "conditions": {"ready": ready}})
    };
    let mut six = echo(json!([pod("fd00::1", true)]));
    six["addressType"] = json!("IPv6");
    let four = read_json(echo(json!([pod("10.0.0.1", false)])));
    let moved = read_json(echo(json!([pod("10.0.0.1", true), {"addresses": ["10.0.0.2"]}])));
    let joined = join([read_json(six), four, moved].iter());
    let all: Vec<_> = joined.values().flatten().map(|one| (one.address.to_string(), one.healthy)).collect();
    assert_eq!(all, [("10.0.0.2:8501".to_owned(), true), ("10.0.0.1:8501".to_owned(), true)]);
}
