//! What a server of the session era tells of, for a client of the stateless era: over the link that the caller's calls use, because
//! what such a server tells belongs to the session that asked.

use std::{sync::Arc, time::Duration};

use tokio::sync::{broadcast, mpsc};

use super::resources::{News, news};
use crate::{
    Gateway,
    forward::own_stream,
    session::{
        Heard, Session,
        link::{self, Link},
    },
    upstream::Service,
};

/// Between two looks whether the link is still the one that was asked.
const LOOK: Duration = Duration::from_secs(2);

/// Resources of one service that are followed, until this is dropped.
pub(super) struct Linked {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    service: Arc<Service>,
    /// The service's own URI, and the one that the client knows.
    pairs: Vec<(String, String)>,
    link: Arc<Link>,
    heard: broadcast::Receiver<Heard>,
}

impl Linked {
    /// Asks the service to tell of these resources, and of its lists if it will; none when there is nothing to hear.
    pub(super) async fn begin(
        gateway: &Arc<Gateway>,
        session: Arc<Session>,
        service: Arc<Service>,
        wanted: Vec<(String, String)>,
    ) -> Option<Self> {
        let heard = session.heard().subscribe();
        let link = session.link(gateway, &service).await.ok()?;
        own_stream::follow(gateway, &session, &service, &link);
        let mut linked = Self { gateway: Arc::clone(gateway), session, service, pairs: Vec::new(), link, heard };
        for (own, exposed) in wanted {
            let first = linked.session.note_followed(&linked.service.id, &own);
            linked.pairs.push((own.clone(), exposed));
            if first && !link::subscribe(&linked.session, &linked.link, &own, true).await {
                linked.pairs.pop();
                linked.session.note_left(&linked.service.id, &own);
            }
        }
        Some(linked)
    }

    /// The URIs that the service accepted, as the client knows them.
    pub(super) fn accepted(&self) -> impl Iterator<Item = String> {
        self.pairs.iter().map(|(_, exposed)| exposed.clone())
    }

    /// Passes news on for as long as somebody takes them.
    pub(super) async fn run(mut self, updates: mpsc::Sender<News>) {
        loop {
            let heard = tokio::select! {
                heard = self.heard.recv() => heard,
                () = tokio::time::sleep(LOOK) => {
                    if !self.is_same_link().await && self.tell_all(&updates).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let sent = match heard {
                Ok((service, message)) if service == self.service.id => match news(&message, &self.pairs) {
                    Some(news) => updates.send(news).await.map_err(drop),
                    None => Ok(()),
                },
                Ok(_) => Ok(()),
                Err(broadcast::error::RecvError::Lagged(_)) => self.tell_all(&updates).await,
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// What changed while nobody told is not known: each resource may have.
    async fn tell_all(&self, updates: &mpsc::Sender<News>) -> Result<(), ()> {
        for (_, exposed) in &self.pairs {
            updates.send(News::Resource(exposed.clone())).await.map_err(drop)?;
        }
        Ok(())
    }

    /// Makes the link again where it is gone; a new one asks again for what is followed.
    async fn is_same_link(&mut self) -> bool {
        let Ok(link) = self.session.link(&self.gateway, &self.service).await else { return true };
        let same = Arc::ptr_eq(&link, &self.link);
        own_stream::follow(&self.gateway, &self.session, &self.service, &link);
        self.link = link;
        same
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        for (own, _) in std::mem::take(&mut self.pairs) {
            if !self.session.note_left(&self.service.id, &own) {
                continue;
            }
            let (session, link) = (Arc::clone(&self.session), Arc::clone(&self.link));
            self.gateway.tasks.spawn(async move {
                link::subscribe(&session, &link, &own, false).await;
            });
        }
    }
}
