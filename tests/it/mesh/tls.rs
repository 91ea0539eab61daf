//! Replicas whose clients come with TLS and certificates, each with a certificate of its own: an answer that reaches the other
//! one is handed over in the name of the mesh, whatever clients must show, in Consul and in a cluster.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use super::{
    Gateway, Mesh,
    life::{await_both, handed_over, of_one_era, taken, tell},
    slices::Api,
};
use crate::{
    auth::tls::{authority, issue},
    harness::finish,
};

/// The certificates of both sides, and the settings of two replicas.
fn prepared() -> (tempfile::TempDir, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    authority(here, "ca");
    authority(here, "clients");
    issue(here, "clients", "ann", "DNS:ann.example");
    let settings = ["one", "other"].map(|name| {
        issue(here, "ca", name, "DNS:localhost");
        let (at, file) = (here.display(), here.join(format!("{name}.toml")));
        let text = format!(
            "[tls]\ncert = \"{at}/{name}.pem\"\nkey = \"{at}/{name}.key\"\nclient_ca = \"{at}/clients.pem\"\n\
             client_auth = \"required\"\n[auth]\nmode = \"keys\"\n[[auth.certificate]]\nname = \"cn:ann\"\nrole = \"writer\"\n"
        );
        fs::write(&file, text).unwrap();
        file.display().to_string()
    });
    (folder, settings)
}

/// A port that leads to a gateway's through TLS, with the certificate of a client.
fn tunnel(folder: &Path, to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, folder) = (listener.local_addr().unwrap().port(), folder.to_owned());
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut openssl = Command::new("openssl");
            openssl.args(["s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-CAfile", "ca.pem"]);
            openssl.args(["-cert", "ann.pem", "-key", "ann.key", "-connect", &format!("localhost:{to}")]);
            openssl.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = openssl.spawn().unwrap();
            let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            let (there, back) = (socket.try_clone().unwrap(), socket);
            std::thread::spawn(move || copy(stdout, back));
            std::thread::spawn(move || {
                copy(there, stdin);
                let _ = child.kill();
                let _ = child.wait();
            });
        }
    });
    port
}

/// Passes on each piece as it comes.
fn copy(mut from: impl Read, mut to: impl Write + Ended) {
    let mut piece = [0; 16384];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..read]).and_then(|()| to.flush()).is_err() {
            break;
        }
    }
    to.ended();
}

/// What must be told that nothing comes any more.
trait Ended {
    fn ended(&self) {}
}

impl Ended for std::process::ChildStdin {}

impl Ended for TcpStream {
    fn ended(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// The answer to a question of the first is handed over by the second, and the first took it from a replica.
fn hand_over(folder: &Path, first: &Gateway, second: &Gateway) {
    [first, second].into_iter().for_each(await_both);
    handed_over(tunnel(folder, first.port), tunnel(folder, second.port));
    assert!(taken(first) >= 3.0, "{}", taken(first));
    let url = format!("https://localhost:{}/mcp/v1/tools/list", first.port);
    let curl = |more: &[&str]| {
        let own = ["--silent", "--max-time", "20", "--cacert", "ca.pem"];
        finish(Command::new("curl").current_dir(folder).args(own).args(more).arg(&url))
    };
    assert!(curl(&["--cert", "ann.pem", "--key", "ann.key"]).status.success());
    assert!(!curl(&[]).status.success(), "a client without a certificate is not let in");
}

#[test]
fn replicas_in_consul_hand_over_by_the_identity_of_the_mesh() {
    let (mesh, (folder, settings)) = (Mesh::start(), prepared());
    let servers = of_one_era();
    servers.iter().for_each(|(name, server)| tell(&mesh, name, server.port));
    let [first, second] = settings.each_ref().map(|file| mesh.gateway_with(&["--config", file]));
    hand_over(folder.path(), &first, &second);
}

#[test]
fn replicas_with_identities_from_consul_hand_over_too() {
    let (mut mesh, (folder, settings)) = (Mesh::start(), prepared());
    mesh.identity = Some(mesh.consul.identity());
    let servers = of_one_era();
    servers.iter().for_each(|(name, server)| tell(&mesh, name, server.port));
    let [first, second] = settings.each_ref().map(|file| mesh.gateway_with(&["--config", file]));
    hand_over(folder.path(), &first, &second);
}

#[test]
fn replicas_in_a_cluster_hand_over_by_the_identity_of_the_mesh() {
    let (mesh, (folder, settings), api, servers) = (Mesh::start(), prepared(), Api::start(), of_one_era());
    let named = ["weft-gateway-7d9f-aaaaa", "weft-gateway-7d9f-bbbbb"].into_iter().zip(&settings);
    let gateways: Vec<Gateway> = named
        .map(|(pod, file)| {
            let pod_of = [("WEFT_GATEWAY_POD", &*format!("mesh.{pod}"))];
            let gateway = mesh.gateway_at(&api.registry(), &["--config", file], &pod_of);
            api.show("gateway", pod, gateway.port);
            gateway
        })
        .collect();
    for (name, server) in &servers {
        api.show(name, &format!("{name}-0"), server.port);
    }
    hand_over(folder.path(), &gateways[0], &gateways[1]);
}
