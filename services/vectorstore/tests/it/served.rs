//! What the service says of itself.

use weft_kit::LIST_TOKENS;
use weft_vectorstore::{Settings, StoreSettings, service};

#[test]
fn the_list_of_tools_fits_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(Settings::default(), folder.path()).unwrap();
    assert!(service.list_tokens() < LIST_TOKENS, "{} tokens", service.list_tokens());
    let names: Vec<_> = service.tool_names().collect();
    for expected in ["search", "upsert", "get", "scroll", "count", "create_collection", "delete_points", "facet"] {
        assert!(names.contains(&expected), "{expected}");
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = |settings: Settings| service(settings, folder.path()).err().unwrap().to_string();
    assert!(start(Settings { stores: Vec::new(), ..Settings::default() }).contains("`stores`"));
    let twice =
        Settings { stores: [Settings::default().stores, Settings::default().stores].concat(), ..Settings::default() };
    assert!(start(twice).contains("two stores"));
    let missing = Settings { documents: Some(folder.path().join("absent")), ..Settings::default() };
    assert!(start(missing).contains("documents"));
    let json = serde_json::json!({ "kind": "qdrant", "name": "q", "url": "http://q", "secret": "x" });
    assert!(serde_json::from_value::<StoreSettings>(json).unwrap_err().to_string().contains("secret"));
}

#[test]
fn a_store_in_use_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let first = service(Settings::default(), folder.path()).unwrap();
    let error = service(Settings::default(), folder.path()).err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    drop(first);
    service(Settings::default(), folder.path()).unwrap();
}
