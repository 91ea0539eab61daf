//! Changing what a provider has.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use weft_aiml::{AliasSettings, Kind, ProviderSettings, Settings};
use weft_kit::{Caller, Direct};

use crate::fake::{Fake, Way, desk, digest, ok, over, refused};

fn admin(fake: &Fake, allow: &[&str]) -> Direct {
    let mut own = fake.settings("own");
    own.allow = allow.iter().map(|glob| (*glob).to_owned()).collect();
    let aliases = vec![AliasSettings { name: "best".to_owned(), models: vec!["own/talker".to_owned()] }];
    desk(Settings {
        providers: vec![own],
        aliases,
        admin: true,
        admin_roles: vec!["keeper".to_owned()],
        ..Settings::default()
    })
}

/// Where models of so many bytes may be pulled.
fn narrow(fake: &Fake, most: u64) -> Direct {
    let own = ProviderSettings { max_model_bytes: Some(most), ..fake.settings("own") };
    let admin_roles = vec!["keeper".to_owned()];
    desk(Settings { providers: vec![own], admin: true, admin_roles, ..Settings::default() }).by(keeper())
}

fn keeper() -> Caller {
    Caller { id: "k".to_owned(), namespace: "local".to_owned(), roles: vec!["keeper".to_owned()] }
}

/// H06: not offered is not callable.
#[tokio::test]
async fn nothing_can_be_changed_unless_the_operator_wants_it_and_by_whom() {
    let fake = Fake::start(Kind::Ollama).await;
    for tool in ["pull_model", "delete_model", "copy_model", "unload_model"] {
        refused(&over(&fake).call(tool, json!({"model": "own/talker"})).await, "not_found");
    }
    let direct = admin(&fake, &[]);
    refused(&direct.call("pull_model", json!({"model": "own/new"})).await, "refused");
    refused(&direct.call("delete_model", json!({"model": "own/talker"})).await, "refused");
    refused(&direct.call("running_models", json!({})).await, "refused");
    assert!(fake.asked("/api/pull").is_empty() && fake.asked("/api/delete").is_empty());
}

#[tokio::test]
async fn models_are_pulled_copied_and_unloaded() {
    let fake = Fake::start(Kind::Ollama).await;
    let direct = admin(&fake, &[]).by(keeper());
    ok(direct.call("pull_model", json!({"model": "own/llama3.2:1b"})).await);
    assert_eq!(fake.asked("/api/pull")[0]["model"], "llama3.2:1b");
    ok(direct.call("copy_model", json!({"model": "own/talker", "to": "backup"})).await);
    assert_eq!(fake.asked("/api/copy")[0], json!({"source": "talker", "destination": "backup"}));
    refused(&direct.call("copy_model", json!({"model": "own/talker", "to": "embedder"})).await, "conflict");
    ok(direct.call("unload_model", json!({"model": "own/talker"})).await);
    assert_eq!(fake.asked("/api/generate")[0]["keep_alive"], 0);
    let running = ok(direct.call("running_models", json!({})).await);
    assert_eq!((&running[0]["provider"], &running[0]["vram"]), (&json!("own"), &json!(4)));
    fake.will([Way::Breaks("no such manifest".to_owned())]);
    assert!(
        refused(&direct.call("pull_model", json!({"model": "own/nothing"})).await, "rejected").contains("manifest")
    );
}

/// Models are code: names from other registries, outside of what is allowed, or that are paths are refused.
#[tokio::test]
async fn only_what_the_operator_allows_is_pulled() {
    let fake = Fake::start(Kind::Ollama).await;
    let direct = admin(&fake, &[]).by(keeper());
    for name in ["own/evil.example/x/y", "own/hf.co/evil/model"] {
        refused(&direct.call("pull_model", json!({"model": name})).await, "refused");
    }
    for name in ["own/../../etc", "own/a b", "own//etc/passwd", "own/-x", "own/", "talker", "own/x\ny"] {
        refused(&direct.call("pull_model", json!({"model": name})).await, "invalid_arguments");
    }
    let direct = admin(&fake, &["hf.co/good/*", "llama*"]).by(keeper());
    refused(&direct.call("pull_model", json!({"model": "own/mistral"})).await, "refused");
    assert!(fake.asked("/api/pull").is_empty());
    ok(direct.call("pull_model", json!({"model": "own/hf.co/good/model"})).await);
}

#[tokio::test]
async fn a_model_that_is_too_large_is_stopped_while_it_comes() {
    let fake = Fake::start(Kind::Ollama).await;
    ok(narrow(&fake, 30).call("pull_model", json!({"model": "own/fits"})).await);
    let told = refused(&narrow(&fake, 29).call("pull_model", json!({"model": "own/large"})).await, "too_large");
    assert!(told.contains("at least 30 bytes") && told.contains("max_model_bytes"), "{told}");
    while fake.left.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(fake.asked("/api/delete").is_empty(), "nothing was there to be deleted");
    refused(&narrow(&fake, 29).call("pull_model", json!({"model": "own/quick"})).await, "too_large");
    assert_eq!(fake.asked("/api/delete"), [json!({"model": "quick"})], "it came whole before it was stopped");
    refused(&narrow(&fake, 29).call("pull_model", json!({"model": "own/fits"})).await, "too_large");
    assert_eq!(fake.asked("/api/delete").len(), 1, "what was there before was deleted");
}

#[tokio::test]
async fn a_model_is_the_one_that_was_meant_or_is_deleted_again() {
    let fake = Fake::start(Kind::Ollama).await;
    let direct = admin(&fake, &[]).by(keeper());
    let pull = |name: &str, digest: String| {
        direct.call("pull_model", json!({"model": format!("own/{name}"), "digest": digest}))
    };
    ok(pull("good", digest("good")).await);
    ok(pull("good", format!("sha256:{}", digest("good"))).await);
    assert_eq!(fake.asked("/api/pull").len(), 1, "what is there already was pulled again");
    let told = refused(&pull("swapped", digest("good")).await, "digest_mismatch");
    assert!(told.contains(&digest("swapped")), "{told}");
    assert_eq!(fake.asked("/api/delete"), [json!({"model": "swapped"})]);
    let told = refused(&pull("good", digest("other")).await, "digest_mismatch");
    assert!(
        told.contains("stays") && fake.asked("/api/delete").len() == 1,
        "what was there before was deleted: {told}"
    );
    refused(&pull("good", "abc".to_owned()).await, "invalid_arguments");
}

#[tokio::test]
async fn deleting_shows_first_what_goes_and_happens_once() {
    let fake = Fake::start(Kind::Ollama).await;
    let direct = admin(&fake, &[]).by(keeper());
    let shown = ok(direct.call("delete_model", json!({"model": "own/talker"})).await);
    assert_eq!(shown["applied"], false);
    assert_eq!(shown["plan"]["effects"], json!({"model": "own/talker", "bytes": 1000, "aliases": ["best"]}));
    assert!(fake.asked("/api/delete").is_empty());
    let plan = shown["plan"]["plan_id"].clone();
    refused(&direct.call("delete_model", json!({"model": "own/embedder", "plan_id": plan})).await, "invalid_plan");
    ok(direct.call("delete_model", json!({"model": "own/talker", "plan_id": plan})).await);
    assert_eq!(fake.asked("/api/delete"), [json!({"model": "talker"})]);
    assert!(direct.call("delete_model", json!({"model": "own/talker", "plan_id": plan})).await.is_error);
}
