//! The gateways of the Compose file behind its door, by the file's own settings, as processes instead of containers.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use weft_testkit::free_port;

use super::{Mesh, Process, keys::ask};
use crate::{
    harness::{command, eventually, finish, variable},
    http::Answer,
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

/// A text with what is here in place of what is in containers.
fn here(text: &str, instead: &[(String, String)]) -> String {
    instead.iter().fold(text.to_owned(), |text, (of, by)| text.replace(of, by))
}

/// The variables of a service.
fn variables(whole: &Value, service: &str, instead: &[(String, String)]) -> Vec<(String, String)> {
    let known = whole["services"][service]["environment"].as_object().unwrap();
    known.iter().map(|(name, value)| (name.clone(), here(value.as_str().unwrap(), instead))).collect()
}

/// What is there in place of what the Compose file names: a folder for its volumes, ports of ours for its own.
fn places(mesh: &Mesh, here: &str, [first, second]: [u16; 2], entry: u16) -> Vec<(String, String)> {
    let at = |host: &str, port: u16| format!("{host}:{port}");
    [
        // First, because the folder may lie there itself.
        ("/tmp/", format!("{here}/")),
        ("consul://10.77.0.10:8500", mesh.identity()),
        ("10.77.0.11", "127.0.0.1".to_owned()),
        ("/run/secrets/session_key", format!("{here}/infra/compose/secrets/session.key")),
        ("/var/lib/weft", format!("{here}/state")),
        ("0.0.0.0:8080", at("0.0.0.0", first)),
        ("0.0.0.0:8082", at("0.0.0.0", second)),
        ("0.0.0.0:8081", at("0.0.0.0", free_port())),
        ("0.0.0.0:8083", at("0.0.0.0", free_port())),
        // In the configuration of the door.
        ("/etc/weft/", format!("{here}/")),
        ("127.0.0.1:8080", at("127.0.0.1", first)),
        ("127.0.0.1:8082", at("127.0.0.1", second)),
        ("listen 8090", at("listen 127.0.0.1", entry)),
    ]
    .map(|(of, by)| (of.to_owned(), by))
    .into()
}

/// The door, with what Docker Compose mounts into it.
fn door(whole: &Value, folder: &Path, instead: &[(String, String)]) -> Process {
    for mounted in whole["services"]["door"]["volumes"].as_array().unwrap() {
        let [from, to] = ["source", "target"].map(|end| mounted[end].as_str().unwrap());
        let text = here(&fs::read_to_string(from).unwrap(), instead);
        fs::write(here(to, instead), text).unwrap();
    }
    let mut nginx = command(&variable("WEFT_NGINX"));
    nginx.arg("-p").arg(folder).arg("-c").arg(folder.join("door.conf"));
    Process::start(nginx.args(["-g", "daemon off; master_process off;"]))
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
    let names = ["gateway-1", "gateway-2"];
    let start =
        |name: &str| Process::start(command(&variable("WEFT_BIN")).arg("gateway").envs(of(name)).stdout(Stdio::null()));
    let mut gateways = names.map(start);
    let _door = door(&whole, folder.path(), &instead);
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
            TcpStream::connect(("127.0.0.1", port)).is_ok()
                && ask(port, &bob, "tools/list", &json!({})).text().contains("filesystem_read_text_file")
                && ask(port, &ann, "tools/list", &json!({})).text().contains(WRITE)
        });
    }
    eventually("the door is open", || TcpStream::connect(("127.0.0.1", entry)).is_ok());
    let nobody = ask(entry, "", "tools/list", &json!({}));
    assert_eq!(nobody.status, 401);
    assert!(nobody.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    // A reader sees and calls what reads; a writer all.
    assert!(!ask(entry, &bob, "tools/list", &json!({})).text().contains(WRITE));
    let refused = write(entry, &bob).text();
    assert!(refused.contains("unknown tool"), "{refused}");
    assert!(!folder.path().join("root/note.txt").exists());
    let done = write(entry, &ann);
    assert_eq!((done.status, &done.message()["result"]["isError"]), (200, &json!(false)), "{}", done.text());
    // Either gateway may go.
    for one in [0, 1, 0] {
        gateways[one].signal("TERM");
        gateways[one].wait();
        assert_eq!(write(entry, &ann).status, 200);
        gateways[one] = start(names[one]);
        eventually("it is back", || {
            TcpStream::connect(("127.0.0.1", listens[one])).is_ok() && write(listens[one], &ann).status == 200
        });
    }
    keys(&["revoke", "ann"]);
    eventually("the key has ended at both", || listens.iter().all(|port| write(*port, &ann).status == 401));
    assert_eq!(write(entry, &ann).status, 401);
}
