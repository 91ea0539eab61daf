//! Calls end when nobody waits for them any more: hang-up, deadline, stubborn handlers.

use serde_json::json;
use tokio_util::sync::CancellationToken;
use weft_kit::{Direct, Rules};

use crate::harness::{Client, call, modern_headers, served, soon};
use crate::rack::Rack;

#[tokio::test]
async fn hanging_up_cancels_a_call_of_the_stateless_era() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let (mut waiting, mut waited) = (rack.waiting.subscribe(), rack.waited.subscribe());
    let mut client = Client::open(running.address()).await;
    let task = tokio::spawn(async move { client.modern(&call("wait", json!({}))).await });
    soon("the call", waiting.wait_for(|waiting| *waiting == 1)).await.unwrap();
    task.abort();
    drop(task.await);
    soon("the cancellation", waited.wait_for(|waited| *waited == "stopped")).await.unwrap();
}

#[tokio::test]
async fn hanging_up_after_the_stream_began_cancels_too() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut client = Client::open(running.address()).await;
    let mut message = crate::harness::request(
        "subscriptions/listen",
        json!({"notifications": {"resourceSubscriptions": ["note:a"]}}),
    );
    message["id"] = json!("sub");
    let headers = modern_headers(&message);
    let response = client.send(&message, &headers).await;
    assert_eq!(response.status(), 200);
    let mut interest = rack.changes.interest();
    soon("the listener", interest.wait_for(|interest| interest.contains_key("note:a"))).await.unwrap();
    drop((response, client));
    soon("its end", interest.wait_for(std::collections::BTreeMap::is_empty)).await.unwrap();
}

#[tokio::test]
async fn the_callers_deadline_is_kept_and_told() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut client = Client::open(running.address()).await;
    let (status, answer) = client.modern_with(&call("wait", json!({})), &[("weft-deadline-ms", "50")]).await;
    let error = &answer["result"]["structuredContent"]["error"];
    assert_eq!((status, &error["code"], &error["retryable"]), (200, &json!("deadline_exceeded"), &json!(true)));
    assert_eq!(*rack.waited.borrow(), "stopped", "the handler was told");
}

#[tokio::test]
async fn a_handler_that_notices_nothing_is_dropped() {
    let direct = Direct::new(Rack::new().service(), Rules { deadline_s: 0, ..Rules::default() }).unwrap();
    // Left alone it would never end.
    assert_eq!(soon("the answer", direct.call("stubborn", json!({}))).await.code(), "deadline_exceeded");
}

#[tokio::test]
async fn blocking_work_is_told_to_stop_and_frees_its_place() {
    let rack = Rack::new();
    let rules = Rules { blocking: 1, ..Rules::default() };
    let direct = Direct::new(rack.service(), rules).unwrap();
    for round in 1..=2 {
        let token = CancellationToken::new();
        let call = direct.until(token.clone());
        let mut waiting = rack.waiting.subscribe();
        let call = tokio::spawn(async move { call.call("grind", json!({})).await });
        soon("the work", waiting.wait_for(|waiting| *waiting == round)).await.unwrap();
        token.cancel();
        assert_eq!(soon("the answer", call).await.unwrap().code(), "cancelled");
    }
}

#[tokio::test]
async fn a_cancelled_call_says_so() {
    let token = CancellationToken::new();
    let rack = Rack::new();
    let direct = Direct::new(rack.service(), Rules::default()).unwrap().until(token.clone());
    let mut waiting = rack.waiting.subscribe();
    let call = tokio::spawn(async move { direct.call("wait", json!({})).await });
    soon("the call", waiting.wait_for(|waiting| *waiting == 1)).await.unwrap();
    token.cancel();
    assert_eq!(soon("the answer", call).await.unwrap().code(), "cancelled");
}
