//! Certificates of clients that are taken back, by the commands that the documentation shows and a client that others wrote: who is
//! let in before and after, what is open meanwhile, and lists that cannot be used.

use std::{
    cell::RefCell,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use super::{
    eventually,
    tls::{authority, curl, install, issue, settings, text},
};
use crate::{
    harness::{Folder, command, finish, variable},
    r#virtual::up,
};

/// The commands of the page that speak of lists, in their order: one that begins, one that revokes.
fn shown() -> [String; 2] {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/authentication.md");
    let text = fs::read_to_string(page).unwrap();
    let blocks = text.split("\n```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    let blocks: Vec<String> = blocks.map(|(block, _)| block.to_owned()).filter(|it| it.contains("-gencrl")).collect();
    blocks.try_into().unwrap()
}

fn run(folder: &Path, block: &str) {
    let done = finish(Command::new("bash").args(["-eu", "-c", block]).current_dir(folder));
    assert!(done.status.success(), "{block}\n{}", String::from_utf8_lossy(&done.stderr));
}

/// Authorities, certificates, and a first list.
fn prepared() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    authority(here, "ca");
    authority(here, "clients");
    issue(here, "ca", "server", "DNS:localhost");
    issue(here, "clients", "ann", "DNS:ann.example");
    issue(here, "clients", "bob", "DNS:bob.example");
    install(here, "server");
    let at = here.display();
    let more = format!(
        "client_ca = \"{at}/clients.pem\"\nclient_crl = \"{at}/clients.crl\"\n[[auth.certificate]]\nname = \"dns:*.example\"\n\
         role = \"writer\"\n"
    );
    let settings = settings(here, &more);
    (folder, settings)
}

/// A client by its name at a listener.
struct Client<'a> {
    folder: &'a Path,
    name: &'static str,
    port: u16,
}

impl Client<'_> {
    fn curl(&self, path: &str, words: &[&str]) -> Command {
        let (certificate, key) = (format!("{}.pem", self.name), format!("{}.key", self.name));
        let url = format!("https://localhost:{}{path}", self.port);
        curl(self.folder, "ca", &[&["--cert", &certificate, "--key", &key, &url][..], words].concat())
    }

    /// What a connection of its own is told.
    fn told(&self) -> (bool, String) {
        text(self.curl("/mcp/v1/tools/list", &[]))
    }

    fn enters(&self) -> bool {
        self.told().1.contains("filesystem_write_file")
    }

    /// One connection that asks again and again, as clients do that keep theirs.
    fn asks(&self, version: &str) -> Asks {
        let words = [
            version,
            "--rate",
            "10/s",
            "--output",
            "/dev/null",
            "--write-out",
            "%{stderr}%{http_code} %{num_connects}\n",
        ];
        let mut child = self.curl("/mcp/v1/tools/list?n=[1-3000]", &words).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let codes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&codes);
        std::thread::spawn(move || {
            let mut line = String::new();
            // Whole lines: it may be killed within one.
            while told.read_line(&mut line).is_ok() && line.ends_with('\n') {
                if line.starts_with(|it: char| it.is_ascii_digit()) {
                    kept.lock().unwrap().push(line.trim().to_owned());
                }
                line.clear();
            }
        });
        Asks { child, codes }
    }

    /// A stream that is open until one of both ends it.
    fn listens(&self, version: &str) -> Child {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let headers = ["content-type: application/json", "accept: application/json, text/event-stream"];
        let era = ["mcp-protocol-version: 2026-07-28", "mcp-method: subscriptions/listen"];
        let headers = [headers, era].concat();
        let mut words = vec![version, "--no-buffer", "--data", body];
        words.extend(headers.iter().flat_map(|header| ["--header", header]));
        self.curl("/mcp", &words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }
}

/// Requests of one client, one after the other.
struct Asks {
    child: Child,
    /// Status and new connections of each.
    codes: Arc<Mutex<Vec<String>>>,
}

