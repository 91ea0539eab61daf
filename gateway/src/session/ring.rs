//! Streams of the session era that a client can lose and take up again: each event is kept a while under an id.
//!
//! One [`Ring`] per stream: what a server says is pushed at one end, what a client reads is taken at the other. A client
//! that is connected but slow holds the server back; one that is gone loses only what no longer fits.
//! Event ids are `<stream>-<number>` (MCP 2025-11-25, Streamable HTTP, resumability).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;
use weft_wire::sse;

/// Bytes of one ring that nobody has read yet before a writer waits.
const UNREAD: usize = 1 << 20;
/// Bytes of one ring kept for a client that comes back.
const KEPT: usize = 1 << 20;
/// Finished streams of one session kept for a client that comes back.
const FINISHED: usize = 16;
/// What a client waits before it reconnects, milliseconds.
pub(crate) const RETRY_MS: u64 = 1000;

/// One stream.
#[derive(Debug)]
pub(crate) struct Ring {
    number: u64,
    state: Mutex<State>,
    written: Notify,
    read: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    last: u64,
    taken: u64,
    readers: usize,
    hangups: u64,
    done: bool,
}

impl Ring {
    fn new(number: u64) -> Self {
        Self { number, state: Mutex::default(), written: Notify::new(), read: Notify::new() }
    }

    /// The id under which a client takes the stream up again after event `last`.
    pub(crate) fn event_id(&self, last: u64) -> String {
        format!("{}-{last}", self.number)
    }

    /// Adds a message; waits while a connected client has too much to read.
    pub(crate) async fn push(&self, data: &[u8]) {
        loop {
            let room = self.read.notified();
            {
                let mut state = self.lock();
                if state.done {
                    return;
                }
                if state.readers == 0 || state.unread() < UNREAD {
                    state.add(self.number, data, None);
                    break;
                }
            }
            room.await;
        }
        self.written.notify_waiters();
    }

    /// No more events will come.
    pub(crate) fn finish(&self) {
        self.lock().done = true;
        self.written.notify_waiters();
        self.read.notify_waiters();
    }

    /// The number of the newest event.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last
    }

    pub(crate) fn is_done(&self) -> bool {
        self.lock().done
    }

    /// Sends connected clients away with the wish to come back after `retry` milliseconds; the stream goes on.
    pub(crate) fn hang_up(&self, retry: Option<u64>) {
        let mut state = self.lock();
        if let Some(retry) = retry {
            state.add(self.number, b"", Some(retry));
        }
        state.hangups += 1;
        drop(state);
        self.written.notify_waiters();
    }

    /// A client that reads from behind event `after`.
    pub(crate) fn attach(self: &Arc<Self>, after: u64) -> Reader {
        let mut state = self.lock();
        state.readers += 1;
        let hangups = state.hangups;
        drop(state);
        Reader { ring: Arc::clone(self), after, hangups }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn unread(&self) -> usize {
        self.events.iter().rev().take_while(|(number, _)| *number > self.taken).map(|(_, event)| event.len()).sum()
    }

    fn add(&mut self, stream: u64, data: &[u8], retry: Option<u64>) {
        self.last += 1;
        let mut event = Vec::with_capacity(data.len() + 64);
        sse::write_event(&mut event, Some(&format!("{stream}-{}", self.last)), None, data, retry);
        self.bytes += event.len();
        self.events.push_back((self.last, event.into()));
        // What has been read goes first; with nobody reading, the oldest goes, but never the newest.
        while self.bytes > KEPT + UNREAD
            || (self.bytes > KEPT && self.events.front().is_some_and(|(n, _)| *n <= self.taken))
        {
            if self.events.len() == 1 {
                break;
            }
            if let Some((_, event)) = self.events.pop_front() {
                self.bytes -= event.len();
            }
        }
    }
}

/// A client's place in a stream.
pub(crate) struct Reader {
    ring: Arc<Ring>,
    after: u64,
    hangups: u64,
}

impl Reader {
    /// The next event, ready to be written; none when the stream is over or the client is to come back later.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let ring = Arc::clone(&self.ring);
            let news = ring.written.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            {
                let mut state = ring.lock();
                let found = state.events.iter().find(|(number, _)| *number > self.after).cloned();
                if let Some((number, event)) = found {
                    self.after = number;
                    state.taken = state.taken.max(number);
                    drop(state);
                    ring.read.notify_waiters();
                    return Some(event);
                }
                if state.done || state.hangups != self.hangups {
                    return None;
                }
            }
            news.await;
        }
    }

    /// The last event that the client has.
    pub(crate) const fn place(&self) -> u64 {
        self.after
    }

    pub(crate) fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ring.lock().readers -= 1;
        self.ring.read.notify_waiters();
    }
}

