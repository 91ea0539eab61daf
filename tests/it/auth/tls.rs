//! TLS for clients, by a client that others wrote (curl): a renewal under load, certificates of clients, and what the
//! administration address shows to whom.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use weft_testkit::free_port;

use super::{bearer, eventually, finish, key, keys, revoke};
use crate::{
    harness::{Folder, command, variable},
    r#virtual::up,
};

pub(crate) fn openssl(folder: &Path, words: &[&str]) {
    let output = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// An authority `<name>.pem`.
pub(crate) fn authority(folder: &Path, name: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let own = ["req", "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", &key, "-out", &pem];
    openssl(folder, &[&own[..], &KEY].concat());
}

/// A certificate `<name>.pem` of an authority, with these alternative names.
pub(crate) fn issue(folder: &Path, authority: &str, name: &str, alternative: &str) {
    let file = |end: &str| format!("{name}.{end}");
    let (key, csr, pem, names) = (file("key"), file("csr"), file("pem"), file("names"));
    let subject = format!("/CN={name}");
    openssl(folder, &[&["req", "-subj", &subject, "-keyout", &key, "-out", &csr][..], &KEY].concat());
    fs::write(folder.join(&names), format!("subjectAltName={alternative}\n")).unwrap();
    let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}.key"));
    let signed = ["x509", "-req", "-days", "2", "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-extfile", &names];
    openssl(folder, &[&signed[..], &["-in", &csr, "-out", &pem]].concat());
}

/// Puts a certificate where the gateway reads it, one file after the other.
pub(crate) fn install(folder: &Path, name: &str) {
    fs::copy(folder.join(format!("{name}.key")), folder.join("tls.key")).unwrap();
    fs::copy(folder.join(format!("{name}.pem")), folder.join("tls.crt")).unwrap();
}

pub(crate) fn curl(folder: &Path, authority: &str, words: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.current_dir(folder).args(["--silent", "--show-error", "--max-time", "300", "--cacert"]);
    curl.arg(format!("{authority}.pem")).args(words);
    curl
}

pub(crate) fn text(mut command: Command) -> (bool, String) {
    let output = finish(&mut command);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

pub(crate) fn settings(folder: &Path, more: &str) -> String {
    let here = folder.display();
    format!("[tls]\ncert = \"{here}/tls.crt\"\nkey = \"{here}/tls.key\"\n{more}")
}

#[test]
fn a_renewed_certificate_is_used_at_once_and_nothing_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for name in ["old", "new"] {
        authority(here, &format!("{name}-ca"));
        issue(here, &format!("{name}-ca"), name, "DNS:localhost");
    }
    install(here, "old");
    let (weft, _file) = up(&settings(here, ""), &["--auth", "keys", "--with-echo"]);
    let made = keys(&weft.folder, &["create", "--quiet", "--name", "ann", "--role", "writer"]);
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let header = format!("authorization: {}", bearer(&key));
    let url = format!("https://localhost:{}/mcp/v1/initialize", weft.port);
    let code = ["--output", "/dev/null", "--write-out", "%{http_code} %{http_version}", "--header", &header, &url];
    let once = |authority: &str, more: &[&str]| text(curl(here, authority, &[more, &code].concat()));
    eventually("the key is known", || once("old-ca", &[]).1 == "200 2");
    assert_eq!(once("old-ca", &["--http1.1"]).1, "200 1.1");
    assert!(!once("old-ca", &["--tls-max", "1.2"]).0, "only TLS 1.3 is spoken");
    assert!(!once("new-ca", &[]).0, "the certificate is checked");
    let plain = format!("http://localhost:{}/mcp/v1/tools/list", weft.port);
    assert!(!text(curl(here, "old-ca", &["--header", &header, &plain])).0, "nothing is said in plain text");
    // One connection that lives through all of it, and one new connection after the other that trusts both authorities.
    let both = [fs::read(here.join("old-ca.pem")).unwrap(), fs::read(here.join("new-ca.pem")).unwrap()].concat();
    fs::write(here.join("both.pem"), both).unwrap();
    let many = format!("{url}?n=[1-300]");
    let lasting =
        ["--output", "/dev/null", "--write-out", "%{http_code}\n", "--header", &header, "--rate", "100/s", &many];
    let lasting = curl(here, "both", &lasting).stdout(Stdio::piped()).spawn().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let fresh = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut codes = Vec::new();
            while codes.len() < 10 || !stop.load(std::sync::atomic::Ordering::Relaxed) {
                codes.push(once("both", &[]).1);
            }
            codes
        });
        fs::write(here.join("tls.crt"), "half a certif").unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        install(here, "new");
        eventually("the new certificate is shown", || once("new-ca", &[]).0);
        assert!(!once("old-ca", &[]).0);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(fresh.iter().all(|code| code == "200 2"), "{fresh:?}");
    let codes = String::from_utf8(lasting.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((codes.lines().count(), codes.lines().filter(|code| *code == "200").count()), (300, 300), "{codes}");
}

