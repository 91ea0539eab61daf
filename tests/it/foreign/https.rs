//! A server of others over https: it must prove its name by an authority that is trusted, and it alone gets the operator's headers.

use std::{fs, path::Path, process::Command};

use super::{Server, Weft, command, free_port, json, variable};
use crate::{
    conformance,
    harness::{eventually, finish},
};

/// An authority, and a certificate of it for `localhost`.
fn certificates(folder: &Path) {
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    run(&[
        &["req", "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem"][..],
        &key,
    ]
    .concat());
    run(&[&["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"][..], &key].concat());
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n").unwrap();
    run(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-extfile",
        "names",
        "-out",
        "server.pem",
    ]);
}

/// nginx as the https face of a server; it lets in only who knows the token.
fn face(folder: &Path, upstream: u16) -> (Server, u16) {
    let port = free_port();
    let here = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {here}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; \
         client_body_temp_path {here}/a; proxy_temp_path {here}/b; fastcgi_temp_path {here}/c; uwsgi_temp_path {here}/d; scgi_temp_path {here}/e; \
         server {{ listen 127.0.0.1:{port} ssl; server_name localhost; ssl_certificate {here}/server.pem; ssl_certificate_key {here}/server.key; \
         location = /ready {{ return 200 ready; }} location / {{ if ($http_x_token != \"let me in\") {{ return 403; }} proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host localhost; }} }} }}"
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let mut nginx = command(&variable("WEFT_NGINX"));
    nginx.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    (Server::start(&mut nginx, port), port)
}

#[test]
fn health_is_asked_over_https_of_who_proves_its_name_or_of_anyone() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let (_face, port) = face(folder.path(), 9);
    let ca = folder.path().join("ca.pem").display().to_string();
    let healthy = |host: &str, more: &[&str]| {
        let mut weft = command(&variable("WEFT_BIN"));
        finish(weft.args(["health", "--timeout", "60", &format!("https://{host}:{port}")]).args(more)).status.success()
    };
    assert!(healthy("localhost", &["--ca", &ca]));
    assert!(!healthy("localhost", &[]), "nobody vouches for it");
    assert!(!healthy("127.0.0.1", &["--ca", &ca]), "it has another name");
    assert!(healthy("127.0.0.1", &["--any-certificate"]));
}

#[test]
fn a_server_over_https_must_prove_its_name_and_gets_the_operators_headers() {
    let server = conformance::Server::start();
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let (_face, port) = face(folder.path(), server.port);
    fs::write(folder.path().join("token"), "let me in\n").unwrap();
    let service = |name: &str, host: &str, more: &str| {
        format!("[[service]]\nname = \"{name}\"\nurl = \"https://{host}:{port}/mcp\"\n{more}\n")
    };
    let here = folder.path().display();
    let token = format!("headers = {{ X-Token = \"file:{here}/token\" }}");
    let ca = format!("ca = \"{here}/ca.pem\"");
    let settings = [
        service("good", "localhost", &format!("{ca}\n{token}")),
        service("unknown", "localhost", &token),
        service("misnamed", "127.0.0.1", &format!("{ca}\n{token}")),
        service("barred", "localhost", &ca),
    ];
    let config = folder.path().join("gateway.toml");
    fs::write(&config, settings.concat()).unwrap();
    let weft = Weft::up(&["--config", config.to_str().unwrap()]);
    let listed = || weft.stateless("/mcp", "tools/list", &json!({})).text();
    eventually("the good one is listed", || listed().contains("good_test_simple_text"));
    let said = weft.call("good_test_simple_text", &json!({}));
    assert!(said["content"][0]["text"].is_string(), "{said}");
    eventually("handshakes that failed are counted", || {
        weft.admin("/metrics").text().contains("weft_gateway_tls_failures_total{")
    });
    for bad in ["unknown", "misnamed", "barred"] {
        assert!(!listed().contains(&format!("{bad}_test")), "{bad}");
    }
    // The operator's own header is not the client's to see or to set.
    assert!(!weft.status().to_string().contains("let me in"));
}
