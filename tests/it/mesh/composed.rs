//! The gateways of the Compose file behind its door, by the file's own settings, as processes instead of containers.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use weft_testkit::free_port;

use super::{Mesh, Process};
use crate::{
    harness::{command, eventually, finish, stateless_body, variable},
    http::{Answer, request},
};

const WRITE: &str = "filesystem_write_file";

/// What Docker Compose makes of the file, in a copy that `prepare.py` has filled.
fn resolved(folder: &Path) -> Value {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra");
    assert!(Command::new("cp").arg("-r").args([&ours, folder]).status().unwrap().success());
    let at = folder.join("infra/compose");
    let prepared = finish(command(&variable("WEFT_PYTHON")).args(["prepare.py", "full"]).current_dir(&at));
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let resolved = finish(command(&variable("WEFT_COMPOSE")).args(["config", "--format", "json"]).current_dir(&at));
    assert!(resolved.status.success(), "{}", String::from_utf8_lossy(&resolved.stderr));
    serde_json::from_slice(&resolved.stdout).unwrap()
}

/// The variables of a service, with what is there in place of what is in its containers.
fn variables(whole: &Value, service: &str, instead: &[(String, String)]) -> Vec<(String, String)> {
    let known = whole["services"][service]["environment"].as_object().unwrap();
    let here =
        |value: &Value| instead.iter().fold(value.as_str().unwrap().to_owned(), |text, (of, by)| text.replace(of, by));
    known.iter().map(|(name, value)| (name.clone(), here(value))).collect()
}

/// What is there in place of what the Compose file names: a folder for its volumes, ports of ours for its own.
fn places(mesh: &Mesh, here: &str, [first, second]: [u16; 2], entry: u16) -> Vec<(String, String)> {
    let at = |host: &str, port: u16| format!("{host}:{port}");
    [
        ("consul://10.77.0.10:8500", mesh.identity()),
        ("10.77.0.11", "127.0.0.1".to_owned()),
        ("/run/secrets/session_key", format!("{here}/infra/compose/secrets/session.key")),
        ("/var/lib/weft", format!("{here}/state")),
        ("0.0.0.0:8080", at("0.0.0.0", first)),
        ("0.0.0.0:8082", at("0.0.0.0", second)),
        ("0.0.0.0:8081", at("0.0.0.0", free_port())),
        ("0.0.0.0:8083", at("0.0.0.0", free_port())),
        // In the configuration of the door.
        ("127.0.0.1:8080", at("127.0.0.1", first)),
        ("127.0.0.1:8082", at("127.0.0.1", second)),
        ("listen 8090", at("listen 127.0.0.1", entry)),
    ]
    .map(|(of, by)| (of.to_owned(), by))
    .into()
}

fn door(folder: &Path, instead: &[(String, String)]) -> Process {
    let text = fs::read_to_string(folder.join("infra/compose/nginx/door.conf")).unwrap();
    let text = instead
        .iter()
        .fold(text, |text, (of, by)| text.replace(of, by))
        .replace("/tmp/", &format!("{}/", folder.display()));
    fs::write(folder.join("door.conf"), text).unwrap();
    let mut nginx = command(&variable("WEFT_NGINX"));
    Process::start(
        nginx
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(folder.join("door.conf"))
            .args(["-g", "daemon off; master_process off;"]),
    )
}

fn ask(port: u16, key: &str, method: &str, params: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let mut headers = vec![
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("authorization", &*bearer),
    ];
    headers.extend(params["name"].as_str().map(|name| ("mcp-name", name)));
    request(port, "POST", "/mcp", &headers, stateless_body(method, params).as_bytes())
}

fn write(port: u16, key: &str) -> Answer {
    ask(port, key, "tools/call", &json!({ "name": WRITE, "arguments": { "path": "note.txt", "content": "x" } }))
}

#[test]
fn the_door_of_compose_knows_keys_and_takes_the_gateway_that_is_there() {
    let mut mesh = Mesh::patient();
    mesh.identity = Some(mesh.consul.identity());
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    let whole = resolved(folder.path());
    fs::create_dir(folder.path().join("root")).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("files.toml"), format!("[service]\nroot = \"{here}/root\"\n")).unwrap();
    let _files = mesh.serve("filesystem", &folder.path().join("files.toml"));
    let (listens, entry) = ([free_port(), free_port()], free_port());
    let instead = places(&mesh, &here, listens, entry);
    let of = |name: &str| variables(&whole, name, &instead);
    let mut gateways = ["gateway-1", "gateway-2"].map(|name| {
        let mut weft = command(&variable("WEFT_BIN"));
        Process::start(weft.arg("gateway").envs(of(name)).stdout(std::process::Stdio::null()))
    });
    let _door = door(folder.path(), &instead);
    // As `docker compose exec gateway-1 weft keys ...` does it.
    let keys = |words: &[&str]| {
        let output = finish(command(&variable("WEFT_BIN")).arg("keys").args(words).envs(of("gateway-1")));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let [ann, bob] = [("ann", "writer"), ("bob", "reader")]
        .map(|(name, role)| keys(&["create", "--quiet", "--name", name, "--role", role]));
    for port in listens {
        eventually("the gateway knows the keys and the tools", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                && ask(port, &bob, "tools/list", &json!({})).text().contains("filesystem_read_text_file")
                && ask(port, &ann, "tools/list", &json!({})).text().contains(WRITE)
        });
    }
    eventually("the door is open", || std::net::TcpStream::connect(("127.0.0.1", entry)).is_ok());
    let nobody = ask(entry, "", "tools/list", &json!({}));
    assert_eq!(nobody.status, 401);
    assert!(nobody.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    // A reader sees and calls what reads; a writer all.
    assert!(!ask(entry, &bob, "tools/list", &json!({})).text().contains(WRITE));
    let refused = write(entry, &bob);
    assert!(refused.status != 200 || refused.message()["error"].is_object(), "{}", refused.text());
    assert!(!folder.path().join("root/note.txt").exists());
    let done = write(entry, &ann);
    assert_eq!((done.status, &done.message()["result"]["isError"]), (200, &json!(false)), "{}", done.text());
    // Either gateway may go.
    for one in 0..2 {
        gateways[one].signal("TERM");
        gateways[one].wait();
        assert_eq!(write(entry, &ann).status, 200);
        let name = ["gateway-1", "gateway-2"][one];
        gateways[one] = Process::start(command(&variable("WEFT_BIN")).arg("gateway").envs(of(name)));
        eventually("it is back", || {
            std::net::TcpStream::connect(("127.0.0.1", listens[one])).is_ok() && write(listens[one], &ann).status == 200
        });
    }
    keys(&["revoke", "ann"]);
    eventually("the key has ended at both", || listens.iter().all(|port| write(*port, &ann).status == 401));
    assert_eq!(write(entry, &ann).status, 401);
}
