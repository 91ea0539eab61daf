//! nginx as a plain HTTP reverse proxy in front of the same servers: the yardstick. It is not measured for its own sake,
//! so its configuration is the usual one of a proxy and says no more than it must.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use weft_testkit::free_port;

use crate::process::{Program, command};

/// The proxy, with one port for each server behind it.
pub(crate) struct Nginx {
    pub(crate) program: Program,
    pub(crate) ports: Vec<u16>,
}

/// What `WEFT_NGINX` names, or the first `nginx` in `PATH`.
fn find() -> Option<PathBuf> {
    let named = env::var_os("WEFT_NGINX").filter(|name| !name.is_empty()).map(PathBuf::from);
    named.or_else(|| {
        env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join("nginx")).find(|path| path.is_file())
    })
}

/// Starts nginx before `servers`, with its files in `folder`; nothing where there is no nginx.
pub(crate) fn start(folder: &Path, servers: &[u16]) -> Result<Option<Nginx>> {
    let Some(nginx) = find() else {
        eprintln!("nginx is not there, so its rows are left out: install it or name it in WEFT_NGINX");
        return Ok(None);
    };
    fs::create_dir(folder)?;
    let ports = servers.iter().map(|_| free_port()).collect::<Vec<_>>();
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration(folder, &ports, servers)?)?;
    let run = || {
        let mut run = command(&nginx);
        run.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(folder.join("errors"));
        run
    };
    let mut stop = run();
    stop.args(["-s", "stop"]);
    let mut program = Program::start(run(), Some(stop))?;
    for port in &ports {
        program.listening(*port).context("nginx may refuse the configuration in tests/load/nginx.rs")?;
    }
    Ok(Some(Nginx { program, ports }))
}

fn configuration(folder: &Path, ports: &[u16], servers: &[u16]) -> Result<String> {
    let at = folder.display();
    let mut text = format!("daemon off; worker_processes 2; pid {at}/pid; error_log {at}/errors crit;\n");
    text.push_str("events { worker_connections 2048; }\n");
    writeln!(text, "http {{ access_log off; keepalive_requests 1000000000; proxy_http_version 1.1;")?;
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{kind}_temp_path {at}/{kind};")?;
    }
    // Replies fit the buffers, so that nginx passes them on from memory and never by way of a file.
    writeln!(text, "proxy_buffers 32 16k; proxy_buffer_size 16k; proxy_busy_buffers_size 64k;")?;
    writeln!(text, "proxy_set_header Connection \"\"; proxy_set_header Host 127.0.0.1;")?;
    for (port, server) in ports.iter().zip(servers) {
        let upstream = format!("server 127.0.0.1:{server}; keepalive 64; keepalive_requests 1000000000;");
        writeln!(text, "upstream to{server} {{ {upstream} }}")?;
        writeln!(text, "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://to{server}; }} }}")?;
    }
    text.push_str("}\n");
    Ok(text)
}
