//! How much a result may hold, kept while it is being produced.
//!
//! A budget is spent item by item, so a walk stops when the page is full instead of collecting everything and cutting it
//! afterwards. Once an item was refused nothing smaller slips in behind it: pages stay contiguous.

use std::io;

use serde::Serialize;

use crate::reply::Truncated;

/// Text of one result unless the tool says otherwise: 48 KiB, about 12,000 tokens.
pub const TEXT: usize = 48 * 1024;
/// Everything of one result together, whatever the tool says: 1 MiB.
pub const HARD: usize = 1024 * 1024;
/// Content blocks of one result.
pub const BLOCKS: usize = 256;

/// Bytes that may still be produced.
#[derive(Debug, Clone)]
pub struct Budget {
    limit: usize,
    used: usize,
    omitted: u64,
    full: bool,
}

impl Budget {
    /// A budget of `limit` bytes (never more than [`HARD`]).
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.min(HARD), used: 0, omitted: 0, full: false }
    }

    /// Takes `bytes` if they fit; `false` means stop: they count as omitted, and so will all that follow.
    #[must_use = "when the budget is spent, producing must stop"]
    pub fn admit(&mut self, bytes: usize) -> bool {
        self.full |= bytes > self.left();
        if self.full {
            self.omitted += bytes as u64;
            return false;
        }
        self.used += bytes;
        true
    }

    /// The longest prefix of `text` that fits, cut between characters; the rest counts as omitted.
    pub fn clip<'t>(&mut self, text: &'t str) -> &'t str {
        if self.admit(text.len()) {
            return text;
        }
        let cut = (0..=self.left()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.used += cut;
        self.omitted -= cut as u64;
        &text[..cut]
    }

    /// Takes items while their JSON fits and leaves the rest in the iterator (but for the one that did not fit).
    pub fn fill<T: Serialize>(&mut self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut taken = Vec::new();
        for item in items {
            if !self.admit(json_size(&item) + 1) {
                break;
            }
            taken.push(item);
        }
        taken
    }

    /// Bytes left.
    pub fn left(&self) -> usize {
        self.limit - self.used
    }

    /// Bytes taken.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether something was refused.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// What to say about it in the result: `None` when everything fitted.
    pub fn truncated(&self) -> Option<Truncated> {
        self.full.then(|| Truncated {
            reason: "budget".to_owned(),
            limit: self.limit as u64,
            bytes_omitted: Some(self.omitted),
        })
    }
}

/// Size of the compact JSON of `value`, counted without building it. A value that is no JSON counts as endless.
pub(crate) fn json_size<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX / 2,
    }
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_slips_in_behind_a_refused_item() {
        let mut budget = Budget::new(10);
        assert!(budget.admit(6));
        assert!(!budget.admit(5));
        assert!(!budget.admit(1));
        assert_eq!(budget.truncated().and_then(|cut| cut.bytes_omitted), Some(6));
    }

    #[test]
    fn a_clip_never_splits_a_character() {
        let mut budget = Budget::new(4);
        assert_eq!(budget.clip("aßßß"), "aß");
        assert_eq!(budget.truncated().and_then(|cut| cut.bytes_omitted), Some(4));
    }

    #[test]
    fn a_page_is_filled_by_the_size_of_its_json() {
        let mut budget = Budget::new(12);
        assert_eq!(budget.fill(["abc", "def", "ghi"]), ["abc", "def"]);
        assert!(budget.is_full());
    }

    #[test]
    fn no_budget_is_over_the_hard_limit() {
        assert!(!Budget::new(usize::MAX).admit(HARD + 1));
    }
}
