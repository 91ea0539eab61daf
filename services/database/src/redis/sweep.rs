//! The `SCAN` family step by step: a position that can be sealed into a cursor, and pages that end where the caller wants them.
//!
//! A step gives as many elements as the server likes, so a page may end inside of one: the position is then the step's cursor
//! and how many of its elements were given. What is changed meanwhile may be seen twice or not at all, as with `SCAN` itself.

use serde::{Deserialize, Serialize};
use weft_kit::ToolError;

use super::{Key, Scope};

/// Where a sweep stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The server's cursor.
    #[serde(rename = "c")]
    pub(super) cursor: u64,
    /// Elements of its step that were given already.
    #[serde(rename = "s")]
    pub(super) skip: usize,
}

/// What is swept.
#[derive(Debug)]
pub(super) enum Sweep<'a> {
    /// The keys of one master that match.
    Keys { master: usize, pattern: Vec<u8>, kind: Option<&'a str> },
    /// The elements of one value, by `HSCAN` or `SSCAN`.
    Value { verb: &'static str, key: &'a Key },
}

impl Sweep<'_> {
    /// One step from a cursor: the next cursor (0 at the end), and the elements in a row.
    pub(super) async fn step(
        &self,
        scope: &Scope<'_>,
        cursor: u64,
        count: usize,
    ) -> Result<(u64, Vec<Vec<u8>>), ToolError> {
        match self {
            Self::Keys { master, pattern, kind } => {
                let mut command = redis::cmd("SCAN");
                command.arg(cursor).arg("MATCH").arg(pattern.as_slice()).arg("COUNT").arg(count);
                if let Some(kind) = kind {
                    command.arg("TYPE").arg(*kind);
                }
                scope.look(*master, &command).await
            }
            Self::Value { verb, key } => {
                let mut command = key.cmd(verb);
                command.arg(cursor).arg("COUNT").arg(count);
                scope.read(key, &command).await
            }
        }
    }
}
