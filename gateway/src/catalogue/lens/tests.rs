//! What a lens lets through, over shelves of two services.

use serde_json::{Value, json};

use super::{super::shelf::Page, *};
use crate::catalogue::Kind;

fn shelf(schemes: &[&str], page: &Value) -> Shelf {
    let text = page.to_string();
    let page: Page<'_> = serde_json::from_str(&text).unwrap();
    let mut shelf = Shelf {
        ttl_ms: 5000,
        schemes: schemes.iter().map(|scheme| (*scheme).to_owned()).collect(),
        ..Shelf::default()
    };
    shelf.add(&page);
    shelf
}

fn shelves() -> BTreeMap<ServiceId, Shelf> {
    let files = json!({ "cacheScope": "public", "ttlMs": 5000,
        "tools": [{ "name": "read_file", "description": "Reads." }, { "name": "read_media" }, { "name": "delete_file" }],
        "resourceTemplates": [{ "uriTemplate": "file://{+path}", "name": "file" }] });
    let memory = json!({ "cacheScope": "public", "ttlMs": 5000,
        "tools": [{ "name": "store" }, { "name": "recall" }],
        "prompts": [{ "name": "reflect" }], "resources": [{ "uri": "fact://1", "name": "one" }] });
    let tools = json!({ "cacheScope": "public", "tools": [{ "name": "tools" }] });
    BTreeMap::from([
        ("files".parse().unwrap(), shelf(&["file"], &files)),
        ("memory".parse().unwrap(), shelf(&[], &memory)),
        ("find".parse().unwrap(), shelf(&[], &tools)),
    ])
}

fn look(settings: &VirtualSettings) -> View {
    let mut wrong = Vec::new();
    let lens = Arc::new(Lens::new("desk", settings, &mut wrong));
    assert!(wrong.is_empty(), "{wrong:?}");
    let shelves = shelves();
    let all = View::build("weft", None, &shelves, None);
    lens.look("weft", &shelves, &all)
}

fn list(view: &View, kind: Kind) -> Vec<String> {
    let list: Value = serde_json::from_slice(&view.stateless_list(kind).whole()).unwrap();
    let (member, key) = match kind {
        Kind::Tools => ("tools", "name"),
        Kind::Prompts => ("prompts", "name"),
        Kind::Resources => ("resources", "uri"),
        Kind::Templates => ("resourceTemplates", "uriTemplate"),
    };
    list[member].as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
}

fn patterns(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

#[test]
fn nothing_named_shows_everything() {
    let view = look(&VirtualSettings::default());
    assert_eq!(list(&view, Kind::Tools).len(), 6);
    assert_eq!(list(&view, Kind::Prompts), ["memory_reflect"]);
    assert_eq!(list(&view, Kind::Resources), ["memory+fact://1"]);
    assert_eq!(list(&view, Kind::Templates), ["file://{+path}"]);
}

#[test]
fn what_is_named_is_all_there_is() {
    let view = look(&VirtualSettings { tools: Some(patterns(&["files_read_*"])), ..VirtualSettings::default() });
    assert_eq!(list(&view, Kind::Tools), ["files_read_file", "files_read_media"]);
    assert!(view.tools.contains_key("files_read_file") && !view.tools.contains_key("files_delete_file"));
    for kind in [Kind::Prompts, Kind::Resources, Kind::Templates] {
        assert!(list(&view, kind).is_empty(), "{kind:?}");
    }
    assert!(!view.shows_uri(&"files".parse().unwrap(), "file:///a"));
}

#[test]
fn a_service_is_everything_of_it_and_joins_what_else_is_named() {
    let settings = VirtualSettings {
        services: Some(patterns(&["memory"])),
        tools: Some(patterns(&["files_delete_*"])),
        ..VirtualSettings::default()
    };
    let view = look(&settings);
    assert_eq!(list(&view, Kind::Tools), ["files_delete_file", "memory_recall", "memory_store"]);
    assert_eq!(list(&view, Kind::Prompts), ["memory_reflect"]);
    assert_eq!(list(&view, Kind::Resources), ["memory+fact://1"]);
    assert!(view.shows_uri(&"memory".parse().unwrap(), "memory+fact://2"));
}

#[test]
fn resources_are_reached_by_pattern_and_cannot_climb_out_of_it() {
    let files: ServiceId = "files".parse().unwrap();
    let view = look(&VirtualSettings { resources: Some(patterns(&["file:///srv/*"])), ..VirtualSettings::default() });
    assert!(view.shows_uri(&files, "file:///srv/a/b.txt"));
    assert_eq!(view.schemes.get("file"), Some(&files), "what can be read has an owner, though it is not listed");
    for uri in
        ["file:///etc/passwd", "file:///srv/../etc/passwd", "file:///srv/%2E%2e/etc", "file:///srv/a/..%2f..%2fb"]
    {
        assert!(!view.shows_uri(&files, uri), "{uri}");
    }
    let all = look(&VirtualSettings { resources: Some(patterns(&["*"])), ..VirtualSettings::default() });
    assert!(all.shows_uri(&files, "file:///srv/../etc/hosts"));
}

#[test]
fn it_introduces_itself() {
    let settings = VirtualSettings {
        title: Some("Support desk".into()),
        instructions: Some("Be kind.".into()),
        services: Some(patterns(&["memory"])),
        ..VirtualSettings::default()
    };
    let hello: Value = serde_json::from_str(&look(&settings).initialize("2025-11-25")).unwrap();
    assert_eq!(hello["serverInfo"]["name"], "weft-desk");
    assert_eq!(hello["serverInfo"]["title"], "Support desk");
    assert_eq!(hello["instructions"], "Be kind.");
}

#[test]
fn a_lean_one_lists_three_tools_and_knows_the_others() {
    let view = look(&VirtualSettings { lean: true, ..VirtualSettings::default() });
    assert_eq!(list(&view, Kind::Tools), [lean::FIND, lean::DESCRIBE, lean::CALL]);
    assert!(view.tools.contains_key("memory_store"));
    assert!(!view.tools.contains_key("find_tools"), "a service's tool cannot take the place of a lean one");
    let hello: Value = serde_json::from_str(&view.discover()).unwrap();
    let said = hello["instructions"].as_str().unwrap();
    assert!(said.contains("find_tools") && said.contains("5 tools") && said.contains("memory (2)"), "{said}");
}

#[test]
fn only_its_own_changes_are_changes() {
    let settings = VirtualSettings { tools: Some(patterns(&["files_read_*"])), ..VirtualSettings::default() };
    let lens = Arc::new(Lens::new("desk", &settings, &mut Vec::new()));
    let mut shelves = shelves();
    let before = View::build("weft", None, &shelves, None);
    let seen = lens.look("weft", &shelves, &before);
    shelves.insert("memory".parse().unwrap(), shelf(&[], &json!({ "tools": [{ "name": "forget" }] })));
    let after = View::build("weft", None, &shelves, Some(&before));
    assert!(after.differs(&before).tools);
    assert!(!lens.look("weft", &shelves, &after).differs(&seen).any());
    shelves.insert("files".parse().unwrap(), shelf(&["file"], &json!({ "tools": [{ "name": "read_all" }] })));
    let last = View::build("weft", None, &shelves, Some(&after));
    assert!(lens.look("weft", &shelves, &last).differs(&seen).tools);
}
