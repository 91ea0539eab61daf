//! The list of tools: names, annotations, descriptions; what they do is in the files beside.

use std::time::Duration;

use weft_kit::{Annotations, Builder, Tool};

use crate::memory::Memory;

mod change;
mod consolidate;
mod forget;
mod links;
mod look;
pub(crate) mod official;
mod search;
mod session;
pub(crate) mod store;
mod transfer;

/// What may take longer than a call usually does.
const LONG: Duration = Duration::from_secs(300);

/// Adds all tools.
pub(crate) fn add(service: Builder<Memory>) -> Builder<Memory> {
    let service = service
        .tool(
            Tool::new("store", Annotations::ENSURE, "Remembers up to 50 texts. The same one is kept once and gains what is said more; near duplicates are named. `update` or `supersede` what changed."),
            store::store,
        )
        .tool(
            Tool::new("search", Annotations::READ, "Finds what is remembered by words, likeness, graph, newness and fitness, and says why. `list` shows all of something."),
            search::search,
        )
        .tool(Tool::new("get", Annotations::READ, "Reads records by id, with fitness and its reasons."), look::get)
        .tool(Tool::new("list", Annotations::READ, "Lists records, newest first. Of a filter all must hold, of its lists one: text is words that all occur; since and until are about recorded_at; kinds also has entity, link, turn, erasure."), look::list)
        .tool(Tool::new("history", Annotations::READ, "Lists all versions of a record, newest first, and until when each was believed."), look::history)
        .tool(Tool::new("timeline", Annotations::READ, "Lists records by when they happened (event_time, else valid_from, else recorded_at), oldest first."), look::timeline)
        .tool(Tool::new("stats", Annotations::READ, "Counts what is remembered in each part that the caller can see."), look::stats);
    around(change(service))
}

fn change(service: Builder<Memory>) -> Builder<Memory> {
    service
        .tool(Tool::new("update", Annotations::ADD, "Writes the next version of a record. if_match is the version that you read; if another writer was first you are shown what it wrote."), change::update)
        .tool(Tool::new("supersede", Annotations::ADD, "Says what is true instead: a new record, and the old one ends there and points to it. For a mere correction use `update`."), change::supersede)
        .tool(Tool::new("reinforce", Annotations::ADD, "Says that records were of use, or that they misled; that raises or lowers their fitness."), change::reinforce)
        .planned(Tool::new("forget", Annotations::DELETE, "Forgets records by ids, filter or subject (one of them). expire can be undone by `update` with restore; erase removes every version for good, verifies it, and leaves a proof without content.").deadline(LONG), forget::plan, forget::apply)
        .planned(Tool::new("consolidate", Annotations::ADD, "Shows first, then does: duplicates become one record that the others point to; the events of a day become an episode told by the model; vectors are made again after a change of the embedder.").deadline(LONG), consolidate::plan, consolidate::apply)
}

fn around(service: Builder<Memory>) -> Builder<Memory> {
    service
        .tool(Tool::new("link", Annotations::ENSURE, "Relates two nodes (names, or # and the id of a record), or with valid_to ends that; history stays. `store` with entities joins a record to names by itself."), links::link)
        .tool(Tool::new("graph", Annotations::READ, "Looks around a node, up to 3 steps; as_of shows it as it was believed then."), links::graph)
        .tool(Tool::new("path", Annotations::READ, "Finds the shortest way between two nodes."), links::path)
        .tool(Tool::new("session_append", Annotations::ADD, "Keeps turns of a conversation for a time; for what should last use `store`."), session::append)
        .tool(Tool::new("session_context", Annotations::READ, "Reads the newest turns of a conversation that fit a number of tokens, and what is remembered about a query."), session::context)
        .tool(Tool::new("export", Annotations::READ, "Writes memory as JSON lines, page by page; with all it is a backup."), transfer::export)
        .tool(Tool::new("import", Annotations::ENSURE, "Reads JSON lines of `export` or of the official memory server. What is there stays; what comes in counts as untrusted unless a role may restore it.").deadline(LONG), transfer::import)
}
