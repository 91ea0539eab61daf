//! Keeps the catalogue true: one follower per service asks it again when it says that something changed, when its answer
//! has aged, and when it comes back; and forgets it some time after it left.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use weft_mesh::ServiceId;

use super::{
    Catalogue,
    fetch::{self, Fetched},
};
use crate::{
    settings::CatalogueSettings,
    upstream::{Upstreams, exchange::Events, talk::Talk},
};

/// What the followers share.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) settings: CatalogueSettings,
}

/// Runs one follower per service until `stop`.
pub(crate) async fn all(shared: Arc<Follower>, stop: CancellationToken) {
    let mut changes = shared.upstreams.changes();
    let mut followed: HashSet<ServiceId> = HashSet::new();
    let mut tasks: JoinSet<ServiceId> = JoinSet::new();
    loop {
        for id in shared.upstreams.all().keys() {
            if followed.insert(id.clone()) {
                let (shared, id, stop) = (Arc::clone(&shared), id.clone(), stop.clone());
                tasks.spawn(async move {
                    let () = stop.run_until_cancelled(shared.follow(&id)).await.unwrap_or_default();
                    id
                });
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Ok(()) = changes.changed() => {}
            Some(Ok(id)) = tasks.join_next() => { followed.remove(&id); }
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Between two failed questions: the first wait, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(15);
/// A stream that lasted this long is one that works.
const LASTING: Duration = Duration::from_secs(5);

impl Follower {
    /// Follows one service until it has left and is forgotten.
    async fn follow(&self, id: &ServiceId) {
        let mut changes = self.upstreams.changes();
        let mut wait = FIRST_WAIT;
        loop {
            let Some(service) = self.upstreams.get(id) else {
                self.catalogue.mark_stale(id, true);
                if self.stays_away(id, &mut changes).await {
                    self.catalogue.remove(id);
                    tracing::info!(service = %id, "service left the mesh");
                    return;
                }
                continue;
            };
            match fetch::shelf(&self.upstreams, &service, self.settings.entries).await {
                Ok(fetched) => {
                    wait = FIRST_WAIT;
                    self.keep(id, fetched, &mut changes).await;
                }
                Err(error) => {
                    self.catalogue.mark_stale(id, true);
                    tracing::warn!(service = %id, %error, "cannot ask the service what it offers");
                    // Either time passes or the registry has news; both are reasons to try again.
                    let _ = timeout(jitter(wait), changes.changed()).await;
                    wait = (wait * 2).min(LAST_WAIT);
                }
            }
        }
    }

    /// Shows what was fetched, and what it becomes as the service tells of it, until somebody else must be asked.
    async fn keep(&self, id: &ServiceId, fetched: Fetched, changes: &mut watch::Receiver<u64>) {
        let Fetched { mut shelf, mut listening } = fetched;
        let mut pause = Duration::ZERO;
        loop {
            // Without a hint only the settings say how often a server is bothered.
            let age = if shelf.hinted { shelf.ttl_ms } else { u64::MAX };
            tracing::debug!(service = %id, tools = shelf.tools.len(), "catalogue refreshed");
            let vouched = self.upstreams.get(id).is_some_and(|service| service.is_vouched());
            self.catalogue.put(id, shelf.clone(), vouched);
            if !self.until_news(id, age, &mut listening, changes).await {
                return;
            }
            let Some((_, talk)) = &listening else { return };
            tokio::time::sleep(pause).await;
            // In the same conversation: some servers tell of changes at the beginning of each.
            let again = match fetch::again(talk, self.settings.entries, &shelf.schemes).await {
                Ok(again) => again,
                Err(error) => return tracing::debug!(service = %id, %error, "cannot ask again"),
            };
            // A service that tells of changes and has none is believed ever less.
            pause = if again == shelf { (pause * 2).clamp(FIRST_WAIT, LAST_WAIT) } else { Duration::ZERO };
            shelf = again;
        }
    }

    /// True when the service is still gone after the time that a restart may take.
    async fn stays_away(&self, id: &ServiceId, changes: &mut watch::Receiver<u64>) -> bool {
        let until = Instant::now() + Duration::from_secs(self.settings.forget_seconds);
        loop {
            tokio::select! {
                () = sleep_until(until) => return self.upstreams.get(id).is_none(),
                changed = changes.changed() => {
                    if changed.is_err() || self.upstreams.get(id).is_some() {
                        return changed.is_err();
                    }
                }
            }
        }
    }

    /// Returns when the lists should be asked for again: true when the service itself told of news.
    async fn until_news(
        &self,
        id: &ServiceId,
        ttl_ms: u64,
        listening: &mut Option<(Events, Talk)>,
        changes: &mut watch::Receiver<u64>,
    ) -> bool {
        let began = Instant::now();
        // A ttl of zero means "ask each time", which a list answered from memory cannot do: the shortest is a second.
        let age = Duration::from_millis(ttl_ms).clamp(Duration::from_secs(1), self.refresh());
        // Without a stream that tells of changes, a short ttl is all there is; with one, it can be trusted longer.
        let mut until = began + jitter(if listening.is_some() { self.refresh() } else { age });
        loop {
            let told = async {
                match listening {
                    Some((events, _)) => events.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep_until(until) => return false,
                told = told => match told {
                    Ok(Some(event)) if is_news(&event.data) => {
                        self.settle(listening).await;
                        return true;
                    }
                    Ok(Some(_)) => {}
                    // The instance went away or drains: ask another one soon; but not in a circle when the stream
                    // ended as soon as it began.
                    Ok(None) | Err(_) => {
                        *listening = None;
                        let wait = if began.elapsed() < LASTING { age } else { FIRST_WAIT };
                        until = until.min(Instant::now() + jitter(wait));
                    }
                },
                changed = changes.changed() => {
                    let alive = self.upstreams.get(id).is_some_and(|service| service.is_alive());
                    if changed.is_err() || !alive {
                        self.catalogue.mark_stale(id, true);
                        return false;
                    }
                }
            }
        }
    }

    /// Swallows the rest of a burst of changes.
    async fn settle(&self, listening: &mut Option<(Events, Talk)>) {
        let pause = Duration::from_millis(self.settings.debounce_millis / 2);
        if let Some((events, _)) = listening {
            while let Ok(Ok(Some(_))) = timeout(pause, events.next()).await {}
        }
    }

    fn refresh(&self) -> Duration {
        Duration::from_secs(self.settings.refresh_seconds.max(1))
    }
}

fn is_news(message: &[u8]) -> bool {
    weft_wire::reply::scan(message).method.is_some_and(|method| method.ends_with("/list_changed"))
}

/// Plus or minus a fifth, so that replicas and services do not ask in step.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(0.8 + 0.4 * fastrand::f64())
}
