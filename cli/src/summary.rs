//! What `weft up` prints once it is ready: where to connect, what is there, and the line that connects Claude Code.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use weft_gateway::Status;

/// The widest a list of tools gets before it is cut.
const WIDTH: usize = 78;

/// The summary.
pub(crate) fn text(status: &Status, listen: SocketAddr, admin: SocketAddr, state: &Path) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Weft {} is up.\n", status.version);
    let _ = writeln!(out, "endpoint   http://{listen}/mcp");
    let _ = writeln!(out, "console    http://{admin}/");
    let _ = writeln!(out, "state      {}\n", state.display());
    for service in &status.services {
        let names: Vec<&str> = service.tools.iter().map(|tool| tool.name.as_str()).collect();
        let count = if service.stale { "not answering".to_owned() } else { format!("{} tools", names.len()) };
        let _ = writeln!(out, "  {:<12} {count:<9} {}", service.service, cut(&names.join(", ")));
    }
    let _ = writeln!(out, "\nConnect Claude Code:\n");
    let _ = writeln!(out, "  claude mcp add --transport http weft http://{listen}/mcp\n");
    let _ = writeln!(out, "Stop with Ctrl-C.");
    out
}

fn cut(names: &str) -> String {
    if names.len() <= WIDTH {
        return names.to_owned();
    }
    let end = names.char_indices().map(|(at, _)| at).take_while(|at| *at < WIDTH).last().unwrap_or(0);
    let end = names[..end].rfind(", ").unwrap_or(end);
    format!("{}, …", &names[..end])
}
