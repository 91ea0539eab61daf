//! What is asked for, and what a right answer holds.

use serde_json::{Value, json};

/// What the echo tool is given and gives back.
const TEXT: &str = "a small text that comes back";
/// How files that are read end, so that a cut reply is seen.
const END: &str = "the last line of the file";

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Echo,
    SessionEcho,
    List,
    ListAll,
    Read1K,
    Read64K,
}

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Echo,
    Filesystem,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo, stateless era",
            Self::SessionEcho => "echo, session era",
            Self::List => "tools/list of echo",
            Self::ListAll => "tools/list of all",
            Self::Read1K => "read 1 KiB",
            Self::Read64K => "read 64 KiB",
        }
    }

    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::List | Self::ListAll => "tools/list",
            _ => "tools/call",
        }
    }

    pub(crate) const fn service(self) -> Service {
        match self {
            Self::Read1K | Self::Read64K => Service::Filesystem,
            _ => Service::Echo,
        }
    }

    /// Whether a connection begins with a session.
    pub(crate) const fn session(self) -> bool {
        matches!(self, Self::SessionEcho)
    }

    /// Path at the gateway: lists are compared server by server, calls go to the endpoint that has all tools.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::List => "/mcp/echo",
            _ => "/mcp",
        }
    }

    /// The tool's own name, and its name at the gateway.
    pub(crate) const fn tool(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Echo | Self::SessionEcho => Some(("echo", "echo_echo")),
            Self::List | Self::ListAll => None,
            Self::Read1K | Self::Read64K => Some(("read_text_file", "filesystem_read_text_file")),
        }
    }

    pub(crate) fn arguments(self) -> Option<Value> {
        match self {
            Self::Echo | Self::SessionEcho => Some(json!({ "text": TEXT })),
            Self::List | Self::ListAll => None,
            Self::Read1K => Some(json!({ "path": "1k.txt" })),
            Self::Read64K => Some(json!({ "path": "64k.txt" })),
        }
    }

    /// What stands in every right answer.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Echo | Self::SessionEcho => TEXT,
            Self::List => r#""name":"sleep""#,
            Self::ListAll => r#""name":"filesystem_read_text_file""#,
            Self::Read1K | Self::Read64K => END,
        }
    }
}

/// The content of a file of that many bytes, at least 100.
pub(crate) fn file(bytes: usize) -> String {
    let line = "this line fills a file that is read again and again\n";
    let room = bytes.saturating_sub(END.len() + 2);
    let mut text: String = line.chars().cycle().take(room).collect();
    text.push('\n');
    text + END + "\n"
}
