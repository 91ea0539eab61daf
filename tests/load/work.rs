//! What is asked for, and what a right answer holds.

use serde_json::{Value, json};

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Echo,
    SessionEcho,
    List,
    Read1K,
    Read64K,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo, stateless era",
            Self::SessionEcho => "echo, session era",
            Self::List => "tools/list",
            Self::Read1K => "read a file of 1 KiB",
            Self::Read64K => "read a file of 64 KiB",
        }
    }

    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::List => "tools/list",
            _ => "tools/call",
        }
    }

    /// The tool's own name, and the service in front of it on the aggregate endpoint.
    pub(crate) const fn tool(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Echo | Self::SessionEcho => Some(("echo", "echo")),
            Self::List => None,
            Self::Read1K | Self::Read64K => Some(("filesystem", "read_text_file")),
        }
    }

    pub(crate) fn arguments(self) -> Value {
        match self {
            Self::Echo | Self::SessionEcho => json!({ "text": "a small text that comes back" }),
            Self::List => json!({}),
            Self::Read1K => json!({ "path": "1k.txt" }),
            Self::Read64K => json!({ "path": "64k.txt" }),
        }
    }

    /// What stands in every right answer.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Echo | Self::SessionEcho => "a small text that comes back",
            Self::List => "inputSchema",
            Self::Read1K | Self::Read64K => "the last line of the file",
        }
    }

    /// The content of a file to read.
    pub(crate) fn file(bytes: usize) -> String {
        let end = "the last line of the file\n";
        let line = "this line fills a file that is read again and again\n";
        let mut text = line.repeat((bytes - end.len()) / line.len());
        text.push_str(&"x".repeat(bytes - end.len() - text.len() - 1));
        text.push('\n');
        text + end
    }
}
