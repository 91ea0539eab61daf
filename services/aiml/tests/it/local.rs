//! Models of a folder: no other server anywhere. What they compute is proven in `libs/embed`; here it is what callers get of them.

use serde_json::{Value, json};
use weft_aiml::{ProviderSettings, Settings};
use weft_kit::{Caller, Direct};
use weft_testkit::{Models, models};

use crate::fake::{desk, ok, refused};

fn over(models: &Models) -> Direct {
    let providers = vec![ProviderSettings::local("here", &models.small)];
    let keeper = Caller { roles: vec!["keeper".to_owned()], ..Caller::local("local") };
    desk(Settings { providers, admin: true, admin_roles: keeper.roles.clone(), ..Settings::default() }).by(keeper)
}

fn identity(list: &Value, name: &str) -> String {
    let own = list["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap();
    format!("{name}@{}", own["digest"].as_str().unwrap())
}

#[tokio::test]
async fn models_of_a_folder_are_listed_with_what_they_can_do() {
    let Some(models) = models() else { return };
    let direct = over(models);
    let list = ok(direct.call("list_models", json!({})).await);
    let own = |name: &str| list["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap();
    assert_eq!(own("here/embedder")["capabilities"], json!(["embed"]));
    assert_eq!((&own("here/embedder")["dimensions"], &own("here/embedder")["context"]), (&json!(32), &json!(40)));
    assert_eq!(own("here/other")["capabilities"], json!(["rerank"]));
    let embedded = ok(direct.call("embed", json!({"inputs": ["a fox", "the dog"]})).await);
    assert_eq!(embedded["identity"], identity(&list, "here/embedder"), "it is taken before what is no model");
    assert_eq!(embedded["vectors"][1]["vector"].as_array().unwrap().len(), 32);
    refused(&direct.call("generate", json!({"prompt": "Hello"})).await, "no_model");
}

#[tokio::test]
async fn a_text_that_is_too_long_is_cut_if_asked_and_told() {
    let Some(models) = models() else { return };
    let direct = over(models);
    let long = "the red fox ".repeat(100);
    let called = direct.call("embed", json!({"inputs": ["a fox", long]})).await;
    let data = ok(called);
    assert!(data["vectors"][0]["vector"].is_array() && data["vectors"][1]["vector"].is_null(), "{data}");
    assert!(data["vectors"][1]["error"].as_str().unwrap().contains("40 tokens"), "{data}");
    for _ in 0..2 {
        let called = direct.call("embed", json!({"inputs": ["a fox", long], "truncate": true})).await;
        assert!(called.structured["warnings"].to_string().contains("were cut"), "{}", called.structured);
        assert!(ok(called)["vectors"][1]["vector"].is_array());
    }
    let counted = ok(direct.call("count_tokens", json!({"text": "the red fox", "model": "here/embedder"})).await);
    assert_eq!(counted, json!({"tokens": 5, "exact": true, "context": 40}));
}

#[tokio::test]
async fn documents_are_ordered_by_a_reranker_or_by_vectors() {
    let Some(models) = models() else { return };
    let direct = over(models);
    let documents = json!(["a lazy dog", "the quick red fox", "under the tree"]);
    for (model, method) in [("here/reranker", "rerank"), ("here/other", "rerank"), ("here/embedder", "cosine")] {
        let asked = json!({"model": model, "query": "the quick red fox", "documents": documents});
        let data = ok(direct.call("rerank", asked).await);
        assert_eq!((&data["method"], data["ranked"].as_array().unwrap().len()), (&json!(method), 3), "{data}");
        if method == "cosine" {
            assert_eq!(data["ranked"][0]["index"], 1, "the same text is nearest");
        }
    }
}

#[tokio::test]
async fn memory_is_shown_and_freed() {
    let Some(models) = models() else { return };
    let direct = over(models);
    assert_eq!(ok(direct.call("running_models", json!({})).await), json!([]), "nothing is loaded before it is used");
    ok(direct.call("embed", json!({"model": "here/embedder", "inputs": ["a fox"]})).await);
    let running = ok(direct.call("running_models", json!({})).await);
    assert_eq!((&running[0]["provider"], &running[0]["model"]), (&json!("here"), &json!("embedder")));
    assert!(running[0]["size"].as_u64().unwrap() > 50_000 && running[0]["until"].is_string(), "{running}");
    ok(direct.call("unload_model", json!({"model": "here/embedder"})).await);
    assert_eq!(ok(direct.call("running_models", json!({})).await), json!([]));
}

#[tokio::test]
async fn minilm_sorts_by_meaning() {
    let Some(models) = models() else { return };
    let providers = vec![ProviderSettings::local("here", &models.minilm)];
    let direct = desk(Settings { providers, ..Settings::default() });
    // None of the words is shared.
    let labels = json!({"sports": "football, match, player", "finance": "bank, stocks, interest"});
    let asked = json!({"text": "The striker scored twice before half time", "labels": labels});
    let data = ok(direct.call("classify", asked).await);
    assert_eq!((&data["labels"], &data["method"]), (&json!(["sports"]), &json!("cosine")), "{data}");
    let documents = json!(["Bake the bread for an hour", "Recover access to your account", "Sunny tomorrow"]);
    let data = ok(direct.call("rerank", json!({"query": "forgotten password", "documents": documents})).await);
    assert_eq!(data["ranked"][0]["index"], 1, "{data}");
}

#[tokio::test]
async fn a_folder_with_nothing_to_use_leaves_what_works_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("broken")).unwrap();
    std::fs::write(folder.path().join("broken/config.json"), "{}").unwrap();
    for (path, code) in [(folder.path().to_owned(), "not_found"), (folder.path().join("gone"), "unavailable")] {
        let providers = vec![ProviderSettings::local("here", &path)];
        let direct = desk(Settings { providers, ..Settings::default() });
        let data = ok(direct.call("embed", json!({"inputs": ["a"]})).await);
        assert_eq!(data["identity"], "builtin/lexical@lexical/1");
        refused(&direct.call("embed", json!({"model": "here/broken", "inputs": ["a"]})).await, code);
    }
}
