//! Folders of files, and resources that the caller has: read again only as far as they changed.

use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use weft_vectorstore::{RootSettings, Settings};

use crate::{
    bench::{Bench, refused},
    papers,
};

fn bench(fill: impl FnOnce(&std::path::Path)) -> Bench {
    Bench::with(|folder| {
        let docs = folder.join("docs");
        fs::create_dir_all(docs.join("sub")).unwrap();
        fill(&docs);
        let pdf = papers::patient_pdf();
        let roots = vec![RootSettings { name: "docs".to_owned(), path: docs }];
        Settings { roots, pdf, ..Settings::default() }
    })
}

async fn ingest(bench: &Bench, more: Value) -> [u64; 5] {
    let mut args = json!({ "collection": "t" });
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let told = bench.ok("ingest_folder", args).await;
    ["added", "updated", "unchanged", "removed", "passed_over"].map(|key| told[key].as_u64().unwrap())
}

async fn hit(bench: &Bench, text: &str) -> Value {
    let found = bench.ok("search", json!({ "collection": "t", "text": text, "limit": 1 })).await;
    found["hits"][0].clone()
}

async fn count(bench: &Bench) -> Value {
    bench.ok("count", json!({ "collection": "t" })).await["count"].clone()
}

#[tokio::test]
async fn a_folder_is_brought_to_what_it_is_again_and_again() {
    let bench = bench(|docs| {
        fs::write(docs.join("a.md"), "# Trees\n\nHow to plant an oak.").unwrap();
        fs::write(docs.join("sub/b.html"), "<title>Weaving</title><p>The weft crosses the warp.").unwrap();
        fs::write(docs.join("sub/c.pdf"), papers::pdf(&["shuttle", &"selvedge ".repeat(200)])).unwrap();
        fs::write(docs.join("d.txt"), "Nothing but a plain line.").unwrap();
        fs::write(docs.join("picture.png"), [0x89, b'P', 0, 0xff]).unwrap();
    });
    bench.ok("create_collection", json!({ "name": "t" })).await;
    assert_eq!(ingest(&bench, json!({ "metadata": { "lang": "en" } })).await, [4, 0, 0, 0, 1]);
    let before = count(&bench).await;
    let own = hit(&bench, "weft warp").await["metadata"].clone();
    assert_eq!(
        (&own["source"], &own["title"], &own["lang"]),
        (&json!("docs/sub/b.html"), &json!("Weaving"), &json!("en"))
    );
    let own = hit(&bench, "selvedge").await["metadata"].clone();
    assert_eq!(
        (&own["source"], &own["title"], &own["page"]),
        (&json!("docs/sub/c.pdf"), &json!("The loom"), &json!(2))
    );
    assert_eq!(ingest(&bench, json!({ "metadata": { "lang": "en" } })).await, [0, 0, 4, 0, 1]);
    fs::write(bench.path("docs/d.txt"), "Another plain line.").unwrap();
    fs::remove_file(bench.path("docs/a.md")).unwrap();
    // What globs leave out is neither read nor removed; what is gone is removed.
    assert_eq!(ingest(&bench, json!({ "globs": ["*.html"], "metadata": { "lang": "en" } })).await, [0, 0, 1, 1, 0]);
    assert_eq!(ingest(&bench, json!({ "path": "sub", "metadata": { "lang": "en" } })).await, [0, 0, 2, 0, 0]);
    assert_eq!(ingest(&bench, json!({ "metadata": { "lang": "en" } })).await, [0, 1, 2, 0, 1]);
    assert_eq!(hit(&bench, "another plain line").await["text"], "Another plain line.");
    assert_eq!(count(&bench).await.as_u64().unwrap(), before.as_u64().unwrap() - 1);
    // Other metadata, or another cut, is another version.
    assert_eq!(ingest(&bench, json!({ "metadata": { "lang": "de" } })).await, [0, 3, 0, 0, 1]);
    let one =
        bench.ok("ingest_document", json!({ "collection": "t", "path": "d.txt", "metadata": { "lang": "de" } })).await;
    assert_eq!(one["unchanged"], true, "a file is the same source by itself");
}