/// The streams of one session; number 0 is the one that the client opens by GET.
#[derive(Debug)]
pub(crate) struct Rings {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Ring>>>,
}

impl Default for Rings {
    fn default() -> Self {
        // Numbers go on where an earlier life of the session may have stopped, so that its ids are never mistaken.
        Self { next: AtomicU64::new(fastrand::u64(1..1 << 40)), open: Mutex::default() }
    }
}

impl Rings {
    /// A new stream, for the reply to one POST.
    pub(crate) fn create(&self) -> Arc<Ring> {
        let ring = Arc::new(Ring::new(self.next.fetch_add(1, Ordering::Relaxed)));
        let mut open = self.lock();
        let finished: Vec<u64> =
            open.iter().filter(|(number, ring)| **number != 0 && ring.is_done()).map(|(number, _)| *number).collect();
        for number in finished.iter().take(finished.len().saturating_sub(FINISHED)) {
            open.remove(number);
        }
        open.insert(ring.number, Arc::clone(&ring));
        ring
    }

    /// The session's own stream.
    pub(crate) fn own(&self) -> Arc<Ring> {
        Arc::clone(self.lock().entry(0).or_insert_with(|| Arc::new(Ring::new(0))))
    }

    /// True once the client has asked for the session's own stream.
    pub(crate) fn own_is_open(&self) -> bool {
        self.lock().contains_key(&0)
    }

    /// True for the session's own stream.
    #[expect(clippy::unused_self, reason = "which stream is the own one is the set's business")]
    pub(crate) fn is_own(&self, ring: &Arc<Ring>) -> bool {
        ring.number == 0
    }

    /// Where a client left off: the stream and the last event it saw.
    pub(crate) fn resume(&self, event_id: &str) -> Option<(Arc<Ring>, u64)> {
        let (stream, last) = event_id.split_once('-')?;
        let number: u64 = stream.parse().ok()?;
        let ring = if number == 0 { self.own() } else { self.lock().get(&number).cloned()? };
        // An id of an earlier life of the session may be ahead of this one: then what comes next is what is new.
        let last = last.parse::<u64>().ok()?.min(ring.lock().last);
        Some((ring, last))
    }

    /// Ends all streams.
    pub(crate) fn finish(&self) {
        self.lock().values().for_each(|ring| ring.finish());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Ring>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_comes_back_gets_what_it_missed_and_only_of_its_stream() {
        let rings = Rings::default();
        let (a, b) = (rings.create(), rings.create());
        a.push(b"1").await;
        b.push(b"other").await;
        a.push(b"2").await;
        let mut reader = a.attach(0);
        let first = reader.next().await.unwrap();
        assert!(first.starts_with(format!("id: {}", a.event_id(1)).as_bytes()), "{first:?}");
        drop(reader);
        a.push(b"3").await;
        a.finish();
        let (ring, after) = rings.resume(&a.event_id(1)).unwrap();
        let mut again = ring.attach(after);
        let mut seen = Vec::new();
        while let Some(event) = again.next().await {
            seen.push(String::from_utf8(event.to_vec()).unwrap());
        }
        assert_eq!(seen.len(), 2);
        assert!(seen[0].contains("data: 2") && seen[1].contains("data: 3"));
        assert!(rings.resume("no-such").is_none() && rings.resume("999-1").is_none());
        assert_eq!(rings.resume("0-57").unwrap().1, 0, "an id of an earlier life is brought back to this one");
    }

    #[tokio::test]
    async fn a_slow_client_holds_the_writer_back_and_loses_nothing() {
        let ring = Arc::new(Ring::new(1));
        let mut reader = ring.attach(0);
        let source = Arc::clone(&ring);
        let writer = tokio::spawn(async move {
            for index in 0..40_u8 {
                source.push(&vec![b'a' + index % 26; 100 << 10]).await;
            }
            source.finish();
        });
        let mut count = 0;
        while reader.next().await.is_some() {
            count += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!(count, 40);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn what_nobody_reads_is_bounded() {
        let ring = Ring::new(1);
        for _ in 0..100 {
            ring.push(&vec![b'x'; 100 << 10]).await;
        }
        assert!(ring.lock().bytes <= KEPT + UNREAD);
    }

    #[tokio::test]
    async fn a_hang_up_ends_the_reader_but_not_the_stream() {
        let ring = Arc::new(Ring::new(1));
        ring.push(b"1").await;
        let mut reader = ring.attach(0);
        assert!(reader.next().await.is_some());
        ring.hang_up(None);
        assert!(reader.next().await.is_none());
        ring.push(b"2").await;
        assert!(ring.attach(1).next().await.is_some());
    }
}
