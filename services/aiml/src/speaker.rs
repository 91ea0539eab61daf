//! The words of a model as they come → the progress of the call, no faster than anyone reads, and the account of what was heard.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use weft_kit::Call;

use crate::{ledger::Reserved, model::Price};

/// Time between two reports of progress.
const PACE: Duration = Duration::from_millis(150);

/// Hands on what a model says while it says it, as the progress of the call.
pub(crate) struct Speaker<'a> {
    call: &'a Call,
    reserved: &'a Reserved,
    /// Tokens at most; nothing is said aloud without.
    most: Option<u64>,
    state: Mutex<Speech>,
}

struct Speech {
    begun: Instant,
    first: Option<Duration>,
    /// Pieces over all attempts: progress must grow.
    pieces: u64,
    unsaid: String,
    next: Instant,
}

impl<'a> Speaker<'a> {
    pub(crate) fn new(call: &'a Call, reserved: &'a Reserved, most: Option<u64>) -> Self {
        let now = Instant::now();
        let speech = Speech { begun: now, first: None, pieces: 0, unsaid: String::new(), next: now };
        Self { call, reserved, most, state: Mutex::new(speech) }
    }

    /// A model begins to answer about so many tokens.
    pub(crate) fn begin(&self, prompt: u64, price: Price) {
        self.reserved.begin(prompt, price, Instant::now());
        let mut state = self.state();
        (state.begun, state.first) = (Instant::now(), None);
        state.unsaid.clear();
    }

    /// A piece of the answer; an empty one is paid for, but not said aloud.
    #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^52")]
    pub(crate) fn heard(&self, piece: &str) {
        self.reserved.heard();
        if piece.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        let begun = state.begun;
        state.first.get_or_insert(now.saturating_duration_since(begun));
        state.pieces += 1;
        let Some(most) = self.most else { return };
        state.unsaid.push_str(piece);
        if now >= state.next {
            state.next = now + PACE;
            let (done, total) = (state.pieces as f64, most as f64);
            self.call.progress(done, (done <= total).then_some(total), std::mem::take(&mut state.unsaid));
        }
    }

    /// Time from the beginning of the last attempt to its first word.
    pub(crate) fn first_token(&self) -> Option<Duration> {
        self.state().first
    }

    fn state(&self) -> MutexGuard<'_, Speech> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
