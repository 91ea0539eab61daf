//! A server that remembers: each session at `@playwright/mcp` is a browser of its own.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
};

use super::{SESSION, Weft, json, npm};
use crate::harness::eventually;

/// A web server whose pages say their own path.
fn pages() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let path = String::from_utf8_lossy(&request[..read]).split(' ').nth(1).unwrap_or_default().to_owned();
            let body = format!("<title>{path}</title><h1>This is {path}</h1>");
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// Programs whose command line holds `part`.
fn running(part: &str) -> usize {
    let found = Command::new("pgrep").args(["-fc", part]).output().unwrap();
    String::from_utf8_lossy(&found.stdout).trim().parse().unwrap_or(0)
}

#[test]
fn two_clients_get_two_browsers_and_none_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().display().to_string();
    let flags = format!("--headless --isolated --no-sandbox --executable-path /usr/bin/chromium --output-dir {mark}");
    let mut weft = Weft::up(&["--add", &format!("web={}", npm("@playwright/mcp", "cli.js", &flags))]);
    eventually("its tools are listed", || {
        weft.stateless("/mcp", "tools/list", &json!({})).text().contains("web_browser_navigate")
    });
    let port = pages();
    let tokens = [weft.initialize("/mcp", SESSION), weft.initialize("/mcp", SESSION)];
    let call = |token: &str, tool: &str, arguments: serde_json::Value| {
        let params = json!({ "name": format!("web_browser_{tool}"), "arguments": arguments });
        weft.within("/mcp", token, (1, "tools/call"), &params).message()["result"].clone()
    };
    for (number, token) in tokens.iter().enumerate() {
        let went = call(token, "navigate", json!({ "url": format!("http://127.0.0.1:{port}/page-{number}") }));
        assert_ne!(went["isError"], true, "{went}");
    }
    // A client without a session is a third.
    let third = weft.call("web_browser_navigate", &json!({ "url": format!("http://127.0.0.1:{port}/page-2") }));
    assert_ne!(third["isError"], true, "{third}");
    for (number, token) in tokens.iter().enumerate() {
        let seen = call(token, "snapshot", json!({})).to_string();
        assert!(seen.contains(&format!("This is /page-{number}")), "{number}: {seen}");
        assert!((0..3).filter(|other| seen.contains(&format!("This is /page-{other}"))).count() == 1, "{seen}");
    }
    let seen = weft.call("web_browser_snapshot", &json!({})).to_string();
    assert!(seen.contains("This is /page-2"), "it is still there in the next request: {seen}");
    assert!(running(&mark) >= 3, "each has a program");
    weft.end_by("TERM");
    eventually("nothing is left", || running(&mark) == 0);
}
