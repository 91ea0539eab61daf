//! Callers who prove who they are: what each may do on every way in, and what happens when a key ends.

use std::{
    io::Read as _,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    fake::Foreign,
    harness::{Folder, Weft, command, eventually, finish, stateless_body, variable},
    http::{Answer, read_until, request, send, until_over},
    r#virtual::up,
};

mod named;
mod revoked;
pub(crate) mod tls;
mod ways;

const PLAIN: [&str; 3] = ["--auth", "keys", "--with-echo"];

/// `weft keys` on the state of a gateway.
fn keys(folder: &Folder, words: &[&str]) -> Output {
    finish(command(&variable("WEFT_BIN")).arg("keys").args(words).arg("--state").arg(folder.path("state")))
}

/// Makes a key that the gateway knows by the time this returns.
fn key(weft: &Weft, name: &str, role: &str) -> String {
    let made = keys(&weft.folder, &["create", "--quiet", "--name", name, "--role", role]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    eventually("the key is known", || list(weft, &key, "/mcp").status == 200);
    key
}

fn revoke(weft: &Weft, which: &str) {
    assert!(keys(&weft.folder, &["revoke", which]).status.success());
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// A request of the stateless era with a key.
fn ask(weft: &Weft, key: &str, path: &str, method: &str, params: &Value) -> Answer {
    let (body, bearer) = (stateless_body(method, params), bearer(key));
    let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("authorization", &*bearer)];
    let name = params["name"].as_str().or(params["uri"].as_str()).or(params["taskId"].as_str());
    headers.extend(name.map(|name| ("mcp-name", name)));
    weft.post(path, &headers, &body)
}

fn call(weft: &Weft, key: &str, path: &str, tool: &str, arguments: &Value) -> Answer {
    ask(weft, key, path, "tools/call", &json!({ "name": tool, "arguments": arguments }))
}

fn list(weft: &Weft, key: &str, path: &str) -> Answer {
    ask(weft, key, path, "tools/list", &json!({}))
}

fn names(answer: &Answer) -> Vec<String> {
    let message = answer.message();
    let tools = message["result"]["tools"].as_array().unwrap_or_else(|| panic!("{message}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Begins a session; gives its token.
fn begin(weft: &Weft, key: &str, path: &str) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let answer = weft.post(path, &[("authorization", &bearer(key))], &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("mcp-session-id").unwrap().to_owned()
}

/// A request within a session.
fn within(weft: &Weft, key: &str, token: &str, method: &str, params: &Value) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": 3, "method": method, "params": params }).to_string();
    weft.post("/mcp", &[("authorization", &bearer(key)), ("mcp-session-id", token)], &body)
}

#[test]
fn each_wrong_key_is_told_by_what_is_wrong_with_it() {
    let weft = Weft::up(&PLAIN);
    let good = key(&weft, "good", "writer");
    let ended = key(&weft, "ended", "writer");
    revoke(&weft, "ended");
    eventually("the key has ended", || list(&weft, &ended, "/mcp").status == 401);
    let over = keys(&weft.folder, &["create", "--quiet", "--name", "over", "--role", "writer", "--expires", "0"]);
    let over = String::from_utf8(over.stdout).unwrap().trim().to_owned();
    eventually("the file was read", || list(&weft, &over, "/mcp").text().contains("expired"));
    let foreign = keys(&Folder::new(), &["create", "--quiet", "--name", "good", "--role", "admin"]);
    let foreign = String::from_utf8(foreign.stdout).unwrap().trim().to_owned();
    // The id of one and the secret of another, with a check that fits: only the secret is wrong.
    let slip = format!("{}{}", &good[..good.len() - 1], if good.ends_with('a') { "b" } else { "a" });
    for (wrong, told) in [
        (ended, "revoked"),
        (over, "expired"),
        (foreign, "not known"),
        (slip, "copy it again"),
        ("sk-something".to_owned(), "copy it again"),
    ] {
        let answer = list(&weft, &wrong, "/mcp");
        let challenge = answer.header("www-authenticate").unwrap();
        assert_eq!(answer.status, 401, "{told}");
        assert!(challenge.starts_with("Bearer realm=\"weft\", error=\"invalid_token\"") && challenge.contains(told));
        assert!(answer.text().contains(told) && !answer.text().contains(&wrong), "{}", answer.text());
    }
    let body = stateless_body("tools/list", &json!({}));
    let plain = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let with = |more: &[(&str, &str)]| weft.post("/mcp", &[&plain[..], more].concat(), &body);
    let none = with(&[]);
    assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Bearer realm=\"weft\"")));
    assert_eq!(with(&[("authorization", "Basic eDp5")]).status, 401);
    assert_eq!(with(&[("x-api-key", &good)]).status, 200);
    assert_eq!(with(&[("x-api-key", &good), ("authorization", "Bearer other")]).status, 401);
    let metrics = weft.admin("/metrics").text();
    assert!(metrics.contains(r#"weft_gateway_callers_total{kind="key",outcome="revoked"}"#), "{metrics}");
    assert!(!metrics.contains("good") && !metrics.contains("key:"), "callers make no time series");
}

#[test]
fn a_session_is_of_the_key_that_began_it() {
    let weft = Weft::up(&PLAIN);
    let (ann, bob) = (key(&weft, "ann", "writer"), key(&weft, "bob", "writer"));
    let token = begin(&weft, &ann, "/mcp");
    let echo = json!({ "name": "echo_echo", "arguments": { "text": "x" } });
    assert_eq!(within(&weft, &ann, &token, "tools/call", &echo).status, 200);
    assert_eq!(within(&weft, &bob, &token, "tools/call", &echo).status, 404);
    assert_eq!(weft.within("/mcp", &token, (1, "tools/list"), &json!({})).status, 401);
    let at = |method: &str, key: &str| {
        request(weft.port, method, "/mcp", &[("mcp-session-id", &token), ("authorization", &bearer(key))], b"").status
    };
    assert_eq!((at("GET", &bob), at("DELETE", &bob)), (404, 404));
    assert_eq!(within(&weft, &ann, &token, "tools/list", &json!({})).status, 200, "and nobody else can end it");
    assert_eq!(at("DELETE", &ann), 204);
}

#[test]
fn everything_that_a_revoked_key_has_open_ends() {
    let weft = Weft::up(&PLAIN);
    let (ann, bob) = (key(&weft, "ann", "writer"), key(&weft, "bob", "writer"));
    let open = |key: &str| {
        let token = begin(&weft, key, "/mcp");
        let bearer = bearer(key);
        let own = [("authorization", &*bearer), ("mcp-session-id", &*token), ("accept", "text/event-stream")];
        let listen = [
            ("authorization", &*bearer),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "subscriptions/listen"),
            ("content-type", "application/json"),
        ];
        let wish = stateless_body("subscriptions/listen", &json!({ "notifications": { "toolsListChanged": true } }));
        let mut slow = listen;
        slow[2].1 = "tools/call";
        let slow = [&slow[..], &[("mcp-name", "echo_sleep")]].concat();
        let sleep = json!({ "name": "echo_sleep", "arguments": { "ms": 300_000 }, "_meta": { "progressToken": 1 } });
        let mut streams = [
            send(weft.port, "GET", "/mcp", &own, b""),
            send(weft.port, "POST", "/mcp", &listen, wish.as_bytes()),
            send(weft.port, "GET", "/sse", &[("authorization", &bearer)], b""),
            send(weft.port, "POST", "/mcp", &slow, stateless_body("tools/call", &sleep).as_bytes()),
        ];
        for stream in &mut streams[1..] {
            read_until(stream, &mut Vec::new(), |text| text.contains("data:"));
        }
        (token, streams)
    };
    let ((_, streams), (kept, mut others)) = (open(&ann), open(&bob));
    revoke(&weft, "ann");
    // Long before any of them would end by itself.
    for mut stream in streams {
        until_over(&mut stream, Duration::from_secs(20));
    }
    assert_eq!(list(&weft, &ann, "/mcp").status, 401);
    for stream in &mut others {
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut byte = [0; 256];
        assert_ne!(stream.read(&mut byte).unwrap_or(1), 0, "a stream of another key ended too");
    }
    assert_eq!(within(&weft, &bob, &kept, "tools/list", &json!({})).status, 200);
}

#[test]
fn each_key_has_a_rate_of_its_own() {
    let (weft, _file) = up("limits = { caller_rate = 1, caller_burst = 25 }", &PLAIN);
    let (ann, bob) = (key(&weft, "ann", "writer"), key(&weft, "bob", "writer"));
    let began = Instant::now();
    let let_in = (0..60).filter(|_| list(&weft, &ann, "/mcp").status != 429).count();
    // What was saved up, and one for each second that the calls took.
    let most = 26.0 + began.elapsed().as_secs_f64();
    assert!(f64::from(u32::try_from(let_in).unwrap()) <= most, "{let_in} of 60, at most {most}");
    assert_eq!(list(&weft, &bob, "/mcp").status, 200);
}

#[test]
fn a_key_is_in_no_log_and_reaches_no_server() {
    let (folder, foreign) = (Folder::new(), Foreign::start());
    let log = std::fs::File::create(folder.path("log")).unwrap();
    let state = folder.path("state");
    let mut child = command(&variable("WEFT_BIN"))
        .args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--auth",
            "keys",
            "--log",
            "trace",
            "--log-json",
        ])
        .args(["--add", &foreign.named("spy"), "--root"])
        .arg(folder.path("root"))
        .arg("--state")
        .arg(&state)
        .stdout(Stdio::piped())
        .stderr(log.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut out = child.stdout.take().unwrap();
    let mut part = [0; 4096];
    while !String::from_utf8_lossy(&said).contains("Stop with") {
        let read = out.read(&mut part).unwrap();
        assert!(read > 0, "it ended");
        said.extend_from_slice(&part[..read]);
    }
    let said = String::from_utf8(said).unwrap();
    let start = said.find("Bearer weft_").unwrap() + "Bearer ".len();
    let key = said[start..].split('"').next().unwrap();
    let after = |word: &str| said.split(word).nth(1).unwrap().split('/').next().unwrap().parse::<u16>().unwrap();
    let (port, bearer) = (after("endpoint   http://127.0.0.1:"), bearer(key));
    let json = ("content-type", "application/json");
    for header in [("authorization", bearer.as_str()), ("x-api-key", key)] {
        eventually("the server answers", || {
            let answer = request(port, "POST", "/mcp/v1/tools/spy_ping", &[header, json, ("baggage", "b=1")], b"{}");
            answer.status == 200
        });
        let wrong = [("authorization", "Bearer weft_aaaaaaaa_wrongwrongwrong"), json];
        assert_eq!(request(port, "POST", "/mcp/v1/tools/spy_ping", &wrong, b"{}").status, 401);
    }
    let log = || std::fs::read_to_string(folder.path("log")).unwrap();
    eventually("the log tells who called", || log().contains("key:first:") && log().contains("\"role\":\"writer\""));
    child.kill().unwrap();
    child.wait().unwrap();
    let (secret, log) = (key.rsplit('_').next().unwrap(), log());
    assert!(!log.contains(&secret[..16]) && !log.contains("wrongwrong"));
    let seen = foreign.seen.requests.lock().unwrap();
    assert!(seen.iter().any(|(head, _)| head.contains("baggage: b=1")), "the calls arrived");
    for (head, body) in seen.iter() {
        assert!(!head.contains("authorization") && !head.contains("x-api-key") && !head.contains("weft_"), "{head}");
        assert!(!body.to_string().contains(&secret[..16]));
    }
    assert!(!std::fs::read_to_string(state.join("keys.json")).unwrap().contains(&secret[..16]));
}

