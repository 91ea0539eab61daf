//! A command → the server that holds its key, again where that is safe.
//!
//! A redirection (`MOVED`) is never followed to the address that it names: the servers are asked anew who holds what, and the
//! command goes to whom they name. So nobody who can put a reply on the wire can have credentials sent to a host of theirs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind as Server, Value};

use super::{
    fault::Effect,
    node::{Node, Trouble},
    place::Layout,
    view::{Guide, View},
};

/// How often a command is sent at most.
const ROUNDS: u32 = 5;
/// The first pause between two rounds; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(40);

/// Whom a command is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum To<'a> {
    /// The master that holds this key.
    Holder(&'a [u8]),
    /// The master of this number.
    Master(usize),
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fail,
    Again,
    /// Once the masters are known anew.
    Relearn,
    /// At the server that is just taking over the slot.
    Ask(String, u16),
}

/// A failure that is final.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: RedisError,
    pub(super) effect: Effect,
}

/// The way to the servers of one connection.
#[derive(Debug)]
pub(super) struct Wire {
    guide: Guide,
    view: Mutex<Option<Arc<View>>>,
    /// The last view, though it may be wrong: its lines are kept.
    last: Mutex<Arc<View>>,
}

impl Wire {
    pub(super) fn new(guide: Guide) -> Self {
        Self { guide, view: Mutex::new(None), last: Mutex::default() }
    }

    pub(super) fn layout(&self) -> &Layout {
        self.guide.layout()
    }

    /// The masters as they are known, learned if they are not.
    pub(super) async fn view(&self) -> RedisResult<Arc<View>> {
        if let Some(view) = &*self.view.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(view));
        }
        let last = Arc::clone(&self.last.lock().unwrap_or_else(PoisonError::into_inner));
        let view = Arc::new(self.guide.learn(&last).await?);
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&view));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&view);
        Ok(view)
    }

    fn forget(&self) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Sends one command; one that only reads may be sent again whatever happened.
    pub(super) async fn send(&self, to: To<'_>, command: &Cmd, reads: bool) -> Result<Value, Failed> {
        let mut ask = None;
        for round in 0.. {
            let trouble = match self.once(to, command, ask.take(), !reads).await {
                Ok(value) => return Ok(value),
                Err(trouble) => trouble,
            };
            match verdict(&trouble, reads) {
                _ if round + 1 >= ROUNDS => return Err(self.failed(trouble, reads)),
                Verdict::Fail => return Err(self.failed(trouble, reads)),
                Verdict::Ask(host, port) => {
                    ask = Some((host, port));
                    continue;
                }
                Verdict::Relearn => self.forget(),
                Verdict::Again => {}
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(round)).await;
        }
        Err(Failed { error: nobody(), effect: Effect::None })
    }

    async fn once(&self, to: To<'_>, cmd: &Cmd, ask: Option<(String, u16)>, sure: bool) -> Result<Value, Trouble> {
        let view = self.view().await.map_err(Trouble::Unsent)?;
        let Some((host, port)) = ask else {
            return pick(&view, to).map_err(Trouble::Unsent)?.send(cmd, sure).await;
        };
        let node = view.at(&host, port).ok_or_else(|| Trouble::Unsent(nobody()))?;
        let mut both = redis::pipe();
        both.cmd("ASKING").add_command(cmd.clone());
        let last = node.send_all(&both, sure).await?.pop().unwrap_or_default();
        last.extract_error().map_err(Trouble::Sent)
    }

    /// Sends commands together to the holder of a key; gives every reply, errors among them.
    pub(super) async fn send_all(&self, key: &[u8], commands: &Pipeline, reads: bool) -> Result<Vec<Value>, Failed> {
        for round in 0.. {
            let sent = match self.holder(key).await {
                Ok(node) => node.send_all(commands, !reads).await,
                Err(error) => Err(Trouble::Unsent(error)),
            };
            let trouble = match sent {
                Ok(values) => return Ok(values),
                Err(trouble) => trouble,
            };
            match verdict(&trouble, reads) {
                _ if round + 1 >= ROUNDS => return Err(self.failed(trouble, reads)),
                Verdict::Fail | Verdict::Ask(..) => return Err(self.failed(trouble, reads)),
                Verdict::Relearn => self.forget(),
                Verdict::Again => {}
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(round)).await;
        }
        Err(Failed { error: nobody(), effect: Effect::None })
    }

    /// A failure that is told. Whoever did not answer may have been replaced: that is found out anew.
    fn failed(&self, trouble: Trouble, reads: bool) -> Failed {
        self.lost(trouble.error());
        final_of(&trouble, reads)
    }

    /// The master that holds a key.
    pub(super) async fn holder(&self, key: &[u8]) -> RedisResult<Arc<Node>> {
        let view = self.view().await?;
        pick(&view, To::Holder(key)).cloned()
    }

    /// Lets go of all lines.
    pub(super) fn close(&self) {
        self.forget();
        let last = std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner));
        last.masters.iter().for_each(|node| node.close());
    }

    /// Takes note that a reply among others told of new masters.
    pub(super) fn note(&self, error: &RedisError) {
        if is_moved(error) {
            self.forget();
        }
    }

    /// Takes note that a server could not be reached.
    pub(super) fn lost(&self, error: &RedisError) {
        if error.is_io_error() {
            self.forget();
        }
    }
}

