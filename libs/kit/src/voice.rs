//! What a call says on the way → notifications on its response stream, no faster than a person can read.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::call::{Level, Says};

/// At most ten progress notifications a second.
const PACE: Duration = Duration::from_millis(100);
/// For what is still unsaid when the work is done.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Unsent utterances of one call.
const QUEUE: usize = 16;

/// The way from one call to its client.
pub(crate) struct Voice {
    queue: mpsc::Receiver<Says>,
    /// Taken from the queue, and waiting for its turn.
    held: Option<Says>,
    peer: Peer<RoleServer>,
    progress: Option<ProgressToken>,
    /// Only from the level that this very request asked for.
    level: Option<Level>,
    reached: f64,
    next: Instant,
}

impl Voice {
    /// `None` for both when the client asked to hear nothing.
    pub(crate) fn new(context: &RequestContext<RoleServer>) -> (Option<mpsc::Sender<Says>>, Option<Self>) {
        let progress = context.meta.get_progress_token();
        let level = context.meta.get("io.modelcontextprotocol/logLevel").and_then(|level| parse_level(level.as_str()?));
        if progress.is_none() && level.is_none() {
            return (None, None);
        }
        let (says, queue) = mpsc::channel(QUEUE);
        let peer = context.peer.clone();
        let reached = f64::NEG_INFINITY;
        (Some(says), Some(Self { queue, held: None, peer, progress, level, reached, next: Instant::now() }))
    }

    /// Speaks until it is dropped.
    pub(crate) async fn speak(&mut self) {
        loop {
            // Held where it outlives this future: the work may be done while it waits.
            if self.held.is_none() {
                self.held = self.queue.recv().await;
            }
            if matches!(self.held, Some(Says::Progress { .. })) {
                tokio::time::sleep_until(self.next).await;
                self.next = Instant::now() + PACE;
            }
            let Some(says) = self.held.take() else { return };
            self.send(says).await;
        }
    }

    /// Says what is left, quickly.
    pub(crate) async fn finish(mut self) {
        let rest = async {
            while let Some(says) = self.held.take().or_else(|| self.queue.try_recv().ok()) {
                self.send(says).await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    }

    async fn send(&mut self, says: Says) {
        let sent = match says {
            Says::Progress { done, total, message } => {
                let Some(token) = self.progress.clone().filter(|_| done > self.reached) else { return };
                self.reached = done;
                let mut progress = ProgressNotificationParam::new(token, done);
                progress.total = total;
                progress.message = message;
                self.peer.notify_progress(progress).await
            }
            Says::Log { level, message } => {
                if self.level.is_none_or(|asked| level < asked) {
                    return;
                }
                log(&self.peer, level, message).await
            }
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a client did not take a notification");
        }
    }
}

#[expect(deprecated, reason = "logging is deprecated in 2026-07-28 but works for a year, and clients ask for it")]
async fn log(peer: &Peer<RoleServer>, level: Level, message: String) -> Result<(), rmcp::ServiceError> {
    use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam};
    let level = match level {
        Level::Debug => LoggingLevel::Debug,
        Level::Info => LoggingLevel::Info,
        Level::Warning => LoggingLevel::Warning,
        Level::Error => LoggingLevel::Error,
    };
    peer.notify_logging_message(LoggingMessageNotificationParam::new(level, message.into())).await
}

fn parse_level(text: &str) -> Option<Level> {
    match text {
        "debug" => Some(Level::Debug),
        "info" | "notice" => Some(Level::Info),
        "warning" => Some(Level::Warning),
        "error" | "critical" | "alert" | "emergency" => Some(Level::Error),
        _ => None,
    }
}
