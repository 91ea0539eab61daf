//! An instance ends in order: not ready, subscriptions done, calls finished, tasks joined, nothing left.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use weft_kit::serve;

use crate::harness::{Client, Events, GRACE, call, host, modern_headers, request, served, soon};
use crate::rack::Rack;

#[tokio::test]
async fn a_call_in_flight_finishes_and_the_port_closes() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let address = running.address();
    let mut client = Client::open(address).await;
    let mut waiting = rack.waiting.subscribe();
    let call = tokio::spawn(async move { client.modern(&call("wait", json!({}))).await });
    soon("the call", waiting.wait_for(|waiting| *waiting == 1)).await.unwrap();
    let end = tokio::spawn(running.shutdown(GRACE));
    soon("the closing of the port", closed(address)).await;
    assert!(!call.is_finished() && !end.is_finished(), "the end waits for the call");
    rack.let_go.send_replace(true);
    let (status, answer) = soon("the answer", call).await.unwrap();
    assert_eq!((status, &answer["result"]["structuredContent"]["data"]), (200, &json!(true)), "{answer}");
    soon("the end", end).await.unwrap();
    assert_eq!(rack.tasks_ended.load(Ordering::SeqCst), 1);
}

/// Returns when nobody listens there. Tries again, because another test may be given the port for a moment.
async fn closed(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_is_halted_with_an_answer() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut client = Client::open(running.address()).await;
    let mut waiting = rack.waiting.subscribe();
    let call = tokio::spawn(async move { client.modern(&call("wait", json!({}))).await });
    soon("the call", waiting.wait_for(|waiting| *waiting == 1)).await.unwrap();
    soon("the end", running.shutdown(Duration::from_millis(50))).await;
    let (_, answer) = call.await.unwrap();
    let error = &answer["result"]["structuredContent"]["error"];
    assert_eq!((&error["code"], &error["retryable"]), (&json!("unavailable"), &json!(true)), "{answer}");
}

#[tokio::test]
async fn a_subscription_ends_with_a_result() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut client = Client::open(running.address()).await;
    let message = request("subscriptions/listen", json!({"notifications": {"resourcesListChanged": true}}));
    let headers = modern_headers(&message);
    let mut events = Events::of(client.send(&message, &headers).await);
    let acknowledged = soon("the acknowledgement", events.next()).await.unwrap();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let end = tokio::spawn(running.shutdown(GRACE));
    let last = soon("the result", events.next()).await.unwrap();
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(1), &json!("complete")), "{last}");
    assert!(events.next().await.is_none());
    soon("the end", end).await.unwrap();
}

#[tokio::test]
async fn health_is_told_on_both_listeners_and_metrics_where_there_are_some() {
    let mut host = host();
    host.admin = Some("127.0.0.1:0".parse().unwrap());
    host.metrics = Some(std::sync::Arc::new(|| "weft_up 1\n".to_owned()));
    let running = serve(Rack::new().service(), host).await.unwrap();
    let admin = running.admin().unwrap();
    for address in [running.address(), admin] {
        let mut client = Client::open(address).await;
        assert_eq!(client.get("/live").await, (200, "live\n".into()));
        assert_eq!(client.get("/ready").await, (200, "ready\n".into()));
        assert_eq!(client.get("/health").await, (200, "{\"service\":\"rack\",\"state\":\"ready\"}\n".into()));
        assert_eq!(client.get("/metrics").await, (200, "weft_up 1\n".into()));
    }
    let response = Client::open(admin).await.send(&call("list", json!({})), &[]).await;
    assert_eq!(response.status(), 404, "no tools on the admin listener");
}

#[tokio::test]
async fn an_instance_is_ready_while_something_behind_it_answers() {
    use std::sync::atomic::{AtomicU8, Ordering};
    let felt = std::sync::Arc::new(AtomicU8::new(0));
    let feeling = std::sync::Arc::clone(&felt);
    let service = weft_kit::Service::build(
        "name = \"moody\"\ntitle = \"Moody\"\ndescription = \"For tests.\"\nport = 7802\npolicy = \"round_robin\"\n",
        "1.0.0",
        (),
    )
    .fitness(move |()| match feeling.load(Ordering::Relaxed) {
        0 => weft_kit::Fitness::Fit,
        1 => weft_kit::Fitness::Degraded,
        _ => weft_kit::Fitness::Unfit,
    })
    .finish()
    .unwrap();
    let running = serve(service, host()).await.unwrap();
    let mut client = Client::open(running.address()).await;
    for (mood, status, state) in [(0, 200, "ready"), (1, 200, "degraded"), (2, 503, "unfit"), (0, 200, "ready")] {
        felt.store(mood, Ordering::Relaxed);
        let health = (status, format!("{{\"service\":\"moody\",\"state\":\"{state}\"}}\n"));
        assert_eq!(client.get("/health").await, health);
        let ready = if status == 200 { "ready\n" } else { "unfit\n" };
        assert_eq!(client.get("/ready").await, (status, ready.to_owned()));
        assert_eq!(client.get("/live").await.0, 200);
    }
}
