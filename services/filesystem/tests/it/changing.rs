//! Writing, editing, moving, deleting: whole or not at all, and nothing lost.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::desk::{Desk, ok, refused};

#[tokio::test]
async fn a_write_is_whole_keeps_the_mode_and_leaves_nothing_behind() {
    let desk = Desk::new();
    desk.put("run.sh", "old");
    std::fs::set_permissions(desk.root("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    ok(desk.write("run.sh", "new").await);
    assert_eq!(desk.get("run.sh"), b"new");
    assert_eq!(std::fs::metadata(desk.root("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
    refused(
        &desk.call("write_file", json!({ "path": "run.sh", "content": "x", "mode": "create" })).await,
        &["conflict"],
    );
    ok(desk.call("write_file", json!({ "path": "run.sh", "content": "+", "mode": "append" })).await);
    assert_eq!(desk.get("run.sh"), b"new+");
    let shown = ok(desk.call("write_file", json!({ "path": "run.sh", "content": "zzz", "dry_run": true })).await);
    assert!(shown.text.contains("+zzz") && desk.get("run.sh") == b"new+");
    let names: Vec<_> = std::fs::read_dir(desk.root("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["run.sh"]);
}

#[tokio::test]
async fn what_changed_since_it_was_read_is_not_overwritten() {
    let desk = Desk::new();
    desk.put("f", "one");
    let etag = ok(desk.read("f").await).data()["etag"].clone();
    desk.put("f", "two");
    refused(&desk.call("write_file", json!({ "path": "f", "content": "x", "if_match": etag })).await, &["changed"]);
    let edit = json!({ "path": "f", "edits": [{ "old_text": "two", "new_text": "x" }], "if_match": etag });
    refused(&desk.call("edit_file", edit).await, &["changed"]);
    assert_eq!(desk.get("f"), b"two");
    let etag = ok(desk.read("f").await).data()["etag"].clone();
    let written = ok(desk.call("write_file", json!({ "path": "f", "content": "three", "if_match": etag })).await);
    assert_eq!(written.data()["etag"], ok(desk.read("f").await).data()["etag"]);
}

/// A23.
#[tokio::test]
async fn edits_are_exact_and_all_or_none() {
    let desk = Desk::new();
    desk.put("f", "\u{feff}a\r\nb\r\nb\r\nno end");
    let two =
        json!({ "path": "f", "edits": [{ "oldText": "a", "newText": "$&" }, { "old_text": "b", "new_text": "c" }] });
    refused(&desk.call("edit_file", two).await, &["ambiguous"]);
    assert_eq!(desk.get("f"), "\u{feff}a\r\nb\r\nb\r\nno end".as_bytes(), "the first edit was not kept either");
    let dry = json!({ "path": "f", "edits": [{ "oldText": "a", "newText": "$&" }], "dryRun": true });
    assert!(ok(desk.call("edit_file", dry).await).text.contains("+\u{feff}$&"));
    let all = json!({ "path": "f", "edits": [{ "old_text": "b", "new_text": "c", "expected_count": 2 }, { "old_text": "no end", "new_text": "end" }] });
    ok(desk.call("edit_file", all).await);
    assert_eq!(desk.get("f"), "\u{feff}a\r\nc\r\nc\r\nend".as_bytes());
}

/// A21.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_creators_one_wins_and_a_move_never_overwrites() {
    let desk = std::sync::Arc::new(Desk::new());
    let tries: Vec<_> = (0..16)
        .map(|number| {
            let desk = std::sync::Arc::clone(&desk);
            tokio::spawn(async move {
                let arguments = json!({ "path": "one", "content": format!("{number}"), "mode": "create" });
                (number, desk.call("write_file", arguments).await.is_error)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for attempt in tries {
        let (number, failed) = attempt.await.unwrap();
        if !failed {
            winners.push(number);
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(desk.get("one"), winners[0].to_string().as_bytes());
    desk.put("two", "2");
    refused(&desk.call("move_file", json!({ "source": "two", "destination": "one" })).await, &["conflict"]);
    let moved = ok(desk.call("move_file", json!({ "source": "two", "destination": "one", "overwrite": true })).await);
    assert_eq!(desk.get("one"), b"2");
    let id = moved.data()["replaced"]["id"].as_str().unwrap().to_owned();
    refused(&desk.call("restore_file", json!({ "id": id })).await, &["conflict"]);
    ok(desk.call("move_file", json!({ "source": "one", "destination": "three" })).await);
    ok(desk.call("restore_file", json!({ "id": id })).await);
    assert_eq!(desk.get("one"), winners[0].to_string().as_bytes(), "nothing was lost");
}

#[tokio::test]
async fn what_is_deleted_can_be_taken_back_and_what_is_many_is_shown_first() {
    let desk = Desk::new();
    desk.put("dir/a", "A");
    desk.put("dir/deep/b", "B");
    desk.put("single", "S");
    ok(desk.call("delete_file", json!({ "path": "single" })).await);
    assert!(!desk.root("single").exists());
    refused(&desk.call("delete_file", json!({ "path": "dir" })).await, &["conflict"]);
    let arguments = json!({ "path": "dir", "recursive": true });
    let plan = ok(desk.call("delete_file", arguments.clone()).await);
    assert_eq!(
        (plan.data()["applied"].as_bool(), plan.data()["plan"]["effects"]["entries"].as_u64()),
        (Some(false), Some(4))
    );
    assert!(desk.root("dir/a").exists());
    let mut apply = arguments;
    apply["plan_id"] = plan.data()["plan"]["plan_id"].clone();
    ok(desk.call("delete_file", apply.clone()).await);
    assert!(!desk.root("dir").exists());
    assert!(desk.call("delete_file", apply).await.is_error, "a plan is good once");
    let trash = ok(desk.call("list_trash", json!({})).await);
    let items = trash.data().as_array().unwrap();
    assert_eq!(items.len(), 2);
    let listed = ok(desk.call("list_directory", json!({ "path": ".", "depth": 3 })).await);
    assert_eq!(listed.data().as_array().unwrap().len(), 0, "the trash is not shown: {}", listed.text);
    assert!(desk.read(".weft-trash/.gitignore").await.is_error);
    for item in items {
        ok(desk.call("restore_file", json!({ "id": item["id"] })).await);
    }
    assert_eq!((desk.get("single"), desk.get("dir/deep/b")), (b"S".to_vec(), b"B".to_vec()));
    let plan = ok(desk.call("delete_file", json!({ "path": "single", "permanent": true })).await);
    let id = plan.data()["plan"]["plan_id"].clone();
    desk.put("single", "changed meanwhile");
    let stale = desk.call("delete_file", json!({ "path": "single", "permanent": true, "plan_id": id })).await;
    refused(&stale, &["stale_plan"]);
    assert_eq!(desk.get("single"), b"changed meanwhile");
    assert!(desk.call("restore_file", json!({ "id": "../../outside" })).await.is_error);
}

#[tokio::test]
async fn directories_are_made_and_copied() {
    let desk = Desk::new();
    ok(desk.call("create_directory", json!({ "path": "a/b/c" })).await);
    ok(desk.call("create_directory", json!({ "path": "a/b/c" })).await);
    desk.put("a/b/f", "x");
    assert!(desk.call("copy_file", json!({ "source": "a", "destination": "z" })).await.is_error);
    let copied = ok(desk.call("copy_file", json!({ "source": "a", "destination": "z/y", "recursive": true })).await);
    assert_eq!(copied.data()["files"], 1);
    assert_eq!(desk.get("z/y/b/f"), b"x");
    assert!(desk.root("z/y/b/c").is_dir());
    refused(&desk.call("copy_file", json!({ "source": "a/b/f", "destination": "z/y/b/f" })).await, &["conflict"]);
}
