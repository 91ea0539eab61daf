//! Asks one service for everything it offers, all pages of all lists.
//!
//! This is the gateway speaking for itself: it takes no ticket and no caller's rate, and one instance answers the whole
//! round, so that the pages belong together.

use serde::Deserialize;
use serde_json::value::RawValue;
use weft_balance::Outcome;
use weft_wire::splice::quote;

use super::{
    Kind,
    shelf::{Page, Shelf},
};
use crate::upstream::{
    Service, Upstreams,
    exchange::Events,
    talk::{Talk, TalkError},
};

/// Why a service's entries could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no instance of it can be tried")]
    NoInstance,
    #[error(transparent)]
    Talk(#[from] TalkError),
    #[error("it lists more than {0} entries; raise catalogue.entries or let it offer fewer")]
    TooMany(usize),
}

/// A cursor that leads nowhere new must not be followed for ever.
const PAGES: usize = 1000;
/// How long lists of the session era, which do not say, are taken to hold while the server tells of changes, milliseconds.
const TOLD_TTL: u64 = 60_000;

/// What a service offers, and the stream on which it tells of changes; the conversation ends with the stream.
pub(crate) struct Fetched {
    pub(crate) shelf: Shelf,
    pub(crate) listening: Option<(Events, Talk)>,
}

/// Everything that `service` offers now.
pub(crate) async fn shelf(upstreams: &Upstreams, service: &Service, entries: usize) -> Result<Fetched, FetchError> {
    let group = service.group();
    let pick = group.pool.pick(upstreams.now(), fastrand::u64(..), None, &[]).map_err(|_| FetchError::NoInstance)?;
    let instance = &group.instances[pick.index];
    group.pool.begin(&pick, upstreams.now());
    let began = std::time::Instant::now();
    let fetched = async {
        let talk = Talk::begin(instance).await?;
        // Listening begins before asking, so that no change falls between the two.
        let events = talk.listen().await;
        let shelf = all(&talk, entries, events.is_some()).await?;
        Ok(Fetched { shelf, listening: events.map(|events| (events, talk)) })
    };
    let fetched = fetched.await;
    let latency = began.elapsed();
    let outcome = match &fetched {
        Err(FetchError::Talk(TalkError::Lost(_))) => Outcome::Failure { latency, retry_after: None },
        _ => Outcome::Success { latency },
    };
    group.pool.finish(&pick, upstreams.now(), outcome);
    let mut fetched = fetched?;
    fetched.shelf.schemes.clone_from(&instance.info.schemes);
    Ok(fetched)
}

/// Everything that the service offers now, asked in a conversation that goes on.
pub(crate) async fn again(talk: &Talk, entries: usize, schemes: &[String]) -> Result<Shelf, FetchError> {
    let shelf = all(talk, entries, true).await?;
    Ok(Shelf { schemes: schemes.to_vec(), ..shelf })
}

#[derive(Deserialize, Default)]
struct Capabilities<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    prompts: Option<&'a RawValue>,
    #[serde(borrow)]
    resources: Option<&'a RawValue>,
}

async fn all(talk: &Talk, entries: usize, told: bool) -> Result<Shelf, FetchError> {
    let mut shelf = Shelf { about: talk.about.clone(), ttl_ms: u64::MAX, ..Shelf::default() };
    let capabilities: Capabilities<'_> = serde_json::from_str(&talk.about.capabilities)
        .map_err(|error| TalkError::Refused("the question for its capabilities", error.to_string()))?;
    let lists = [
        (capabilities.tools, "tools/list"),
        (capabilities.prompts, "prompts/list"),
        (capabilities.resources, "resources/list"),
        (capabilities.resources, "resources/templates/list"),
    ];
    let mut room = entries;
    for (_, method) in lists.iter().filter(|(offered, _)| offered.is_some()) {
        pages(talk, method, &mut shelf, &mut room).await?;
        if room == 0 {
            return Err(FetchError::TooMany(entries));
        }
    }
    if talk.is_session_era() {
        shelf.ttl_ms = if told { TOLD_TTL } else { 0 };
        shelf.hinted = false;
    } else if shelf.ttl_ms == u64::MAX {
        shelf.ttl_ms = 0;
    }
    Ok(shelf)
}

async fn pages(talk: &Talk, method: &'static str, shelf: &mut Shelf, room: &mut usize) -> Result<(), FetchError> {
    debug_assert!(Kind::of(method).is_some());
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let result = match talk.ask(method, &cursor).await {
            // A server without templates may say so with an error: the other lists still count.
            Err(TalkError::Refused(..)) if method == "resources/templates/list" => return Ok(()),
            other => other?,
        };
        let page: Page<'_> =
            serde_json::from_str(&result).map_err(|error| TalkError::Refused(method, error.to_string()))?;
        *room = room.saturating_sub(shelf.add(&page));
        match page.next_cursor {
            Some(next) if *room > 0 => cursor = format!(r#""cursor":{},"#, quote(&next)),
            _ => return Ok(()),
        }
    }
    Ok(())
}
