//! How a tool presents itself: name, description, the four annotations, and its limits.
//!
//! [`Annotations`] has no default and no optional field, so a tool without all four does not compile. The constants are the
//! classes that occur; prefer them, and never claim `read_only` for a tool that leaves a trace.

use std::time::Duration;

use crate::budget;

/// The behaviour hints of the specification, all four always said (absent ones would default to the worst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the specification defines exactly these four independent hints")]
pub struct Annotations {
    /// The tool changes nothing.
    pub read_only: bool,
    /// The tool may destroy or overwrite something.
    pub destructive: bool,
    /// Doing it twice is the same as doing it once. The mesh repeats such calls when an instance dies.
    pub idempotent: bool,
    /// The tool reaches beyond what the service owns.
    pub open_world: bool,
}

impl Annotations {
    /// Reads what the service owns.
    pub const READ: Self = Self { read_only: true, idempotent: true, ..Self::NONE };
    /// Reads the world outside.
    pub const READ_WORLD: Self = Self { read_only: true, idempotent: true, open_world: true, ..Self::NONE };
    /// Adds something new each time.
    pub const ADD: Self = Self::NONE;
    /// Makes sure that something exists.
    pub const ENSURE: Self = Self { idempotent: true, ..Self::NONE };
    /// Replaces something with what the caller gives.
    pub const OVERWRITE: Self = Self { destructive: true, idempotent: true, ..Self::NONE };
    /// Changes something relative to what it is.
    pub const EDIT: Self = Self { destructive: true, ..Self::NONE };
    /// Removes something.
    pub const DELETE: Self = Self { destructive: true, idempotent: true, ..Self::NONE };
    /// Moves something away from where it was.
    pub const MOVE: Self = Self { destructive: true, ..Self::NONE };
    /// Runs what the caller gives.
    pub const EXECUTE: Self = Self { destructive: true, open_world: true, ..Self::NONE };
    /// Asks a model.
    pub const MODEL: Self = Self { read_only: true, open_world: true, ..Self::NONE };

    const NONE: Self = Self { read_only: false, destructive: false, idempotent: false, open_world: false };
}

/// The declaration of one tool.
#[derive(Debug, Clone)]
pub struct Tool {
    pub(crate) name: &'static str,
    pub(crate) title: Option<&'static str>,
    pub(crate) description: &'static str,
    pub(crate) annotations: Annotations,
    pub(crate) text_limit: usize,
    pub(crate) deadline: Option<Duration>,
}

impl Tool {
    /// `name` is `[a-z0-9_]{1,48}`; `description` (≤ 1,024 characters) says what the tool is for and names its siblings where
    /// one could be taken for the other. Both are checked when the service is built.
    pub const fn new(name: &'static str, annotations: Annotations, description: &'static str) -> Self {
        Self { name, title: None, description, annotations, text_limit: budget::TEXT, deadline: None }
    }

    /// A name for people.
    pub const fn title(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    /// Bytes of text in one result, instead of [`budget::TEXT`]; never above [`budget::HARD`].
    pub const fn text_limit(mut self, bytes: usize) -> Self {
        self.text_limit = bytes;
        self
    }

    /// The longest that a call may take, instead of the host's default. A shorter deadline of the caller wins.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}