#[test]
fn the_python_sdk_calls_with_a_key() {
    let weft = Weft::up(&PLAIN);
    let reader = key(&weft, "reader", "reader");
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python_key.py");
    for mode in ["auto", "legacy"] {
        let url = format!("http://127.0.0.1:{}/mcp", weft.port);
        let mut python = command(&variable("WEFT_PYTHON"));
        let output = finish(python.arg(&script).args([mode, &url]).env("KEY", &reader));
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(out.contains("read: Hello from a file.") && out.contains("write: refused"), "{out}");
        assert!(out.contains("without: refused"), "{out}");
    }
    assert!(!weft.folder.path("root/new.txt").exists());
}

#[test]
fn writers_that_are_killed_leave_a_whole_file() {
    let folder = Folder::new();
    let mut shown = 0;
    for round in 0_u64..30 {
        let mut writer = command(&variable("WEFT_BIN"))
            .args(["keys", "create", "--quiet", "--role", "reader", "--name", &format!("n{round}"), "--state"])
            .arg(folder.path("state"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round % 15));
        // SIGKILL; it may have ended by itself before.
        let _ = writer.kill();
        shown += usize::from(!writer.wait_with_output().unwrap().stdout.is_empty());
        let listed = keys(&folder, &["list", "--json"]);
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert!(listed.as_array().unwrap().len() >= shown, "a key was shown that is not kept");
    }
    let again = keys(&folder, &["create", "--quiet", "--role", "reader", "--name", "last"]);
    assert!(again.status.success(), "no lock stays behind");
}

#[test]
fn a_listener_that_others_reach_says_what_it_needs() {
    let folder = Folder::new();
    let up = |words: &[&str]| {
        let mut command: Command = command(&variable("WEFT_BIN"));
        command.args(["up", "--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0", "--root"]).arg(folder.path("root"));
        command.arg("--state").arg(folder.path("state")).args(words);
        command
    };
    for words in [&[][..], &["--auth", "keys"]] {
        let ended = finish(&mut up(words));
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success());
        for part in ["no TLS", "tls.cert", "--auth keys", "127.0.0.1", "--insecure"] {
            assert!(told.contains(part), "{told}");
        }
    }
    assert!(!folder.path("state/keys.json").exists(), "no key is made for a gateway that does not start");
    let mut running = up(&["--insecure", "--auth", "keys"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(running.stdout.take().unwrap()), &mut line).unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(line.contains("is up"), "{line}");
}
