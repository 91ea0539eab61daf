//! Destructive acts: nothing happens at the first call, exactly what was shown happens at the second, once. Attack H02.

use serde_json::{Value, json};
use weft_kit::{Caller, Confirm, Direct, Rules};

use crate::harness::{Client, request, served};
use crate::rack::Rack;

fn direct(rack: &Rack, confirm: Confirm) -> Direct {
    Direct::new(rack.service(), Rules { confirm, ..Rules::default() }).unwrap()
}

async fn plan(direct: &Direct, name: &str) -> String {
    let planned = direct.call("delete", json!({"name": name})).await;
    assert_eq!(planned.data()["applied"], false, "{planned:?}");
    planned.data()["plan"]["plan_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_plan_shows_the_effects_and_its_application_has_them() {
    let rack = Rack::new();
    let direct = direct(&rack, Confirm::Ask);
    let planned = direct.call("delete", json!({"name": "a"})).await;
    assert_eq!(planned.data()["plan"]["effects"], json!(["a"]));
    assert_eq!(planned.data()["plan"]["expires_in_s"], 300);
    assert!(planned.text.contains("Nothing was done"), "{}", planned.text);
    assert_eq!(rack.names().len(), 5);

    let plan_id = &planned.data()["plan"]["plan_id"];
    let applied = direct.call("delete", json!({"name": "a", "plan_id": plan_id})).await;
    assert_eq!((&applied.data()["applied"], &applied.data()["result"]), (&json!(true), &json!(true)));
    assert_eq!(rack.names(), ["b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_plan_is_single_use() {
    let rack = Rack::new();
    let direct = direct(&rack, Confirm::Ask);
    let plan_id = plan(&direct, "a").await;
    assert!(!direct.call("delete", json!({"name": "a", "plan_id": plan_id})).await.is_error);
    rack.notes.lock().unwrap().insert("a".into(), ("again".into(), 1));
    assert_eq!(direct.call("delete", json!({"name": "a", "plan_id": plan_id})).await.code(), "used_plan");
    assert!(rack.names().contains(&"a".to_owned()));
}

#[tokio::test]
async fn a_plan_is_stale_as_soon_as_anything_moved() {
    let rack = Rack::new();
    let direct = direct(&rack, Confirm::Ask);
    let plan_id = plan(&direct, "a").await;
    direct.call("write", json!({"name": "a", "text": "new"})).await;
    assert_eq!(direct.call("delete", json!({"name": "a", "plan_id": plan_id})).await.code(), "stale_plan");
    assert!(rack.names().contains(&"a".to_owned()));
}

#[tokio::test]
async fn a_plan_fits_its_caller_and_its_arguments_only() {
    let rack = Rack::new();
    let direct = direct(&rack, Confirm::Ask);
    let plan_id = plan(&direct, "a").await;
    let mallory = direct.by(Caller { id: "mallory".into(), ..Caller::local("local") });
    assert_eq!(mallory.call("delete", json!({"name": "a", "plan_id": plan_id})).await.code(), "invalid_plan");
    assert_eq!(direct.call("delete", json!({"name": "b", "plan_id": plan_id})).await.code(), "invalid_plan");
    let cursor = direct.call("list", json!({})).await.structured["page"]["cursor"].clone();
    for forged in [json!("x"), json!(plan_id[1..]), cursor] {
        assert_eq!(direct.call("delete", json!({"name": "a", "plan_id": forged})).await.code(), "invalid_plan");
    }
    assert_eq!(direct.call("delete", json!({"name": "a", "plan_id": true})).await.code(), "invalid_arguments");
    assert_eq!(rack.names().len(), 5);
}

#[tokio::test]
async fn policy_decides_who_may_act_at_once() {
    let rack = Rack::new();
    let denied = direct(&rack, Confirm::Deny).call("delete", json!({"name": "a"})).await;
    assert_eq!(denied.code(), "refused");
    let low = direct(&rack, Confirm::AutoIfLowRisk);
    assert_eq!(low.call("delete", json!({"name": "e"})).await.data()["applied"], true, "e can be undone");
    plan(&low, "a").await;
    assert_eq!(direct(&rack, Confirm::Auto).call("delete", json!({"name": "a"})).await.data()["applied"], true);
    assert_eq!(rack.names(), ["b", "c", "d"]);
}

fn delete(name: &str, more: Value) -> Value {
    let mut params = json!({"name": "delete", "arguments": {"name": name}});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    if let Value::Object(more) = more {
        params.as_object_mut().unwrap().extend(more);
    }
    request("tools/call", params)
}

fn answered(state: &Value, answer: Value) -> Value {
    json!({"requestState": state, "inputResponses": {"confirm": answer}})
}

#[tokio::test]
async fn a_client_that_can_ask_its_user_is_told_to_and_only_a_yes_acts() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut client = Client::open(running.address()).await;
    let (_, asked) = client.modern(&delete("a", Value::Null)).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let question = &asked["result"]["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create");
    assert!(question["params"]["message"].as_str().unwrap().starts_with("Delete the note a"));
    let state = &asked["result"]["requestState"];

    for no in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept", "content": {"apply": false}}),
    ] {
        let (_, declined) = client.modern(&delete("a", answered(state, no))).await;
        assert_eq!(declined["result"]["structuredContent"]["error"]["code"], "declined", "{declined}");
    }
    let yes = json!({"action": "accept", "content": {"apply": true}});
    let (_, other) = client.modern(&delete("b", answered(state, yes.clone()))).await;
    assert_eq!(other["result"]["structuredContent"]["error"]["code"], "invalid_plan", "the yes was for a");
    assert_eq!(rack.names().len(), 5);
    let (_, done) = client.modern(&delete("a", answered(state, yes.clone()))).await;
    assert_eq!(done["result"]["structuredContent"]["data"]["applied"], true, "{done}");
    rack.notes.lock().unwrap().insert("a".into(), ("again".into(), 1));
    let (_, again) = client.modern(&delete("a", answered(state, yes))).await;
    assert_eq!(again["result"]["structuredContent"]["error"]["code"], "used_plan", "{again}");
}

#[tokio::test]
async fn the_state_of_a_question_is_no_plan_and_an_unanswered_one_is_asked_again() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut client = Client::open(running.address()).await;
    let (_, asked) = client.modern(&delete("a", Value::Null)).await;
    let state = asked["result"]["requestState"].clone();
    let smuggled = client.tool("delete", json!({"name": "a", "plan_id": state})).await;
    assert_eq!(smuggled["structuredContent"]["error"]["code"], "invalid_plan");
    let (_, again) = client.modern(&delete("a", json!({"requestState": state}))).await;
    assert_eq!(again["result"]["resultType"], "input_required", "{again}");
    assert_eq!(rack.names().len(), 5);
}
