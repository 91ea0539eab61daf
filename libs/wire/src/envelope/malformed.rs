//! Why a body is not a message, and how that is answered: the code of JSON-RPC and the id, when it could still be read.

use super::{Id, Limits};
use crate::{code, object::Unclear, scanner::Fault};

/// Why a body is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than the limit.
    #[error("the message is longer than {0} bytes; send less at once")]
    TooLarge(usize),
    /// Not text.
    #[error("the message is not valid UTF-8 at byte {0}; encode it as UTF-8")]
    Encoding(usize),
    /// Not JSON.
    #[error("the message is not valid JSON at byte {0}; send one JSON value and nothing else")]
    Syntax(usize),
    /// Nested too deeply.
    #[error("the message is nested deeper than {0} levels; send a flatter one")]
    TooDeep(usize),
    /// A key stands twice.
    #[error("the key {key:?} stands twice in one object; send it once")]
    Duplicate {
        /// The decoded key; a long one is cut.
        key: String,
        /// The message's id, when it could be read.
        id: Option<Id<'static>>,
    },
    /// JSON, but not JSON-RPC.
    #[error("not a JSON-RPC 2.0 message: {why}")]
    Invalid {
        /// What is wrong.
        why: &'static str,
        /// The message's id, when it could be read.
        id: Option<Id<'static>>,
    },
    /// A part of `params` that is read has the wrong form.
    #[error("invalid parameters: {why}")]
    Params {
        /// What is wrong.
        why: &'static str,
        /// The message's id, when it could be read.
        id: Option<Id<'static>>,
    },
    /// A batch without messages, or with too many.
    #[error("a batch must hold 1 to {0} messages; split it")]
    Batch(usize),
}

impl Malformed {
    /// The JSON-RPC code that says this.
    pub const fn code(&self) -> i64 {
        match self {
            Self::Syntax(_) | Self::Encoding(_) => code::PARSE_ERROR,
            Self::Params { .. } => code::INVALID_PARAMS,
            _ => code::INVALID_REQUEST,
        }
    }

    /// The id to answer with, when it could be read.
    pub const fn id(&self) -> Option<&Id<'static>> {
        match self {
            Self::Duplicate { id, .. } | Self::Invalid { id, .. } | Self::Params { id, .. } => id.as_ref(),
            _ => None,
        }
    }

    pub(super) const fn of(fault: Fault, limits: &Limits) -> Self {
        match fault {
            Fault::Syntax(at) => Self::Syntax(at),
            Fault::Deep => Self::TooDeep(limits.depth),
        }
    }
}

/// What half of a surrogate pair is called wherever a string with one is read.
pub(super) const TORN: &str = "a string that must be read holds half of a surrogate pair; escape whole characters";

/// What is wrong with one object of a message, before its id is known.
#[derive(Debug)]
pub(super) enum Wrong {
    Duplicate(String),
    Invalid(&'static str),
    Params(&'static str),
}

impl Wrong {
    /// Unclear keys of the message itself.
    pub(super) fn keys(unclear: Unclear) -> Self {
        match unclear {
            Unclear::Duplicate(key) => Self::Duplicate(key),
            Unclear::Torn => Self::Invalid(TORN),
        }
    }

    pub(super) fn with(self, id: Option<Id<'static>>) -> Malformed {
        match self {
            Self::Duplicate(key) => Malformed::Duplicate { key, id },
            Self::Invalid(why) => Malformed::Invalid { why, id },
            Self::Params(why) => Malformed::Params { why, id },
        }
    }
}
