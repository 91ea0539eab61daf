//! What the service says of itself.

use weft_kit::{LIST_TOKENS, Reference};
use weft_search::{ClusterSettings, RootSettings, Settings, service};

fn everything(root: &std::path::Path) -> Settings {
    let cluster = ClusterSettings {
        url: Reference::Text("http://127.0.0.1:9".to_owned()),
        authorization: None,
        authorities: None,
        prefix: "weft".to_owned(),
        shared: Vec::new(),
        request_ms: 1_000,
    };
    let roots = vec![RootSettings { name: "here".to_owned(), path: root.to_owned() }];
    Settings { cluster: Some(cluster), roots, native_queries: true, ..Settings::default() }
}

#[test]
fn the_list_of_tools_fits_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(everything(folder.path()), folder.path()).unwrap();
    println!("{} tokens", service.list_tokens());
    assert!(service.list_tokens() < LIST_TOKENS, "{} tokens", service.list_tokens());
}

#[test]
fn what_is_not_configured_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    let names = |settings| service(settings, folder.path()).unwrap().tool_names().collect::<Vec<_>>();
    let (least, most) = (names(Settings::default()), names(everything(folder.path())));
    let more: Vec<_> = most.iter().filter(|name| !least.contains(name)).collect();
    assert_eq!(more, [&"ingest_directory", &"native_query"]);
    // A native query needs a cluster that speaks the language.
    assert_eq!(names(Settings { native_queries: true, ..Settings::default() }), least);
}

#[test]
fn settings_are_checked_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str, path: &str| RootSettings { name: name.to_owned(), path: folder.path().join(path) };
    for (roots, word) in [
        (vec![root("a", "missing")], "missing"),
        (vec![root("A B", "")], "a-z"),
        (vec![root("a", ""), root("a", "")], "two roots"),
        (vec![root("root", "")], "two roots"),
    ] {
        let one = Some(folder.path().to_owned());
        let error = service(Settings { root: one, roots, ..Settings::default() }, folder.path()).err().unwrap();
        assert!(format!("{error:#}").contains(word), "{error:#}");
    }
}
