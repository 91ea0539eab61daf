//! Servers that others wrote, behind the gateway by configuration alone, called by clients of both eras.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weft_testkit::free_port;

use crate::harness::{SESSION, Weft, command, variable};

mod browsers;
mod https;
pub(crate) mod life;
mod litellm;
mod official;
mod openapi;
mod python;

/// The words that start an official server of npm, as `--add` takes them.
pub(crate) fn npm(package: &str, entry: &str, arguments: &str) -> String {
    let script = variable("WEFT_NODE_MODULES").join(package).join(entry);
    format!("{} {} {arguments}", variable("WEFT_NODE").display(), script.display())
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("foreign").join(name)
}

/// A program of others that ends with the test.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self(child);
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "{command:?} does not listen");
            assert!(server.0.try_wait().unwrap().is_none(), "{command:?} has ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Calls a tool by a client of each era; gives both results without what only one era has.
#[track_caller]
fn both(weft: &Weft, tool: &str, arguments: &Value) -> [Value; 2] {
    let mut stateless = weft.call(tool, arguments);
    assert_eq!(stateless["resultType"], "complete", "{stateless}");
    stateless.as_object_mut().unwrap().remove("resultType");
    // A server may be introduced to its clients by name.
    stateless.as_object_mut().unwrap().remove("_meta");
    let token = weft.initialize("/mcp", SESSION);
    let answer = weft.within("/mcp", &token, (1, "tools/call"), &json!({ "name": tool, "arguments": arguments }));
    let mut session = answer.message()["result"].clone();
    session.as_object_mut().unwrap_or_else(|| panic!("{}", answer.text())).remove("_meta");
    [stateless, session]
}

/// The text of each result.
#[track_caller]
fn texts(results: [Value; 2]) -> [String; 2] {
    results.map(|result| result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned())
}
