//! Many callers at the same models: budgets, turns, kept answers, and who may know of what.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future;
use serde_json::{Value, json};
use weft_aiml::{Allowance, Kind, ModelSettings, Settings};
use weft_kit::Caller;

use crate::fake::{Fake, KINDS, Way, desk, ok, over, refused, says};

fn caller(id: &str, namespace: &str, roles: &[&str]) -> Caller {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Caller { id: id.to_owned(), namespace: namespace.to_owned(), roles }
}

fn asked(max_tokens: u64) -> Value {
    json!({"model": "own/talker", "prompt": "?", "max_tokens": max_tokens})
}

#[tokio::test]
async fn a_caller_is_held_to_its_budget_and_told_what_is_left() {
    let fake = Fake::start(Kind::Ollama).await;
    let allowance = Allowance { tokens: Some(100), ..Allowance::default() };
    let direct = desk(Settings { providers: vec![fake.settings("own")], allowance, ..Settings::default() });
    fake.will([says("one two three four")]);
    ok(direct.call("generate", asked(50)).await);
    let account = ok(direct.call("usage", json!({})).await);
    assert_eq!((&account["tokens"], &account["most_tokens"]), (&json!(15), &json!(100)));
    let told = refused(&direct.call("generate", asked(90)).await, "budget_exceeded");
    assert!(told.contains("85 of 100"), "{told}");
    assert_eq!(fake.chats().len(), 1, "a refused call reached the model");
    ok(direct.by(caller("other", "local", &[])).call("generate", asked(90)).await);
}

#[tokio::test]
async fn giving_up_early_is_not_for_free() {
    let fake = Fake::start(Kind::Openai).await;
    let direct = over(&fake);
    fake.will([Way::Cut("one two three".to_owned())]);
    refused(&direct.call("generate", asked(50)).await, "unavailable");
    let tokens = ok(direct.call("usage", json!({})).await)["tokens"].as_u64().unwrap();
    assert!(tokens >= 3, "{tokens}");
}

#[tokio::test]
async fn neither_calls_at_once_nor_calls_that_break_off_evade_the_budget_of_costs() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        fake.will((0..2).map(|_| Way::Slowly("a b c d".to_owned(), Duration::from_millis(50))));
        let mut own = fake.settings("own");
        own.models = vec![ModelSettings { id: "talker".to_owned(), price_out: 1e4, ..ModelSettings::default() }];
        let allowance = Allowance { cost: Some(1.0), ..Allowance::default() };
        let direct = desk(Settings { providers: vec![own], allowance, ..Settings::default() });
        let outcomes = future::join_all((0..6).map(|_| direct.call("generate", asked(40)))).await;
        let (done, over): (Vec<_>, Vec<_>) = outcomes.iter().partition(|called| !called.is_error);
        assert_eq!((done.len(), over.len()), (2, 4));
        over.iter().for_each(|called| assert!(refused(called, "budget_exceeded").contains("may cost 0.4")));
        let cost = async || ok(direct.call("usage", json!({})).await)["cost"].as_f64().unwrap();
        assert!((cost().await - 0.08).abs() < 1e-9, "{}", cost().await);
        fake.will([Way::Cut("one two three".to_owned()), Way::Thinks(5), Way::Status(429, String::new())]);
        for _ in 0..2 {
            refused(&direct.call("generate", asked(40)).await, "unavailable");
        }
        assert!((cost().await - 0.16).abs() < 1e-9, "{}", cost().await);
        refused(&direct.call("generate", asked(40)).await, "busy");
        assert!((cost().await - 0.16).abs() < 1e-9, "a provider that refused was paid");
    }
}

