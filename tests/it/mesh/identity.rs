//! Certificates in files: rotation under load, and every kind that must be refused.

use std::{io::Write as _, net::TcpStream, path::Path, process::Command};

use super::{Load, Mesh, pass, write};
use crate::{harness::eventually, http::request};

/// An authority made with the `openssl` program, as a stand-in for whatever delivers certificates.
struct Authority<'a> {
    folder: &'a Path,
    name: &'a str,
}

impl<'a> Authority<'a> {
    fn new(folder: &'a Path, name: &'a str) -> Self {
        let authority = Self { folder, name };
        let subject = format!("/CN={name}");
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            &subject,
            "-days",
            "30",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            &authority.file("key"),
            "-out",
            &authority.file("pem"),
        ]);
        authority
    }

    fn file(&self, kind: &str) -> String {
        self.folder.join(format!("{}.{kind}", self.name)).to_str().unwrap().to_owned()
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(self.folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Puts `tls.crt`, `tls.key` and `ca.crt` of a workload into a folder; its files are replaced one by one.
    fn deliver(&self, name: &str, to: &Path, days: &str) {
        std::fs::create_dir_all(to).unwrap();
        let (key, csr, extensions) = (self.file("leaf.key"), self.file("csr"), self.file("ext"));
        let text = format!(
            "subjectAltName=URI:spiffe://mesh.test/svc/{name}\nkeyUsage=digitalSignature\n\
             extendedKeyUsage=serverAuth,clientAuth\n"
        );
        std::fs::write(&extensions, text).unwrap();
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=leaf",
            "-keyout",
            &key,
            "-out",
            &csr,
        ]);
        let leaf = self.file("leaf.pem");
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            &self.file("pem"),
            "-CAkey",
            &self.file("key"),
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            &extensions,
            "-out",
            &leaf,
        ]);
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        write(&to.join("ca.crt"), &read(&self.file("pem")));
        write(&to.join("tls.key"), &read(&key));
        write(&to.join("tls.crt"), &read(&leaf));
    }
}

#[test]
fn certificates_are_rotated_under_load_and_no_call_fails() {
    let mut mesh = Mesh::start();
    let keys = mesh.path("keys");
    std::fs::create_dir(&keys).unwrap();
    let authority = Authority::new(&keys, "authority");
    let folder = |name: &str| mesh.path(&format!("certs-{name}"));
    let (server, gateway) = (folder("server"), folder("gateway"));
    authority.deliver("echo", &server, "2");
    authority.deliver("gateway", &gateway, "2");
    let as_server = format!("files:{}", server.display());
    mesh.identity = Some(format!("files:{}", gateway.display()));
    let _servers = [mesh.echo_as(&as_server), mesh.echo_as(&as_server)];
    let running = mesh.gateway();
    running.await_healthy(2);
    let load = Load::start(&[running.port]);
    for _ in 0..3 {
        pass(1.0);
        authority.deliver("echo", &server, "2");
        authority.deliver("gateway", &gateway, "2");
    }
    pass(3.0);
    // Whoever connects now does so with the newest.
    let _third = mesh.echo_as(&as_server);
    running.await_healthy(3);
    load.all_right("certificates rotated");
}

#[test]
fn who_is_not_of_the_mesh_is_refused_and_counted() {
    let mut mesh = Mesh::start();
    let keys = mesh.path("keys");
    std::fs::create_dir(&keys).unwrap();
    let (authority, foreign) = (Authority::new(&keys, "authority"), Authority::new(&keys, "foreign"));
    let folder = |name: &str| mesh.path(&format!("certs-{name}"));
    authority.deliver("gateway", &folder("gateway"), "2");
    authority.deliver("echo", &folder("good"), "2");
    authority.deliver("other", &folder("misnamed"), "2");
    foreign.deliver("echo", &folder("foreign"), "2");
    let source = |name: &str| format!("files:{}", folder(name).display());
    let (good, misnamed, of_others) = (source("good"), source("misnamed"), source("foreign"));
    mesh.identity = Some(source("gateway"));
    let good = mesh.echo_as(&good);
    let gateway = mesh.gateway();
    gateway.await_healthy(1);
    let _misnamed = mesh.echo_as(&misnamed);
    let _foreign = mesh.echo_as(&of_others);
    eventually("all three are registered", || gateway.instances().len() == 3);
    let load = Load::start(&[gateway.port]);
    for reason in ["wrong_name", "foreign"] {
        eventually(&format!("{reason} is counted"), || {
            gateway.metric("weft_gateway_tls_failures_total", &format!("\"{reason}\"")) > 0.0
        });
    }
    pass(1.0);
    load.all_right("two of three instances are not who they should be");
    // Somebody has no certificate, or speaks TLS as it was.
    let at = format!("127.0.0.1:{}", good.port);
    let turned_away = |reason: &str| {
        let text = request(good.admin, "GET", "/metrics", &[], b"").text();
        text.lines().any(|line| line.starts_with("weft_service_tls_failures_total") && line.contains(reason))
    };
    for (version, reason) in [("-tls1_3", "no_certificate"), ("-tls1_2", "old_protocol")] {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &at, version]).stdin(std::process::Stdio::null());
        let _ = client.output().unwrap();
        eventually(&format!("{reason} is counted"), || turned_away(reason));
    }
    // Somebody speaks plain text to a server.
    let mut socket = TcpStream::connect(("127.0.0.1", good.port)).unwrap();
    socket.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    eventually("plain text is counted", || turned_away("plain_text"));
}
