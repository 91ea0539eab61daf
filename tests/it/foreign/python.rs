//! Servers written in Python: one made with FastMCP, and the official one that fetches pages.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use super::{Server, Weft, both, command, fixture, free_port, json, texts, variable};
use crate::harness::eventually;

#[test]
fn a_fastmcp_server_is_had_on_stdio_and_http() {
    let (python, script) = (variable("WEFT_PYTHON_SERVERS"), fixture("fastmcp_server.py"));
    let port = free_port();
    let _http = Server::start(command(&python).arg(&script).args(["http", &port.to_string()]), port);
    let stdio = format!("stdio={} {} stdio", python.display(), script.display());
    let weft = Weft::up(&["--add", &stdio, "--add", &format!("http=http://127.0.0.1:{port}/mcp")]);
    for way in ["stdio", "http"] {
        eventually("its tools are listed", || {
            weft.stateless("/mcp", "tools/list", &json!({})).text().contains(&format!("{way}_add"))
        });
        for text in texts(both(&weft, &format!("{way}_add"), &json!({ "a": 40, "b": 2 }))) {
            assert_eq!(text, "42", "{way}");
        }
        let slow =
            json!({ "name": format!("{way}_slow"), "arguments": { "steps": 3 }, "_meta": { "progressToken": 5 } });
        let messages = weft.stateless("/mcp", "tools/call", &slow).messages();
        let told = messages.iter().filter(|message| message["method"] == "notifications/progress").count();
        assert_eq!(
            (told, &messages.last().unwrap()["result"]["content"][0]["text"]),
            (3, &json!("3 steps done")),
            "{way}: {messages:?}"
        );
        let read = weft.stateless("/mcp", "resources/read", &json!({ "uri": format!("{way}+note://today") })).message();
        assert_eq!(read["result"]["contents"][0]["text"], "Water the plants.", "{way}: {read}");
        let prompt = weft.stateless(
            "/mcp",
            "prompts/get",
            &json!({ "name": format!("{way}_greet"), "arguments": { "name": "Ada" } }),
        );
        assert!(prompt.text().contains("hello to Ada"), "{way}: {}", prompt.text());
    }
}

#[test]
fn the_official_fetch_server_fetches() {
    let pages = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = pages.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in pages.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let found = !request[..read].starts_with(b"GET /robots.txt");
            let body =
                "<html><body><article><h1>Weft</h1><p>A page of words about weaving.</p></article></body></html>";
            let (status, body) = if found { ("200 OK", body) } else { ("404 Not Found", "") };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let added = format!("web={} -m mcp_server_fetch --allow-private-ips", variable("WEFT_PYTHON_SERVERS").display());
    let weft = Weft::up(&["--add", &added]);
    eventually("its tools are listed", || {
        weft.stateless("/mcp", "tools/list", &json!({})).text().contains("web_fetch")
    });
    for text in texts(both(&weft, "web_fetch", &json!({ "url": format!("http://127.0.0.1:{port}/page"), "raw": true })))
    {
        assert!(text.contains("about weaving"), "{text}");
    }
}
