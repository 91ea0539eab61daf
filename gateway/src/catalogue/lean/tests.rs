//! What the three tools of a lean endpoint say.

use serde_json::{Value, json};

use super::{
    super::{View, shelf::Page},
    *,
};

fn lean() -> Lean {
    let page = json!({ "tools": [
        { "name": "read_file", "title": "Read", "description": "Reads a file. Slowly,\n and well.", "vendor": 1,
          "inputSchema": { "type": "object", "properties": { "path": { "type": "string", "x-mcp-header": "Path" } } },
          "outputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true } },
        { "name": "write_file", "description": "x".repeat(500) },
        { "name": "nameless" },
    ] });
    let text = page.to_string();
    let page: Page<'_> = serde_json::from_str(&text).unwrap();
    let mut shelf = Shelf::default();
    shelf.add(&page);
    let shelves = BTreeMap::from([("files".parse().unwrap(), shelf)]);
    Lean::new(&View::build("weft", None, &shelves, None).tools, &shelves)
}

#[test]
fn the_list_is_json_with_honest_annotations() {
    let tools: Value = serde_json::from_str(&format!("[{}]", tools())).unwrap();
    let hints = |at: usize, name: &str| tools[at]["annotations"][name].as_bool().unwrap();
    assert_eq!(
        tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect::<Vec<_>>(),
        [FIND, DESCRIBE, CALL]
    );
    assert!(hints(0, "readOnlyHint") && hints(1, "readOnlyHint") && !hints(2, "readOnlyHint"));
    assert!(hints(2, "destructiveHint") && hints(2, "openWorldHint"));
}

#[test]
fn a_search_gives_a_line_a_tool() {
    let lean = lean();
    let found = lean.find("read a file", None, None).unwrap();
    let first = found.lines().next().unwrap();
    assert!(first.starts_with("files_read_file (") && first.ends_with("): Reads a file"), "{found}");
    assert!(found.lines().all(|line| line.chars().count() < 220), "{found}");
    assert_eq!(lean.find("file", None, Some(1)).unwrap().lines().count(), 1);
    assert_eq!(
        lean.find("files_nameless", Some("files"), None).unwrap().lines().next().unwrap().split(' ').next(),
        Some("files_nameless")
    );
    assert!(lean.find("xyzzy", None, None).unwrap().contains("files (3)"));
    assert!(lean.find("file", Some("nobody"), None).unwrap_err().contains("files (3)"));
}

#[test]
fn without_words_one_can_look_around() {
    let lean = lean();
    assert_eq!(lean.find(" ", None, None).unwrap(), "services, with how many tools: files (3)");
    let all = lean.find("", Some("files"), Some(2)).unwrap();
    assert!(all.starts_with("files_nameless\nfiles_read_file: Reads a file\n… and 1 more"), "{all}");
}

#[test]
fn a_description_has_what_a_call_needs_and_no_more() {
    let lean = lean();
    let told: Value = serde_json::from_str(&lean.describe(&["files_read_file".into()]).unwrap()).unwrap();
    assert_eq!(told["name"], "files_read_file");
    assert_eq!(told["description"], "Reads a file. Slowly,\n and well.");
    assert_eq!(told["inputSchema"]["properties"]["path"]["type"], "string");
    assert_eq!(told["annotations"]["readOnlyHint"], true);
    assert!(told.get("outputSchema").is_none() && told.get("vendor").is_none());
    let both = lean.describe(&["files_raed_file".into(), "files_nameless".into()]).unwrap();
    let lines: Vec<&str> = both.lines().collect();
    assert_eq!(lines[0], r#"{"name":"files_nameless"}"#);
    assert!(lines[1].starts_with("unknown tool: files_raed_file; did you mean files_read_file,"), "{both}");
    assert!(lean.describe(&["read_fil".into()]).unwrap_err().contains("did you mean files_read_file"));
    assert!(lean.describe(&[]).is_err());
}

#[test]
fn arguments_to_be_mirrored_are_known() {
    let lean = lean();
    let mirrored = lean.mirrored("files_read_file");
    assert_eq!((mirrored.len(), mirrored[0].header.as_str()), (1, "Path"));
    assert!(lean.mirrored("files_write_file").is_empty() && lean.mirrored("unknown").is_empty());
}
