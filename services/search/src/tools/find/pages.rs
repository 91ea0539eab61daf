//! A search in one or several indexes → one page of hits, in one order.
//!
//! One index is paged by the store. Several are asked each for all hits up to the end of the page, which are then put in one order;
//! that is why their pages may not go as deep.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{At, Call, ToolError};

use super::{
    Search,
    hybrid::{self, Standing},
};
use crate::{
    Library,
    model::{By, Counts, Group, Hit, Order, Question, View, Wanted},
    question::{self, Asked},
    store,
};

/// Indexes of one search.
const INDEXES: usize = 10;
/// How deep the pages of one index go, and those of several together.
const DEEPEST: (usize, usize) = (10_000, 1_000);
/// Values of one facet.
const VALUES: usize = 10;

/// Where a page begins.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Position {
    skip: usize,
    /// Of the index, at the first page.
    snapshot: String,
    /// The state of the index that is kept for these pages.
    #[serde(default)]
    view: Option<String>,
    /// The place of the last hit in that state.
    #[serde(default)]
    behind: Option<Value>,
}

impl Position {
    /// The position behind so many hits of this page, the last of which had this place.
    pub(super) fn after(self, shown: usize, behind: Option<Value>) -> Self {
        Self { skip: self.skip + shown, behind, ..self }
    }

    /// The position of a page that is made otherwise.
    pub(super) fn at(self, skip: usize) -> Self {
        Self { skip, ..self }
    }
}

/// One page.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) hits: Vec<(String, Hit)>,
    /// Of each hit, where it was sought in two ways.
    pub(super) standings: Vec<Standing>,
    pub(super) total: u64,
    pub(super) at_least: bool,
    pub(super) more: bool,
    pub(super) counts: Vec<Counts>,
    pub(super) warnings: Vec<String>,
    pub(super) position: Position,
}

pub(super) async fn page(library: &Library, call: &Call, args: &Search) -> Result<Found, ToolError> {
    let limit = check(args)?;
    let position = call.resume::<Position>(args.cursor.as_deref())?.map(At::position).unwrap_or_default();
    let deepest = match args.indices.len() {
        _ if args.semantic.is_some() => hybrid::WINDOW + 1,
        1 => DEEPEST.0,
        _ => DEEPEST.1,
    };
    // One hit more than the page is asked for, to know whether there is another page.
    if position.skip + limit >= deepest && position.behind.is_none() {
        return Err(
            ToolError::too_large(format!("pages go down to the hit {deepest}")).hint("narrow the query or use filters")
        );
    }
    let mut asked = Vec::new();
    let mut found = Found::default();
    for index in &args.indices {
        let (question, warnings) = question(library, call, index, args).await?;
        found
            .warnings
            .extend(warnings.into_iter().filter(|warning| !found.warnings.contains(warning)).collect::<Vec<_>>());
        asked.push((index.clone(), question));
    }
    let groups = args.facets.iter().map(|field| Group { field: field.clone(), by: By::Values(VALUES) }).collect();
    let wanted = Wanted {
        skip: position.skip,
        behind: position.behind.clone(),
        take: limit + 1,
        sort: args.sort.clone(),
        highlight: args.highlight.unwrap_or(true),
        only: args.fields.clone(),
        groups,
        exact_total: false,
        view: match &position.view {
            Some(view) => View::Held(view.clone()),
            None if args.snapshot && position.skip == 0 => View::Hold,
            None => View::Now,
        },
    };
    match asked.as_slice() {
        [(index, question)] if args.semantic.is_some() => {
            let wanted = Wanted { only: visible(args, question), ..wanted };
            found.position = position;
            hybrid::page(library, call, (index, question, &wanted), args, found).await
        }
        [(index, question)] => {
            let wanted = Wanted { only: visible(args, question), ..wanted };
            one(library, call, (index, question), (wanted, limit), (position, found)).await
        }
        _ => several(library, call, &asked, (wanted, limit), found).await,
    }
}