#[test]
fn a_client_certificate_has_the_role_that_the_settings_give_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for name in ["ca", "clients", "strangers"] {
        authority(here, name);
    }
    issue(here, "ca", "server", "DNS:localhost");
    issue(here, "clients", "ann", "URI:spiffe://example/agent/ann");
    issue(here, "clients", "ops", "DNS:a.ops.example");
    issue(here, "clients", "nobody", "DNS:elsewhere.example");
    issue(here, "strangers", "stranger", "DNS:a.ops.example");
    install(here, "server");
    let roles = format!(
        "client_ca = \"{}/clients.pem\"\n[[auth.certificate]]\nname = \"uri:spiffe://example/agent/*\"\nrole = \"reader\"\n\
         [[auth.certificate]]\nname = \"dns:*.ops.example\"\nrole = \"writer\"\n",
        here.display()
    );
    let (weft, _file) = up(&settings(here, &roles), &["--auth", "keys", "--with-echo"]);
    let url = format!("https://localhost:{}/mcp/v1/tools/list", weft.port);
    let shown = |name: &str| {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        text(curl(here, "ca", &["--cert", &certificate, "--key", &key, &url]))
    };
    let (ann, ops, nobody, stranger) = (shown("ann"), shown("ops"), shown("nobody"), shown("stranger"));
    assert!(ann.1.contains("filesystem_read_text_file") && !ann.1.contains("write_file"), "{}", ann.1);
    assert!(ops.1.contains("filesystem_write_file"), "{}", ops.1);
    assert!(nobody.0 && nobody.1.contains("credentials are required"), "{}", nobody.1);
    assert!(!stranger.0 && !stranger.1.contains("filesystem"), "{}", stranger.1);
    let without = text(curl(here, "ca", &[&url]));
    assert!(without.0 && without.1.contains("credentials are required"), "{}", without.1);
}

#[test]
fn settings_of_tls_that_cannot_be_are_told_at_the_start() {
    let folder = Folder::new();
    let none = folder.path("none.pem").display().to_string();
    let tried = |settings: &str, words: &[&str]| {
        let file = folder.path("gateway.toml");
        let service = "[[service]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n";
        fs::write(&file, format!("{settings}\n{service}")).unwrap();
        let mut gateway = command(&variable("WEFT_BIN"));
        gateway.args(["gateway", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]).arg(&file);
        let output = finish(gateway.arg("--state").arg(folder.path("state")).args(words));
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(tried("", &["--tls-cert", &none]).contains("belong together"));
    let roles = "[[auth.certificate]]\nname = \"ann\"\nrole = \"reader\"";
    let told = tried(roles, &[]);
    assert!(told.contains("needs tls.client_ca") && told.contains("must begin with dns:"), "{told}");
    let told = tried("", &["--tls-cert", &none, "--tls-key", &none]);
    assert!(told.contains("TLS for clients") && told.contains("none.pem"), "{told}");
    fs::create_dir_all(folder.path("state")).unwrap();
    fs::write(folder.path("state/keys.json"), "{").unwrap();
    let told = tried("", &["--auth", "keys"]);
    assert!(told.contains("keys.json") && told.contains("restore it"), "{told}");
}

/// An address of this machine that is not loopback; none in a sandbox without a network.
fn outer() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses the address that would be used.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn from_other_machines_the_console_is_for_admins_and_health_for_everybody() {
    let Some(outer) = outer() else { return };
    let admin = format!("{outer}:{}", free_port());
    let hosts = format!("doors = {{ hosts = [\"{outer}\"] }}\n");
    let (weft, _file) = up(&hosts, &["--auth", "keys", "--admin", &admin]);
    let get = |path: &str, words: &[&str]| {
        let url = format!("http://{admin}{path}");
        let code = ["--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code}", &url];
        text({
            let mut curl = Command::new("curl");
            curl.args(code).args(words);
            curl
        })
        .1
    };
    let (reader, chief) = (key(&weft, "reader", "reader"), key(&weft, "chief", "admin"));
    for path in ["/live", "/ready", "/health", "/metrics"] {
        assert_eq!(get(path, &[]), "200", "{path}");
    }
    for path in ["/", "/api/v1/status", "/anything"] {
        assert_eq!(get(path, &[]), "401", "{path}");
        let header = format!("authorization: {}", bearer(&reader));
        assert_eq!(get(path, &["--header", &header]), "403", "{path}");
    }
    for words in [["--header", &format!("authorization: {}", bearer(&chief))], ["--user", &format!("me:{chief}")]] {
        assert_eq!(get("/", &words), "200");
        assert_eq!(get("/api/v1/status", &words), "200");
    }
    let file = weft.folder.path("chief");
    fs::write(&file, &chief).unwrap();
    let mut status = command(&variable("WEFT_BIN"));
    let told =
        finish(status.args(["status", "--json", "--admin", &admin, "--key"]).arg(format!("file:{}", file.display())));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(told["services"].is_array());
    revoke(&weft, "chief");
    eventually("the key has ended", || get("/", &["--user", &format!("me:{chief}")]) == "401");
}
