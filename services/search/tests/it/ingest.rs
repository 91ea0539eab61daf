//! Directories that are indexed again and again.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::{Value, json};
use weft_search::{Limits, RootSettings, Settings};

use crate::desk::{Desk, ids, refused};

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "README.md", "# The project\nIt weaves threads.");
    write(
        folder.path(),
        "docs/guide.html",
        "<title>Guide</title><p>How to weave.</p><script>var secret_script;</script>",
    );
    write(folder.path(), "src/main.rs", "fn start_engine() {}\nstruct LoomState;");
    write(folder.path(), "notes.txt", "plain notes about looms");
    write(folder.path(), ".gitignore", "target/\n");
    write(folder.path(), "target/out.txt", "ignored output");
    write(folder.path(), ".env", "PASSWORD=hidden");
    write(folder.path(), "server.key", "private words");
    fs::write(folder.path().join("blob.bin"), b"a\0b").unwrap();
    folder
}

fn desk(root: &Path, limits: Limits) -> Desk {
    let roots = vec![RootSettings { name: "project".to_owned(), path: root.to_owned() }];
    Desk::of(Settings { roots, limits, ..Settings::default() })
}

async fn ingest(desk: &Desk) -> Value {
    desk.done("ingest_directory", json!({"index": "files", "root": "project"})).await
}

async fn found(desk: &Desk, query: &str) -> Vec<String> {
    ids(&desk.done("search", json!({"indices": ["files"], "query": query})).await)
}

#[tokio::test]
async fn text_markdown_html_and_code_are_found_by_what_they_say() {
    let root = files();
    let desk = desk(root.path(), Limits::default());
    let told = ingest(&desk).await;
    assert_eq!((&told["added"], &told["passed_over"]), (&json!(4), &json!(1)));
    assert_eq!(found(&desk, "threads").await, ["project/README.md"]);
    assert_eq!(found(&desk, "title:guide").await, ["project/docs/guide.html"]);
    assert_eq!(found(&desk, "engine").await, ["project/src/main.rs"]);
    assert_eq!(found(&desk, "symbols:LoomState").await, ["project/src/main.rs"]);
    for hidden in ["secret_script", "ignored", "PASSWORD", "private"] {
        assert_eq!(found(&desk, hidden).await, [""; 0], "{hidden}");
    }
}

#[tokio::test]
async fn only_what_changed_is_read_again() {
    let root = files();
    let desk = desk(root.path(), Limits::default());
    ingest(&desk).await;
    let told = ingest(&desk).await;
    assert_eq!(
        (&told["added"], &told["updated"], &told["unchanged"], &told["removed"]),
        (&json!(0), &json!(0), &json!(5 - 1), &json!(0))
    );
    write(root.path(), "notes.txt", "other words");
    write(root.path(), "new/deep.md", "fresh");
    fs::remove_file(root.path().join("README.md")).unwrap();
    let told = ingest(&desk).await;
    assert_eq!(
        (&told["added"], &told["updated"], &told["unchanged"], &told["removed"]),
        (&json!(1), &json!(1), &json!(2), &json!(1))
    );
    assert_eq!(found(&desk, "looms").await, [""; 0]);
    assert_eq!(found(&desk, "other").await, ["project/notes.txt"]);
    fs::write(root.path().join("notes.txt"), b"no\0text").unwrap();
    assert_eq!(ingest(&desk).await["removed"], 1);
}

#[tokio::test]
async fn a_part_of_the_directory_leaves_the_rest_alone() {
    let root = files();
    let desk = desk(root.path(), Limits::default());
    ingest(&desk).await;
    write(root.path(), "docs/more.md", "more");
    fs::remove_file(root.path().join("notes.txt")).unwrap();
    let told = desk.done("ingest_directory", json!({"index": "files", "root": "project", "path": "docs"})).await;
    assert_eq!((&told["added"], &told["unchanged"], &told["removed"]), (&json!(1), &json!(1), &json!(0)));
    write(root.path(), "src/main.rs", "fn stop_engine() {}");
    let one = json!({"index": "files", "root": "project", "path": "src/main.rs"});
    let told = desk.done("ingest_directory", one.clone()).await;
    assert_eq!((&told["updated"], &told["unchanged"], &told["removed"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(desk.done("ingest_directory", one).await["unchanged"], 1);
    assert_eq!(found(&desk, "symbols:stop_engine").await, ["project/src/main.rs"]);
}

#[tokio::test]
async fn files_are_found_by_what_they_mean_too() {
    let root = files();
    let desk = desk(root.path(), Limits::default());
    desk.done("ingest_directory", json!({"index": "files", "root": "project", "vectors": true})).await;
    let near = json!({"indices": ["files"], "semantic": {"text": "starting the engine"}, "limit": 1});
    let found = desk.done("search", near).await;
    assert_eq!(ids(&found), ["project/src/main.rs"]);
    assert_eq!(found["hits"][0]["fields"].get("meaning"), None);
}

#[tokio::test]
async fn nothing_outside_of_the_root_is_read() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.txt", "outside words");
    let root = files();
    symlink(outside.path(), root.path().join("link")).unwrap();
    symlink(outside.path().join("secret.txt"), root.path().join("file.txt")).unwrap();
    let desk = desk(root.path(), Limits::default());
    assert_eq!(ingest(&desk).await["added"], 4);
    assert_eq!(found(&desk, "outside").await, [""; 0]);
    for (path, code) in [
        ("..", "refused"),
        ("/etc", "refused"),
        ("docs/../..", "refused"),
        ("link", "not_found"),
        ("nothing", "not_found"),
        ("file.txt", "not_found"),
    ] {
        let called = desk.call("ingest_directory", json!({"index": "files", "root": "project", "path": path})).await;
        refused(&called, &[code]);
        assert!(!called.structured.to_string().contains(&outside.path().display().to_string()), "{path}");
    }
    refused(&desk.call("ingest_directory", json!({"index": "files", "root": "etc"})).await, &["not_found"]);
}

#[tokio::test]
async fn limits_hold_and_a_cut_walk_removes_nothing() {
    let root = files();
    let desk = desk(root.path(), Limits { files: 2, file_bytes: 40, ..Limits::default() });
    let called = desk.call("ingest_directory", json!({"index": "files", "root": "project"})).await;
    assert!(called.structured["warnings"][0].as_str().unwrap().contains("first 2 files"), "{}", called.structured);
    assert_eq!(
        desk.done("count", json!({"index": "files"})).await["count"].as_u64().unwrap(),
        called.data()["added"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn an_index_that_was_not_made_for_files_is_left_alone() {
    let root = files();
    let desk = desk(root.path(), Limits::default());
    desk.done("create_index", json!({"name": "files"})).await;
    refused(&desk.call("ingest_directory", json!({"index": "files", "root": "project"})).await, &["conflict"]);
}

#[tokio::test]
async fn without_a_root_there_is_no_such_tool() {
    let desk = Desk::new();
    refused(&desk.call("ingest_directory", json!({"index": "files", "root": "project"})).await, &["not_found"]);
}
