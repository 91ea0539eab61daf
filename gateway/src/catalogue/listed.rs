//! A list as the result of a request: text before it, the list itself, text behind it. Every answer shares the list, because with
//! many services it is far longer than all else that an answer needs.

use bytes::Bytes;
use weft_wire::{code, envelope::Id};

/// A result with a list in it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(super) before: String,
    pub(super) list: Bytes,
    pub(super) behind: String,
}

impl Listed {
    /// The answer to a request, in parts.
    pub(crate) fn answer(self, id: &Id<'_>) -> [Bytes; 3] {
        let mut before = code::result_head(id);
        before.push_str(&self.before);
        let mut behind = self.behind;
        behind.push_str(code::RESULT_END);
        [before.into(), self.list, behind.into()]
    }

    /// The result in one piece.
    pub(crate) fn whole(&self) -> Vec<u8> {
        [self.before.as_bytes(), &self.list, self.behind.as_bytes()].concat()
    }
}