#[tokio::test]
async fn a_model_works_on_no_more_calls_than_it_can_and_a_full_line_is_said() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        fake.will((0..8).map(|_| Way::Slowly("a b c".to_owned(), Duration::from_millis(10))));
        let mut own = fake.settings("own");
        (own.concurrency, own.waiting) = (2, 4);
        let direct = desk(Settings { providers: vec![own], ..Settings::default() });
        ok(direct.call("list_models", json!({})).await);
        let calls = (0..8).map(|number| {
            let direct = direct.by(caller(&format!("c{number}"), "local", &[]));
            async move { direct.call("generate", asked(9)).await }
        });
        let outcomes = future::join_all(calls).await;
        let (done, busy): (Vec<_>, Vec<_>) = outcomes.iter().partition(|called| !called.is_error);
        assert_eq!((done.len(), busy.len()), (6, 2));
        busy.iter().for_each(|called| drop(refused(called, "busy")));
        assert_eq!(fake.most.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_deterministic_answer_is_kept_for_its_namespace_and_costs_nothing_again() {
    let fake = Fake::start(Kind::Ollama).await;
    fake.will([says("first"), says("second"), says("third")]);
    let direct = over(&fake);
    let same = json!({"model": "own/talker", "prompt": "?", "temperature": 0});
    assert_eq!(ok(direct.call("generate", same.clone()).await)["by"]["cached"], false);
    let used = ok(direct.call("usage", json!({})).await)["tokens"].clone();
    let again = ok(direct.call("generate", same.clone()).await);
    assert_eq!((&again["text"], &again["by"]["cached"]), (&json!("first"), &json!(true)));
    assert_eq!(ok(direct.call("usage", json!({})).await)["tokens"], used);
    // Another tenant asks anew, and so does whoever leaves something to chance.
    let other = direct.by(caller("local", "other", &[]));
    assert_eq!(ok(other.call("generate", same).await)["text"], "second");
    assert_eq!(
        ok(direct.call("generate", json!({"model": "own/talker", "prompt": "?", "temperature": 1})).await)["text"],
        "third"
    );
}

#[tokio::test]
async fn models_are_measured_by_what_they_answer_now_and_not_by_what_is_kept() {
    let fake = Fake::start(Kind::Ollama).await;
    fake.will((0..6).map(|_| Way::Slowly("Paris".to_owned(), Duration::from_millis(20))));
    let direct = over(&fake);
    ok(direct.call("generate", json!({"model": "own/talker", "prompt": "France?", "temperature": 0})).await);
    let same = json!([{"input": "France?", "expected": "Paris"}, {"input": "France?", "expected": "Paris"}]);
    for asked in [3, 5] {
        let data = ok(direct.call("evaluate", json!({"model": "own/talker", "cases": same})).await);
        assert!(data["median_ms"].as_u64().unwrap() > 0 && data["by"]["cached"] == false, "{data}");
        assert_eq!(fake.chats().len(), asked);
    }
    let both = json!({"models": ["own/talker", "talker"], "prompt": "France?", "temperature": 0});
    for asked in [7, 9] {
        ok(direct.call("compare_models", both.clone()).await);
        assert_eq!(fake.chats().len(), asked);
    }
}

/// H02, E05: what belongs to others looks as if it did not exist.
#[tokio::test]
async fn a_provider_of_other_tenants_or_roles_does_not_exist() {
    let fake = Fake::start(Kind::Ollama).await;
    let (mut tenant, mut role) = (fake.settings("tenant"), fake.settings("role"));
    tenant.tenants = vec!["team-*".to_owned()];
    role.roles = vec!["scientist".to_owned()];
    role.allow = vec!["talk*".to_owned()];
    let direct = desk(Settings { providers: vec![tenant, role], ..Settings::default() });
    let nobody = direct.by(caller("a", "elsewhere", &[]));
    let unknown =
        refused(&nobody.call("generate", json!({"model": "nothing/talker", "prompt": "?"})).await, "not_found");
    for name in ["tenant", "role"] {
        let told = refused(
            &nobody.call("generate", json!({"model": format!("{name}/talker"), "prompt": "?"})).await,
            "not_found",
        );
        assert_eq!(told.replace(name, "nothing"), unknown);
    }
    let listed = ok(nobody.call("list_models", json!({})).await);
    assert_eq!(listed["providers"].as_array().unwrap().len(), 1, "{listed}");
    assert!(nobody.read("model://tenant/talker").await.is_err());
    refused(&nobody.call("generate", json!({"prompt": "?"})).await, "no_model");
    let member = direct.by(caller("b", "team-x", &[]));
    assert_eq!(
        ok(member.call("generate", json!({"model": "talker", "prompt": "?"})).await)["by"]["model"],
        "tenant/talker"
    );
    let scientist = direct.by(caller("c", "elsewhere", &["scientist"]));
    ok(scientist.call("generate", json!({"model": "role/talker", "prompt": "?"})).await);
    refused(&scientist.call("embed", json!({"model": "role/embedder", "inputs": ["x"]})).await, "not_found");
}
