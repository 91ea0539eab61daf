//! Reading: parts, pages, kinds of content.

use serde_json::json;

use crate::desk::{Desk, ok, refused};

#[tokio::test]
async fn parts_of_a_file_are_read_by_lines_and_bytes() {
    let desk = Desk::new();
    let text: String = (1..=50).map(|line| format!("line {line}\n")).collect();
    desk.put("f.txt", &text);
    let get = async |arguments: serde_json::Value| {
        let called = ok(desk.call("read_text_file", arguments).await);
        called.data()["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(get(json!({ "path": "f.txt", "head": 2 })).await, "line 1\nline 2\n");
    assert_eq!(get(json!({ "path": "f.txt", "tail": 1 })).await, "line 50\n");
    assert_eq!(get(json!({ "path": "f.txt", "start_line": 7, "line_count": 1 })).await, "line 7\n");
    assert_eq!(get(json!({ "path": "f.txt", "byte_offset": 5, "byte_length": 1 })).await, "1");
    assert!(get(json!({ "path": "f.txt", "head": 1, "line_numbers": true })).await.ends_with("1\tline 1\n"));
    assert_eq!(get(json!({ "path": "f.txt", "start_line": 51 })).await, "");
    assert!(desk.call("read_text_file", json!({ "path": "f.txt", "head": 1, "tail": 1 })).await.is_error);
    assert!(
        desk.call("read_text_file", json!({ "path": "f.txt", "heda": 1 })).await.is_error,
        "unknown arguments are refused"
    );
}

/// A30.
#[tokio::test]
async fn a_cursor_goes_on_and_notices_that_the_file_changed() {
    let desk = Desk::new();
    let text: String = (1..=5000).map(|line| format!("{line}\n")).collect();
    desk.put("f.txt", &text);
    let first = ok(desk.read("f.txt").await);
    assert_eq!(first.structured["page"]["has_more"], true);
    let cursor = first.structured["page"]["cursor"].as_str().unwrap().to_owned();
    let second = ok(desk.call("read_text_file", json!({ "path": "f.txt", "cursor": cursor })).await);
    assert_eq!(second.data()["start_line"], 2001);
    desk.put("f.txt", format!("0\n{text}"));
    let stale = desk.call("read_text_file", json!({ "path": "f.txt", "cursor": cursor })).await;
    assert!(stale.is_error, "{}", stale.text);
    assert!(stale.code().contains("changed") || stale.code().contains("cursor"), "{}", stale.code());
}

#[tokio::test]
async fn what_is_no_text_is_told_apart() {
    let desk = Desk::new();
    desk.put("binary", b"a\0b");
    desk.put("latin", b"caf\xe9\n");
    desk.put("wide", b"\xff\xfeh\0i\0");
    desk.put("pixel.png", b"\x89PNG\r\n\x1a\n rest");
    desk.put("lies.png", "just text");
    assert!(desk.read("binary").await.is_error);
    let latin = ok(desk.read("latin").await);
    assert!(latin.structured["warnings"][0].as_str().unwrap().contains("replaced"));
    assert_eq!(ok(desk.read("wide").await).data()["content"], "hi");
    let media = ok(desk.call("read_media_file", json!({ "path": "pixel.png" })).await);
    assert_eq!((media.data()["media_type"].as_str(), media.blocks), (Some("image/png"), 1));
    assert!(desk.call("read_media_file", json!({ "path": "lies.png" })).await.is_error);
}

#[tokio::test]
async fn one_bad_file_does_not_fail_the_others() {
    let desk = Desk::new();
    desk.put("a", "A");
    let read = ok(desk.call("read_multiple_files", json!({ "paths": ["a", "absent", "../outside/secret"] })).await);
    let all = read.data().as_array().unwrap();
    assert_eq!(all[0]["content"], "A");
    assert!(all[1]["error"].as_str().unwrap().contains("not_found"));
    assert!(all[2]["error"].as_str().unwrap().contains("refused"));
    refused(&desk.call("read_multiple_files", json!({ "paths": vec!["a"; 21] })).await, &["invalid_arguments"]);
}

#[tokio::test]
async fn facts_and_differences_are_told() {
    let desk = Desk::new();
    desk.put("a", "x\n");
    desk.put("b", "y\n");
    let info = ok(desk.call("get_file_info", json!({ "path": "a" })).await);
    assert_eq!((info.data()["kind"].as_str(), info.data()["size"].as_u64()), (Some("file"), Some(2)));
    let etag = ok(desk.read("a").await).data()["etag"].clone();
    assert_eq!(info.data()["etag"], etag);
    let diff = ok(desk.call("diff_files", json!({ "a": "a", "b": "b" })).await);
    assert!(diff.text.contains("-x\n+y"), "{}", diff.text);
    let same = ok(desk.call("diff_files", json!({ "a": "a", "content": "x\n" })).await);
    assert_eq!(same.text, "no difference");
}
