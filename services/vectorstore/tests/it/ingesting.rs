//! Long texts and documents.

use std::os::unix::fs::symlink;

use serde_json::json;
use weft_vectorstore::Settings;

use crate::bench::{Bench, refused};

fn long(words: &str) -> String {
    format!("{words}. ").repeat(100)
}

#[tokio::test]
async fn a_text_is_cut_found_and_replaced_by_its_source() {
    let bench = Bench::new();
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let text = format!("{}\n\n{}", long("Foxes hunt at night"), long("Banks lend money"));
    let args = json!({ "collection": "t", "text": text, "source": "book", "metadata": { "lang": "en" }, "cut": { "size": 300, "overlap": 0 } });
    let first = bench.ok("ingest_text", args).await;
    let chunks = first["chunks"].as_u64().unwrap();
    assert!(chunks > 10);
    let found = bench.ok("search", json!({ "collection": "t", "text": "money of banks", "limit": 1 })).await;
    let hit = &found["hits"][0];
    let span = |key: &str| usize::try_from(hit["metadata"][key].as_u64().unwrap()).unwrap();
    assert_eq!(hit["text"].as_str().unwrap(), &text[span("start")..span("end")], "a hit says where it stands");
    assert_eq!(hit["metadata"]["lang"], "en");
    let shorter = json!({ "collection": "t", "text": "Only a line is left.", "source": "book" });
    let second = bench.ok("ingest_text", shorter).await;
    assert_eq!((second["chunks"].as_u64(), second["removed"].as_u64()), (Some(1), Some(chunks)));
    assert_eq!(bench.ok("count", json!({ "collection": "t" })).await["count"], 1);
    let shown = bench.ok("chunk_text", json!({ "text": text, "cut": { "size": 300 } })).await;
    assert!(shown.as_array().unwrap().len() > 10);
    bench.vectors("v", 2).await;
    refused(&bench.call("ingest_text", json!({ "collection": "v", "text": "x" })).await, "model_mismatch");
}

#[tokio::test]
async fn no_document_lies_outside_of_the_folder() {
    let bench = Bench::with(|folder| {
        std::fs::create_dir_all(folder.join("docs/sub")).unwrap();
        std::fs::write(folder.join("docs/sub/guide.md"), "# Guide\n\nHow to plant a tree.").unwrap();
        std::fs::write(folder.join("docs/binary"), [0xff, 0xfe, 0x00]).unwrap();
        std::fs::create_dir(folder.join("docs/.ssh")).unwrap();
        for private in [".env", ".ssh/config", "id_rsa", "server.pem"] {
            std::fs::write(folder.join("docs").join(private), "secret").unwrap();
        }
        std::fs::write(folder.join("secret.txt"), "secret").unwrap();
        symlink("../secret.txt", folder.join("docs/link")).unwrap();
        symlink(folder, folder.join("docs/up")).unwrap();
        Settings { documents: Some(folder.join("docs")), ..Settings::default() }
    });
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let listed = bench.ok("list_documents", json!({})).await;
    assert_eq!(listed, json!(["binary", "sub/guide.md"]));
    let done = bench.ok("ingest_document", json!({ "collection": "t", "path": "sub/guide.md" })).await;
    assert_eq!((&done["source"], &done["title"]), (&json!("documents/sub/guide.md"), &json!("Guide")));
    let outside = bench.path("secret.txt");
    let outside = outside.to_str().unwrap();
    for path in [".env", "./.env", ".ssh/config", "id_rsa", "server.pem"] {
        refused(&bench.call("ingest_document", json!({ "collection": "t", "path": path })).await, "refused");
    }
    for path in
        ["../secret.txt", "link", "up/secret.txt", "sub/../../secret.txt", outside, "/etc/passwd", "/proc/self/environ"]
    {
        refused(&bench.call("ingest_document", json!({ "collection": "t", "path": path })).await, "refused");
    }
    for path in ["", "a\0b", "sub", "absent", "binary", &"x/".repeat(3_000)] {
        assert!(bench.call("ingest_document", json!({ "collection": "t", "path": path })).await.is_error, "{path}");
    }
    assert_eq!(bench.ok("count", json!({ "collection": "t" })).await["count"], 1);
}

#[tokio::test]
async fn without_a_folder_there_are_no_documents() {
    let bench = Bench::new();
    bench.ok("create_collection", json!({ "name": "t" })).await;
    for tool in ["list_documents", "ingest_document", "ingest_folder", "ingest_url"] {
        refused(&bench.call(tool, json!({})).await, "not_found");
    }
}
