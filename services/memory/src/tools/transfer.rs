//! Memory ↔ JSON lines: the file of the official memory server, and the same with everything else that is remembered.
//!
//! With `all` such a file is a backup of one part of memory: every version, with its times, its end, who wrote it and how reliable it is.
//! Not in it are vectors, which are made again, and how often each record was of use.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{At, Budget, Call, Page, Reply, ToolError};

mod import;
mod line;

pub(crate) use self::import::import;
use self::line::Kept;
use crate::{
    filter::{During, Filter, Which},
    memory::Memory,
    model::{Kind, Record, Trust},
    moment::Moment,
    space::{Space, Visibility},
};

/// Records of one page.
const PAGE: usize = 500;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Export {
    /// Only entities and relations, as the official memory server reads them.
    official: bool,
    /// A backup: also what is forgotten, and older versions.
    all: bool,
    filter: Which,
    #[serde(default)]
    #[schemars(with = "Visibility")]
    visibility: Option<Visibility>,
    cursor: Option<String>,
}

/// A part of the file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exported {
    /// JSON lines; join those of all pages.
    lines: String,
    count: usize,
}

/// Where a page begins: after that record, and after so many versions of the next one, which must still be this.
type Place = (Option<(i64, String)>, String, usize);

/// Lines of one page.
struct Lines {
    text: String,
    count: usize,
    budget: Budget,
    /// Records of which a line is too long for any page.
    left_out: Vec<String>,
}

impl Lines {
    /// Takes a line; false if the page is full.
    fn take(&mut self, call: &Call, id: &str, line: &str) -> bool {
        // Twice: once in the text, once in the structured part, where quotes are escaped.
        if line.is_empty() || self.budget.admit(line.len() * 2) {
            self.count += usize::from(!line.is_empty());
            self.text.push_str(line);
            return true;
        }
        if self.count == 0 {
            self.left_out.push(id.to_owned());
            self.budget = call.budget();
        }
        self.count == 0
    }
}

pub(crate) async fn export(memory: Arc<Memory>, call: Call, args: Export) -> Result<Reply<Exported>, ToolError> {
    if args.official && args.all {
        return Err(ToolError::invalid("the official memory server has no versions: leave out all or official"));
    }
    let mut place = call.resume::<Place>(args.cursor.as_deref())?.map(At::position).unwrap_or_default();
    let space = Space::of(&call, args.visibility.unwrap_or(memory.settings.visibility));
    let before = place.0.clone().map(|(moment, id)| (Moment::from_micros(moment), id));
    let filter = filter(&args)?;
    let key = space.key();
    let newest = memory.store.newest(&key, before.as_ref(), &filter, PAGE + 1);
    let found = memory.observe(&call, newest).await?;
    let mut lines = Lines { text: String::new(), count: 0, budget: call.budget(), left_out: Vec::new() };
    let mut more = found.len() > PAGE;
    'page: for record in found.into_iter().take(PAGE) {
        let (position, id) = ((record.recorded_at.micros(), record.id.clone()), record.id.clone());
        let done = if place.1 == id { place.2 } else { 0 };
        let versions = versions(&memory, &call, &space, (record, args.all)).await?;
        for (number, kept) in versions.iter().enumerate().skip(done) {
            let line = line::write(kept, args.official).map(|line| line.to_string() + "\n").unwrap_or_default();
            if !lines.take(&call, &id, &line) {
                (place.1, place.2, more) = (id, number, true);
                break 'page;
            }
        }
        place = (Some(position), String::new(), 0);
    }
    let Lines { text, count, left_out, .. } = lines;
    let cursor = if more { Some(call.cursor("", &place)?) } else { None };
    let page = Page::new(count, cursor);
    let reply = Reply::new(Exported { lines: text.clone(), count }).text(text).page(page).label("private");
    if left_out.is_empty() {
        return Ok(reply);
    }
    Ok(reply.warn(format!("too long for a page, and left out: {}", left_out.join(", "))))
}

fn filter(args: &Export) -> Result<Filter, ToolError> {
    let mut which = args.filter.clone();
    if args.official {
        which.kinds = vec![Kind::Entity, Kind::Link];
    }
    let filter = Filter::new(&which, Moment::now()).trusting(Trust::Quarantined);
    if args.all {
        return Ok(filter.including_dead());
    }
    // Also what was true once or will be; not what was merged, nor proofs and turns.
    filter.valid(Some(During::default()))
}

/// What is written of a record, oldest version first.
async fn versions(
    memory: &Memory,
    call: &Call,
    space: &Space,
    (record, all): (Record, bool),
) -> Result<Vec<Kept>, ToolError> {
    let visibility = Some(space.visibility);
    if !all || record.version == 1 {
        return Ok(vec![Kept { record, visibility, follows: None, replaced_at: None }]);
    }
    let rows = memory.observe(call, memory.store.history(&space.key(), &record.id)).await?;
    let mut follows = None;
    let kept = rows.into_iter().rev().map(|row| {
        let before = follows.replace(row.record.recorded_at);
        Kept { record: row.record, visibility, follows: before, replaced_at: row.ended_at }
    });
    Ok(kept.collect())
}
