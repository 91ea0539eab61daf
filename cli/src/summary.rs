//! What `weft up` prints once it is ready: where to connect, what is there, and the line that connects Claude Code.

use std::{fmt::Write as _, path::Path};

use weft_gateway::Running;

/// The widest a list of tools gets before it is cut.
const WIDTH: usize = 78;

/// What callers need.
pub(crate) enum Callers {
    /// Nothing.
    Anonymous,
    /// A key that somebody has.
    Keyed,
    /// This key, which was made just now.
    First(String),
}

/// The summary.
pub(crate) fn text(gateway: &Running, state: &Path, callers: &Callers) -> String {
    let status = gateway.status();
    let endpoint = gateway.endpoint();
    let mut out = String::new();
    let _ = writeln!(out, "Weft {} is up.\n", status.version);
    let _ = writeln!(out, "endpoint   {endpoint}");
    let _ = writeln!(out, "console    http://{}/", gateway.admin());
    let _ = writeln!(out, "state      {}\n", state.display());
    for service in &status.services {
        let names: Vec<&str> = service.tools.iter().map(|tool| tool.name.as_str()).collect();
        let count = if service.stale { "not answering".to_owned() } else { format!("{} tools", names.len()) };
        let _ = writeln!(out, "  {:<12} {count:<9} {}", service.service, cut(&names.join(", ")));
    }
    let _ = writeln!(out, "\nConnect Claude Code:\n");
    let _ = writeln!(out, "  claude mcp add --transport http weft {endpoint}{}\n", callers.header());
    match callers {
        Callers::Anonymous => {}
        Callers::Keyed => {
            out.push_str("Keys are made with `weft keys create --name NAME --role reader|writer|admin`.\n\n");
        }
        Callers::First(_) => {
            out.push_str(
                "This first key is shown once. `weft keys create` makes others, `weft keys revoke first` ends it.\n\n",
            );
        }
    }
    let _ = writeln!(out, "Stop with Ctrl-C.");
    out
}

impl Callers {
    fn header(&self) -> String {
        match self {
            Self::Anonymous => String::new(),
            Self::Keyed => " --header \"Authorization: Bearer KEY\"".to_owned(),
            Self::First(key) => format!(" --header \"Authorization: Bearer {key}\""),
        }
    }
}

fn cut(names: &str) -> String {
    if names.len() <= WIDTH {
        return names.to_owned();
    }
    let end = names.char_indices().map(|(at, _)| at).take_while(|at| *at < WIDTH).last().unwrap_or(0);
    let end = names[..end].rfind(", ").unwrap_or(end);
    format!("{}, …", &names[..end])
}