/// What does not depend on an index; gives the hits of a page.
fn check(args: &Search) -> Result<usize, ToolError> {
    let limit = args.limit.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(ToolError::invalid("limit is 1 to 100").hint("go on with cursor for more"));
    }
    if args.indices.is_empty() || args.indices.len() > INDEXES {
        return Err(ToolError::invalid(format!("indices are 1 to {INDEXES}")).hint("list_indices shows what there is"));
    }
    if args.facets.len() > 5 {
        return Err(ToolError::invalid("at most 5 facets"));
    }
    if args.indices.len() > 1 && (args.semantic.is_some() || args.snapshot) {
        return Err(ToolError::invalid("semantic and snapshot are for one index"));
    }
    if args.semantic.is_some() && (args.sort.is_some() || args.snapshot) {
        return Err(ToolError::invalid("semantic has an order of its own: leave sort and snapshot out"));
    }
    Ok(limit)
}

/// The fields of the hits: those that are asked for, or all that a reader understands.
fn visible(args: &Search, question: &Question) -> Option<Vec<String>> {
    args.fields.clone().or_else(|| question.schema.shown())
}

async fn question(
    library: &Library,
    call: &Call,
    index: &str,
    args: &Search,
) -> Result<(Question, Vec<String>), ToolError> {
    let schema = library.schema(call, index).await?;
    for field in &args.facets {
        schema.exact(field)?;
    }
    args.sort.iter().try_for_each(|sort| sort.check(&schema))?;
    for field in args.fields.iter().flatten() {
        schema.field(field)?;
    }
    question::of(schema, Asked { query: args.query.as_deref(), require_all: args.require_all, filters: &args.filters })
}

async fn one(
    library: &Library,
    call: &Call,
    (index, question): (&String, &Question),
    (wanted, limit): (Wanted, usize),
    (mut position, mut page): (Position, Found),
) -> Result<Found, ToolError> {
    let found = library.store.search(call, index, question, &wanted).await?;
    page.more = found.hits.len() > limit;
    page.hits = found.hits.into_iter().take(limit).map(|hit| (index.clone(), hit)).collect();
    (page.total, page.at_least, page.counts) = (found.total, found.at_least, found.counts);
    let kept = found.view.is_some() && !found.lost;
    if found.lost {
        page.warnings.push("the snapshot is not kept any more: these hits are of the index as it is now".to_owned());
    }
    position.view = found.view;
    if position.skip == 0 {
        position.snapshot = found.snapshot;
    } else if position.snapshot != found.snapshot && !kept && !found.lost {
        page.warnings.push("the index changed since the first page: a hit may be missing or come twice".to_owned());
    }
    page.position = position;
    Ok(page)
}

async fn several(
    library: &Library,
    call: &Call,
    asked: &[(String, Question)],
    (wanted, limit): (Wanted, usize),
    mut page: Found,
) -> Result<Found, ToolError> {
    let skip = wanted.skip;
    let each = Wanted { skip: 0, take: skip + limit + 1, highlight: false, ..wanted.clone() };
    let mut hits = Vec::new();
    for (done, (index, question)) in asked.iter().enumerate() {
        // Highlights are made for hits that are shown; the deep ones of a first pass are many.
        let highlight = wanted.highlight && skip == 0;
        let only = wanted.only.clone().or_else(|| question.schema.shown());
        let each = Wanted { highlight, only, ..each.clone() };
        let found = library.store.search(call, index, question, &each).await?;
        page.total += found.total;
        page.at_least |= found.at_least;
        store::merge(&mut page.counts, found.counts);
        hits.extend(found.hits.into_iter().map(|hit| (index.clone(), hit)));
        #[expect(clippy::cast_precision_loss, reason = "at most 10")]
        call.progress(done as f64 + 1.0, Some(asked.len() as f64), None);
    }
    let down = wanted.sort.as_ref().is_none_or(|sort| sort.order == Order::Desc);
    // What has no value comes last in either order, as it does in one index.
    let missing = |hit: &Hit| hit.sorted == Some(Value::Null);
    hits.sort_by(|(_, one), (_, other)| {
        let order = if down { order(other, one) } else { order(one, other) };
        missing(one).cmp(&missing(other)).then(order)
    });
    page.more = hits.len() > skip + limit;
    page.hits = hits.into_iter().skip(skip).take(limit).collect();
    page.counts.iter_mut().for_each(|counts| counts.buckets.truncate(VALUES));
    page.position = Position { skip, ..Position::default() };
    Ok(page)
}

fn order(one: &Hit, other: &Hit) -> Ordering {
    match (&one.sorted, &other.sorted) {
        (Some(Value::String(one)), Some(Value::String(other))) => one.cmp(other),
        (Some(one), Some(other)) => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
        _ => one.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal),
    }
}
