//! Attacks on the boundary. The ids are those of the project's attack corpus for files.

use std::{
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use weft_filesystem::{Rights, RootSettings, Settings, service};

use crate::desk::{Desk, ok, refused};

const NO: &[&str] = &["refused", "not_found", "invalid_arguments"];

/// A01 to A04, A15 to A17, A27, A28.
#[tokio::test]
async fn paths_that_lead_out_are_refused_however_they_are_written() {
    let desk = Desk::new();
    desk.put("sub/ok.txt", "fine");
    let top = desk.top().to_str().unwrap();
    let absolute = |rest: &str| format!("{top}/{rest}");
    let long = "a/".repeat(10_000);
    let paths = [
        "../root_evil/secret".to_owned(),
        absolute("root_evil/secret"),
        "sub/../../outside/secret".to_owned(),
        "./../outside/secret".to_owned(),
        absolute("root/./../outside/secret"),
        absolute("root /secret"),
        absolute("root\"/secret"),
        "/etc/passwd".to_owned(),
        "/proc/self/root/etc/passwd".to_owned(),
        "/dev/stdin".to_owned(),
        "/dev/fd/3".to_owned(),
        "ok.txt\0.png".to_owned(),
        String::new(),
        "%2e%2e/outside/secret".to_owned(),
        "..\\..\\outside\\secret".to_owned(),
        "．．/outside/secret".to_owned(),
        "\u{2024}\u{2024}/outside/secret".to_owned(),
        "~/secret".to_owned(),
        long,
        "x".repeat(300),
        "x".repeat(5000),
        "sub/ok.txt:ads".to_owned(),
        "CON".to_owned(),
        "\\\\?\\C:\\secret".to_owned(),
    ];
    for path in &paths {
        refused(&desk.read(path).await, NO);
        refused(&desk.call("get_file_info", json!({ "path": path })).await, NO);
        refused(&desk.call("list_directory", json!({ "path": path })).await, NO);
    }
    let leads_out = &paths[..11];
    for path in leads_out {
        assert!(desk.write(path, "owned").await.is_error, "{path}");
        assert!(desk.call("delete_file", json!({ "path": path, "recursive": true })).await.is_error, "{path}");
        assert!(
            desk.call("move_file", json!({ "source": "sub/ok.txt", "destination": path })).await.is_error,
            "{path}"
        );
        assert!(desk.call("copy_file", json!({ "source": path, "destination": "stolen" })).await.is_error, "{path}");
    }
    desk.assert_outside_untouched();
    assert!(!desk.root("stolen").exists());
}

/// A05 to A11.
#[tokio::test]
async fn links_that_lead_out_are_never_followed() {
    let desk = Desk::new();
    let outside = desk.top().join("outside");
    symlink(outside.join("secret"), desk.root("file")).unwrap();
    symlink(&outside, desk.root("dir")).unwrap();
    symlink(outside.join("absent"), desk.root("dangling")).unwrap();
    symlink("l2", desk.root("l3")).unwrap();
    symlink("l1", desk.root("l2")).unwrap();
    symlink(&outside, desk.root("l1")).unwrap();
    symlink("b", desk.root("a")).unwrap();
    symlink("a", desk.root("b")).unwrap();
    symlink("/proc/self/environ", desk.root("env")).unwrap();
    symlink("/proc/self/root", desk.root("all")).unwrap();
    for path in ["file", "dir/secret", "l3/secret", "a", "env", "all/etc/passwd"] {
        refused(&desk.read(path).await, NO);
        assert!(desk.call("search_content", json!({ "path": path, "query": "secret" })).await.is_error, "{path}");
    }
    for path in ["file", "dir/new", "dangling", "l3/new", "a"] {
        assert!(desk.write(path, "owned").await.is_error, "{path}");
        assert!(
            desk.call("edit_file", json!({ "path": path, "edits": [{ "old_text": "secret", "new_text": "x" }] }))
                .await
                .is_error
        );
    }
    assert!(desk.call("create_directory", json!({ "path": "dir/a/b" })).await.is_error);
    assert!(desk.call("create_directory", json!({ "path": "l3/a/b" })).await.is_error);
    let found = ok(desk.call("search_content", json!({ "path": ".", "query": "secret" })).await);
    assert_eq!(found.data().as_array().unwrap().len(), 0, "{}", found.text);
    let listed = ok(desk.call("list_directory", json!({ "path": ".", "depth": 5, "with_sizes": true })).await);
    assert!(!listed.text.contains("secret"), "{}", listed.text);
    desk.assert_outside_untouched();
}

/// A12.
#[tokio::test]
async fn a_file_with_another_name_is_read_with_a_warning_and_never_written() {
    let desk = Desk::new();
    std::fs::hard_link(desk.top().join("outside/secret"), desk.root("twin")).unwrap();
    let read = ok(desk.read("twin").await);
    assert!(read.structured["warnings"][0].as_str().unwrap().contains("hard links"));
    refused(&desk.write("twin", "owned").await, &["refused"]);
    refused(&desk.call("write_file", json!({ "path": "twin", "content": "x", "mode": "append" })).await, &["refused"]);
    desk.assert_outside_untouched();
}

/// A13, A14: on one thread, so that a blocked open would hang the test.
#[tokio::test]
async fn special_files_are_refused_at_once() {
    let desk = Desk::new();
    mknodat(CWD, desk.root("pipe"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(desk.root("socket")).unwrap();
    let sparse = std::fs::File::create(desk.root("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let all = async {
        for _ in 0..50 {
            refused(&desk.read("pipe").await, &["refused"]);
            refused(&desk.write("pipe", "x").await, &["refused"]);
        }
        refused(&desk.read("socket").await, &["refused"]);
        refused(&desk.read("sparse").await, &["too_large", "invalid_arguments"]);
        let part = desk
            .call("read_text_file", json!({ "path": "sparse", "byte_offset": 1_u64 << 39, "byte_length": 16 }))
            .await;
        assert!(part.is_error, "zeros are no text");
        ok(desk.call("search_content", json!({ "path": ".", "query": "x" })).await);
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
}

/// A18, A19.
#[tokio::test]
async fn names_are_shown_so_that_they_cannot_deceive() {
    let desk = Desk::new();
    desk.put("invoice\u{202e}txt.exe", "");
    desk.put("line\nbreak\u{1b}[31m", "");
    desk.put("e\u{301}", "");
    desk.put("\u{e9}", "");
    let listed = ok(desk.call("list_directory", json!({ "path": "." })).await);
    assert!(
        listed.text.contains("invoice\\u{202e}txt.exe") && listed.text.contains("line\\u{a}break"),
        "{}",
        listed.text
    );
    assert_eq!(listed.data().as_array().unwrap().len(), 4, "twins stay apart");
}

/// A20.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_swapped_for_a_link_while_it_is_used_never_leads_out() {
    let desk = Desk::new();
    desk.put("swap/secret", "inside");
    let (swap, kept) = (desk.root("swap"), desk.root("kept"));
    let outside = desk.top().join("outside");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                std::fs::rename(&swap, &kept).unwrap();
                symlink(&outside, &swap).unwrap();
                std::fs::remove_file(&swap).unwrap();
                std::fs::rename(&kept, &swap).unwrap();
            }
        }
    });
    let mut inside = 0;
    for round in 0..5000 {
        let read = desk.read("swap/secret").await;
        if !read.is_error {
            assert_eq!(read.data()["content"], "inside");
            inside += 1;
        }
        let _ = desk.write(&format!("swap/new{}", round % 10), "x").await;
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(inside > 0, "the race was run against a file that could be read");
    desk.assert_outside_untouched();
}

/// A22.
#[tokio::test]
async fn a_root_stays_where_it_is() {
    let desk = Desk::new();
    desk.put("dir/child/f", "x");
    for path in [".", "./", "dir/.."] {
        assert!(desk.call("delete_file", json!({ "path": path, "recursive": true })).await.is_error, "{path}");
        assert!(desk.call("move_file", json!({ "source": path, "destination": "dir/x" })).await.is_error, "{path}");
    }
    assert!(desk.call("move_file", json!({ "source": "dir", "destination": "dir/child/dir" })).await.is_error);
    assert!(
        desk.call("copy_file", json!({ "source": "dir", "destination": "dir/child/dir", "recursive": true }))
            .await
            .is_error
    );
    assert_eq!(desk.get("dir/child/f"), b"x");
}

/// A26.
#[tokio::test]
async fn what_other_programs_obey_cannot_be_written_and_secrets_not_be_read() {
    let desk = Desk::new();
    for path in [
        ".git/hooks/post-checkout",
        ".git/config",
        ".mcp.json",
        ".vscode/tasks.json",
        ".bashrc",
        "a/.claude/settings.json",
        ".GIT/config",
        "a/.ssh/authorized_keys",
    ] {
        std::fs::create_dir_all(desk.root(path).parent().unwrap()).unwrap();
        refused(&desk.write(path, "x").await, &["refused"]);
        desk.put("plain", "x");
        refused(&desk.call("move_file", json!({ "source": "plain", "destination": path })).await, &["refused"]);
        refused(&desk.call("copy_file", json!({ "source": "plain", "destination": path })).await, &["refused"]);
    }
    symlink(".git/hooks", desk.root("alias")).unwrap();
    refused(&desk.write("alias/pre-commit", "x").await, &["refused"]);
    for path in [".env", "deep/id_rsa", ".aws/credentials"] {
        desk.put(path, "KEY=1234");
        refused(&desk.read(path).await, &["refused"]);
    }
    symlink(".env", desk.root("innocent.txt")).unwrap();
    refused(&desk.read("innocent.txt").await, &["refused"]);
    let found = ok(desk.call("search_content", json!({ "path": ".", "query": "1234" })).await);
    assert!(!found.text.contains("1234"), "{}", found.text);
}

#[tokio::test]
async fn rights_of_a_root_hold_for_every_tool() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "x").unwrap();
    let with = |rights| Settings {
        roots: vec![RootSettings { path: folder.path().to_owned(), rights }],
        ..Settings::default()
    };
    let desk = |rights| weft_kit::Direct::new(service(with(rights)).unwrap(), weft_kit::Rules::default()).unwrap();
    let write = json!({ "path": "f", "content": "y" });
    let gone = json!({ "source": "f", "destination": "g" });
    let read_only = desk(Rights::Ro);
    refused(&read_only.call("write_file", write.clone()).await, &["refused"]);
    refused(&read_only.call("create_directory", json!({ "path": "d" })).await, &["refused"]);
    let append = desk(Rights::Append);
    refused(&append.call("write_file", write.clone()).await, &["refused"]);
    ok(append.call("write_file", json!({ "path": "f", "content": "y", "mode": "append" })).await);
    refused(&append.call("move_file", gone.clone()).await, &["refused"]);
    let no_delete = desk(Rights::NoDelete);
    ok(no_delete.call("write_file", write).await);
    refused(&no_delete.call("move_file", gone).await, &["refused"]);
    refused(&no_delete.call("delete_file", json!({ "path": "f" })).await, &["refused"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("f")).unwrap(), "y");
}

#[test]
fn a_root_that_cannot_be_served_is_named_at_start() {
    let error = service(Settings::single("/no/such/directory".into())).err().unwrap().to_string();
    assert!(error.contains("/no/such/directory") && error.contains("--root"), "{error}");
    assert!(service(Settings { roots: Vec::new(), ..Settings::default() }).is_err());
}