/// Whether a reply says that another server is to be asked.
pub(super) fn is_moved(error: &RedisError) -> bool {
    verdict(&Trouble::Sent(error.clone()), false) == Verdict::Relearn
}

fn pick<'v>(view: &'v View, to: To<'_>) -> RedisResult<&'v Arc<Node>> {
    let node = match to {
        To::Holder(key) => view.holder(key),
        To::Master(number) => view.masters.get(number),
    };
    node.ok_or_else(nobody)
}

fn nobody() -> RedisError {
    RedisError::from((ErrorKind::ClusterConnectionNotFound, "no master of the connection holds this"))
}

fn verdict(trouble: &Trouble, reads: bool) -> Verdict {
    let error = trouble.error();
    let unsent = matches!(trouble, Trouble::Unsent(_));
    match error.kind() {
        ErrorKind::Server(Server::Moved | Server::ReadOnly | Server::MasterDown | Server::ClusterDown)
        | ErrorKind::ClusterConnectionNotFound => Verdict::Relearn,
        ErrorKind::Server(Server::TryAgain | Server::BusyLoading) => Verdict::Again,
        ErrorKind::Server(Server::Ask) => asked_of(error).unwrap_or(Verdict::Fail),
        // The time is gone; the next call asks who the masters are.
        ErrorKind::Io if error.is_timeout() => Verdict::Fail,
        ErrorKind::Io if unsent || reads => Verdict::Relearn,
        _ => Verdict::Fail,
    }
}

/// `ASK 3999 host:port`.
fn asked_of(error: &RedisError) -> Option<Verdict> {
    let (place, _) = error.redirect_node()?;
    let (host, port) = place.rsplit_once(':')?;
    Some(Verdict::Ask(host.to_owned(), port.parse().ok()?))
}

fn final_of(trouble: &Trouble, reads: bool) -> Failed {
    let unknown = match trouble {
        Trouble::Unsent(_) => false,
        Trouble::Sent(error) => !reads && (error.is_io_error() || error.is_unrecoverable_error()),
    };
    let effect = if unknown { Effect::Unknown } else { Effect::None };
    Failed { error: trouble.error().clone(), effect }
}

#[cfg(test)]
mod tests {
    use redis::ServerError;

    use super::*;

    fn said(error: &str) -> RedisError {
        let parsed = redis::parse_redis_value(format!("-{error}\r\n").as_bytes()).unwrap();
        let error: ServerError = parsed.extract_error().unwrap_err().try_into().unwrap();
        error.into()
    }

    fn io(kind: std::io::ErrorKind) -> RedisError {
        std::io::Error::from(kind).into()
    }

    #[test]
    fn only_what_was_surely_not_done_is_sent_again() {
        use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, TimedOut};
        let cases = [
            (Trouble::Sent(said("MOVED 1 h:1")), false, Verdict::Relearn),
            (Trouble::Sent(said("READONLY replica")), false, Verdict::Relearn),
            (Trouble::Sent(said("LOADING data")), false, Verdict::Again),
            (Trouble::Sent(said("ASK 1 ::1:7")), false, Verdict::Ask("::1".to_owned(), 7)),
            (Trouble::Sent(said("ASK 1 nowhere")), false, Verdict::Fail),
            (Trouble::Sent(said("ERR no")), true, Verdict::Fail),
            (Trouble::Sent(io(BrokenPipe)), false, Verdict::Fail),
            (Trouble::Sent(io(BrokenPipe)), true, Verdict::Relearn),
            (Trouble::Unsent(io(ConnectionRefused)), false, Verdict::Relearn),
            (Trouble::Sent(io(TimedOut)), true, Verdict::Fail),
        ];
        for (trouble, reads, expected) in cases {
            assert_eq!(verdict(&trouble, reads), expected, "{trouble:?} {reads}");
        }
    }

    #[test]
    fn a_change_that_broke_off_may_have_been_made_and_says_so() {
        let broke = || Trouble::Sent(io(std::io::ErrorKind::BrokenPipe));
        assert_eq!(final_of(&broke(), false).effect, Effect::Unknown);
        assert_eq!(final_of(&broke(), true).effect, Effect::None);
        assert_eq!(final_of(&Trouble::Sent(said("OOM full")), false).effect, Effect::None);
    }
}