impl Asks {
    fn codes(&self) -> Vec<String> {
        self.codes.lock().unwrap().clone()
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True when it has ended.
fn ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

#[test]
fn a_revoked_certificate_is_refused_and_what_it_has_open_ends() {
    let ((folder, settings), [begin, revoke]) = (prepared(), shown());
    run(folder.path(), &begin);
    let (weft, _file) = up(&settings, &["--auth", "keys"]);
    let [ann, bob] = ["ann", "bob"].map(|name| Client { folder: folder.path(), name, port: weft.port });
    assert!(ann.enters() && bob.enters(), "{:?}", ann.told());
    let streams = |client: &Client<'_>| ["--http1.1", "--http2"].map(|version| client.listens(version));
    let (theirs, mut others) = (RefCell::new(streams(&ann)), streams(&bob));
    let (asks, goes_on) = (ann.asks("--http2"), bob.asks("--http1.1"));
    eventually("the streams are open", || {
        let metrics = weft.admin("/metrics").text();
        metrics.lines().any(|line| line == "weft_gateway_streams 4")
    });
    eventually("both have been answered", || asks.codes().len() > 1 && goes_on.codes().len() > 1);
    run(folder.path(), &revoke);
    eventually("a revoked certificate is refused", || !ann.told().0);
    eventually("its streams have ended", || theirs.borrow_mut().iter_mut().all(ended));
    assert!(ann.told().1.contains("revoked"), "{:?}", ann.told());
    assert!(bob.enters());
    assert!(!others.iter_mut().any(ended), "a stream of another certificate ended too");
    // Cut once, and refused from then on.
    let refused = |code: &String| code.starts_with("000");
    eventually("it has asked more than once since", || asks.codes().iter().filter(|code| refused(code)).count() > 1);
    let codes = asks.codes();
    let cut = codes.iter().position(refused).unwrap();
    assert!(codes[0] == "200 1" && codes[1..cut].iter().all(|code| code == "200 0"), "{codes:?}");
    assert!(cut > 1 && codes[cut..].iter().all(refused), "{codes:?}");
    let codes = goes_on.codes();
    assert!(
        codes[0] == "200 1" && codes[1..].iter().all(|code| code == "200 0"),
        "one connection, all along: {codes:?}"
    );
    let metrics = weft.admin("/metrics").text();
    assert!(metrics.contains(r#"weft_gateway_tls_failures_total{reason="revoked"}"#), "{metrics}");
    for mut child in others {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_list_that_is_garbage_changes_nothing_and_one_that_is_out_of_date_lets_nobody_in() {
    let ((folder, settings), [begin, revoke]) = (prepared(), shown());
    let list = folder.path().join("clients.crl");
    run(folder.path(), &begin);
    run(folder.path(), &revoke);
    let good = fs::read(&list).unwrap();
    let (weft, _file) = up(&settings, &["--auth", "keys"]);
    let [ann, bob] = ["ann", "bob"].map(|name| Client { folder: folder.path(), name, port: weft.port });
    assert!(bob.enters() && !ann.told().0);
    fs::write(&list, &good[..good.len() / 2]).unwrap();
    // The gateway looks once a second.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(bob.enters() && !ann.told().0);
    run(folder.path(), &begin.replace("-gencrl", "-gencrl -crlsec 3"));
    eventually("the list is out of date", || !bob.told().0);
    eventually("it is told", || {
        weft.admin("/metrics").text().contains(r#"weft_gateway_tls_failures_total{reason="revocation_unknown"}"#)
    });
    fs::write(&list, &good).unwrap();
    eventually("a new list has come", || bob.enters());
    assert!(!ann.told().0);
}

#[test]
fn a_gateway_does_not_start_with_a_list_that_it_cannot_use() {
    let ((folder, settings), state) = (prepared(), Folder::new());
    for (text, told) in [(None, "No such file"), (Some("half a li"), "no list of revoked certificates")] {
        if let Some(text) = text {
            fs::write(folder.path().join("clients.crl"), text).unwrap();
        }
        let file = folder.path().join("gateway.toml");
        fs::write(&file, format!("{settings}\n[[service]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n")).unwrap();
        let mut gateway = command(&variable("WEFT_BIN"));
        gateway.args(["gateway", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]).arg(&file);
        let ended = finish(gateway.arg("--state").arg(state.path("state")));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains("clients.crl") && said.contains(told), "{said}");
    }
}
