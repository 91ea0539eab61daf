//! Carries a server's stream of one call into the session's ring, and the stream's end into a last message.
//!
//! A server may close its stream in the middle and expect to be asked again (MCP 2025-11-25, polling): then the client is
//! sent away too, comes back for the ring, and meanwhile the gateway asks the server.

use std::{sync::Arc, time::Duration};

use http::Method;
use tokio_util::sync::CancellationToken;
use weft_wire::{envelope::Id, headers, reply};

use super::{load::Load, rewrite::Rewrite};
use crate::{
    Gateway,
    record::{Late, outcome_of},
    refusal::{Broken, Refusal},
    sampling::Sampler,
    session::{
        Session,
        link::{self, Link},
        ring::{RETRY_MS, Ring},
    },
    upstream::{
        Service,
        connection::ReplyBody,
        exchange::{self, Answer, Events},
    },
};

/// A call's stream on its way to the client.
pub(crate) struct Pump {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) session: Arc<Session>,
    pub(crate) rewrite: Rewrite,
    pub(crate) id: Id<'static>,
    pub(crate) method: String,
    pub(crate) late: Late,
    pub(crate) service: Arc<Service>,
    pub(crate) link: Option<Arc<Link>>,
    /// Answers for the client.
    pub(crate) sampler: Option<Sampler>,
}

/// How a stretch of the stream ended.
enum End {
    /// The answer has passed.
    Answered,
    /// The server closed in order.
    Closed,
    /// The connection broke.
    Broken,
    /// The client, or the end of the session, called it off.
    Cancelled,
}

/// How often a server is asked to go on before the call counts as lost.
const RESUMES: usize = 5;

impl Pump {
    /// Runs until the answer has passed, or there will be none.
    pub(crate) async fn run(self, body: ReplyBody, ring: &Arc<Ring>, mut load: Load, cancel: &CancellationToken) {
        let limit = self.gateway.settings.limits.event_bytes;
        let mut events = Events::new(body, limit);
        let mut place: Option<String> = None;
        let mut retry = RETRY_MS;
        let mut failures = 0;
        loop {
            let heard = place.clone();
            let end = cancel
                .run_until_cancelled(self.carry(&mut events, ring, &mut place, &mut retry))
                .await
                .unwrap_or(End::Cancelled);
            if place != heard {
                failures = 0;
            }
            match end {
                End::Answered => return,
                End::Cancelled => {
                    self.late.set("cancelled");
                    return;
                }
                End::Closed if place.is_some() => ring.hang_up(Some(retry)),
                End::Closed | End::Broken => {}
            }
            failures += 1;
            let resumed = match &place {
                Some(place) if failures <= RESUMES => {
                    tokio::time::sleep(Duration::from_millis(retry)).await;
                    match &self.link {
                        Some(link) => resume(&self.session, link, place).await,
                        None => None,
                    }
                }
                _ => None,
            };
            match resumed {
                Some(again) => events = Events::new(again, limit),
                None => break,
            }
        }
        load.fail(None);
        let refusal = Refusal::Service {
            service: self.service.id.to_string(),
            broken: Broken::Lost,
            retry: Duration::from_secs(1),
        };
        self.late.set(refusal.label());
        ring.push(&refusal.to_message(weft_wire::version::Era::Session, Some(&self.id), &self.method)).await;
    }

    /// True for a question to a model that is none of the client's business.
    fn answered_here(&self, verdict: &reply::Verdict, data: &[u8]) -> bool {
        let (Some(sampler), Some(link)) = (&self.sampler, &self.link) else { return false };
        sampler.takes((&self.session, link), verdict, data)
    }

    async fn carry(&self, events: &mut Events, ring: &Ring, place: &mut Option<String>, retry: &mut u64) -> End {
        loop {
            let event = match events.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return End::Closed,
                Err(_) => return End::Broken,
            };
            *retry = event.retry.unwrap_or(*retry).min(60_000);
            if event.id.is_some() {
                *place = event.id;
            }
            if event.data.is_empty() {
                continue;
            }
            let verdict = reply::scan(&event.data);
            if self.answered_here(&verdict, &event.data) {
                continue;
            }
            let asks = verdict.method.is_some() && verdict.id_raw.is_some();
            let asker = self
                .link
                .as_ref()
                .filter(|_| asks)
                .map(|link| link.asker(&self.gateway, &self.session, &self.service.id));
            match self.rewrite.message(&event.data, asker.as_ref()) {
                Some(changed) => ring.push(&changed).await,
                None => ring.push(&event.data).await,
            }
            if verdict.is_response {
                self.late.set(outcome_of(&verdict));
                return End::Answered;
            }
        }
    }
}

/// Asks the server to go on behind event `place`.
pub(super) async fn resume(session: &Session, link: &Link, place: &str) -> Option<ReplyBody> {
    let mut outgoing = link::outgoing(session, bytes::Bytes::new(), Some(link));
    outgoing.verb = Method::GET;
    let mut client = http::HeaderMap::new();
    client.insert(headers::LAST_EVENT_ID, http::HeaderValue::from_str(place).ok()?);
    outgoing.client = Arc::new(client);
    match exchange::exchange(&link.instance, &outgoing).await {
        Ok(Answer::Events { body, .. }) => Some(body),
        _ => None,
    }
}