#[tokio::test]
async fn nothing_but_files_of_the_folder_is_read() {
    let bench = bench(|docs| {
        fs::write(docs.join("../secret.txt"), "secret").unwrap();
        symlink("../secret.txt", docs.join("link.txt")).unwrap();
        symlink("/dev/zero", docs.join("zero.txt")).unwrap();
        symlink("/etc", docs.join("sub/etc")).unwrap();
        fs::write(docs.join(".env"), "secret").unwrap();
        fs::write(docs.join("server.key"), "secret").unwrap();
        fs::write(docs.join("good.txt"), "A good line.").unwrap();
        fs::File::create(docs.join("sparse.txt")).unwrap().set_len(1 << 40).unwrap();
        assert!(Command::new("mkfifo").arg(docs.join("pipe.txt")).status().unwrap().success());
    });
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let start = Instant::now();
    assert_eq!(ingest(&bench, json!({})).await, [1, 0, 0, 0, 1]);
    for path in
        ["link.txt", "zero.txt", "sub/etc/passwd", ".env", "server.key", "pipe.txt", "../secret.txt", "/etc/passwd"]
    {
        refused(&bench.call("ingest_document", json!({ "collection": "t", "path": path })).await, "refused");
    }
    refused(&bench.call("ingest_document", json!({ "collection": "t", "path": "sparse.txt" })).await, "too_large");
    // A device without an end or a pipe without a writer would take for ever, a file of a terabyte some minutes.
    assert!(start.elapsed() < Duration::from_secs(100), "{:?}", start.elapsed());
    for (args, code) in [
        (json!({ "collection": "t", "path": "../" }), "refused"),
        (json!({ "collection": "t", "path": "/etc" }), "refused"),
        (json!({ "collection": "t", "path": "sub/etc" }), "not_found"),
        (json!({ "collection": "t", "root": "other" }), "not_found"),
    ] {
        refused(&bench.call("ingest_folder", args).await, code);
    }
    // Swapped for a link while the server runs: what is held is the folder that it was.
    fs::rename(bench.path("docs"), bench.path("was")).unwrap();
    symlink("/etc", bench.path("docs")).unwrap();
    refused(&bench.call("ingest_document", json!({ "collection": "t", "path": "passwd" })).await, "not_found");
    assert_eq!(count(&bench).await, 1);
}

#[tokio::test]
async fn a_resource_is_taken_by_what_it_is() {
    let bench = bench(|_| ());
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let text = json!({ "collection": "t", "uri": "file:///x/guide.md", "text": "# Trees\n\nHow to plant an oak." });
    let first = bench.ok("ingest_resource", text.clone()).await;
    assert_eq!((&first["title"], &first["unchanged"]), (&json!("Trees"), &json!(false)));
    assert_eq!(bench.ok("ingest_resource", text).await["unchanged"], true);
    let blob = BASE64_STANDARD.encode(papers::pdf(&["shuttle", "selvedge"]));
    let paper = json!({ "collection": "t", "uri": "docs://paper", "mime": "application/pdf", "blob": blob });
    assert_eq!(bench.ok("ingest_resource", paper).await["pages"], 2);
    assert_eq!(hit(&bench, "selvedge").await["metadata"]["source"], "docs://paper");
    for wrong in [
        json!({ "collection": "t", "uri": "x" }),
        json!({ "collection": "t", "uri": "x", "text": "a", "blob": "YQ==" }),
        json!({ "collection": "t", "uri": "x", "blob": "%" }),
        json!({ "collection": "t", "uri": "", "text": "a" }),
        json!({ "collection": "t", "uri": "x.pdf", "blob": "YQ==" }),
    ] {
        refused(&bench.call("ingest_resource", wrong).await, "invalid_arguments");
    }
}

#[tokio::test]
async fn points_that_callers_wrote_themselves_are_left_alone() {
    let bench = bench(|_| ());
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let items = json!([{ "id": "mine", "text": "mine", "metadata": { "source": "book" } }]);
    bench.ok("upsert", json!({ "collection": "t", "items": items })).await;
    for text in ["One text.", "Another text."] {
        bench.ok("ingest_text", json!({ "collection": "t", "text": text, "source": "book" })).await;
    }
    assert_eq!(count(&bench).await, 2);
    let mine = bench.ok("get", json!({ "collection": "t", "ids": ["mine"] })).await;
    assert_eq!(mine[0]["id"], "mine");
}

#[tokio::test]
async fn calls_that_ingest_the_same_source_at_once_leave_one_of_them() {
    let bench = bench(|_| ());
    bench.ok("create_collection", json!({ "name": "t" })).await;
    for round in 0..10 {
        let args = |own: &str| {
            let text = format!("{own} of {round} {}\n\n", "word ".repeat(15)).repeat(80);
            json!({ "collection": "t", "source": "s", "text": text, "cut": { "size": 100, "overlap": 0 } })
        };
        let (one, two) = (args("first"), args("second"));
        let (one, two) = tokio::join!(bench.call("ingest_text", one), bench.call("ingest_text", two));
        let done = [&one, &two].map(|called| !called.is_error);
        assert!(done[0] || done[1], "{} {}", one.text, two.text);
        for called in [&one, &two].into_iter().filter(|called| called.is_error) {
            refused(called, "conflict");
        }
        let written = [&one, &two].into_iter().filter(|called| !called.is_error).map(|called| &called.data()["chunks"]);
        assert!(written.into_iter().any(|chunks| *chunks == 80), "one of them is there");
        assert_eq!(count(&bench).await, 80);
    }
}
