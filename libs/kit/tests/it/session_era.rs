//! The session era without sessions: handshake and calls stand alone, hanging up cancels nothing, a notification does.

use serde_json::json;

use crate::harness::{Client, GRACE, legacy_call, served, soon};
use crate::rack::Rack;

#[tokio::test]
async fn a_handshake_makes_no_session_and_a_call_needs_none() {
    let running = served(&Rack::new()).await;
    let mut client = Client::open(running.address()).await;
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let response = client.send(&initialize, &[]).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("mcp-session-id"));
    let answer: serde_json::Value = serde_json::from_slice(&crate::harness::body(response).await).unwrap();
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(answer["result"]["capabilities"]["resources"], json!({}), "nothing that needs a session is promised");

    let (status, _) = client.legacy(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!(status, 202);
    let (status, answer) = client.legacy(&legacy_call(1, "list", json!({}))).await;
    assert_eq!(status, 200);
    assert_eq!(answer["result"]["structuredContent"]["data"], json!(["a", "b"]));
    assert!(answer["result"].get("resultType").is_none());
}

#[tokio::test]
async fn hanging_up_does_not_cancel() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut waiting = rack.waiting.subscribe();
    let address = running.address();
    let mut client = Client::open(address).await;
    let call = tokio::spawn(async move { client.legacy(&legacy_call(5, "wait", json!({}))).await });
    soon("the call", waiting.wait_for(|waiting| *waiting == 1)).await.unwrap();
    call.abort();
    drop(call.await);

    // The call is still there to be cancelled by its id: had hanging up cancelled it, it would have ended before this.
    let mut other = Client::open(address).await;
    let (_, listed) = other.legacy(&legacy_call(6, "list", json!({}))).await;
    assert!(listed["result"].is_object());
    assert_eq!(*rack.waited.borrow(), "");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}});
    assert_eq!(other.legacy(&cancel).await.0, 202);
    soon("the cancellation", rack.waited.subscribe().wait_for(|waited| *waited == "stopped")).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_call_is_answered_and_others_go_on() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut waiting = rack.waiting.subscribe();
    let address = running.address();
    let call = |id| async move { Client::open(address).await.legacy(&legacy_call(id, "wait", json!({}))).await };
    let (one, two) = (tokio::spawn(call(1)), tokio::spawn(call(2)));
    soon("both calls", waiting.wait_for(|waiting| *waiting == 2)).await.unwrap();
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    Client::open(address).await.legacy(&cancel).await;
    let (_, answer) = soon("the answer", one).await.unwrap();
    assert_eq!(answer["result"]["structuredContent"]["error"]["code"], "cancelled", "{answer}");
    assert!(!two.is_finished());
    two.abort();
}

#[tokio::test]
async fn a_stream_of_the_session_era_is_drunk_to_the_end_after_a_hang_up() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut message = legacy_call(3, "steps", json!({}));
    message["params"]["_meta"] = json!({"progressToken": 9});
    let mut client = Client::open(running.address()).await;
    let response = client.send(&message, &[("mcp-protocol-version", "2025-11-25")]).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (head, _) = response.into_parts();
    drop((head, client));
    // The instance waits for the call: it would not end in time if the abandoned stream were stuck.
    soon("the end", running.shutdown(GRACE)).await;
}
