//! The tool `search`: a question in words → what is remembered, with the parts of each score.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Page, Reply, ToolError};

use crate::{
    filter::{During, Filter, Which},
    fitness::Fitness,
    memory::Memory,
    model::Trust,
    moment::Moment,
    recall::{self, Answered, Mode, Parts, Question, Recency},
    schema::terse,
    shown::{self, Shown},
};

/// Hits of one page at most.
const MOST: usize = 50;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Search {
    query: String,
    mode: Mode,
    filter: Which,
    /// What was believed then.
    as_of: Option<Moment>,
    /// What was or will be true then, replaced since or not.
    valid_during: Option<During>,
    /// quarantined shows also what reads like orders from outside; untrusted if not said.
    #[schemars(with = "Trust")]
    min_trust: Option<Trust>,
    min_score: f64,
    recency: Option<Recency>,
    /// 1 to 50; 10 if not said.
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Found {
    score: f64,
    parts: Parts,
    fitness: Fitness,
    record: Shown,
}

terse!(Found, {"type": "object", "required": ["score", "parts", "fitness", "record"]});

/// The result of a search.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundAll {
    hits: Vec<Found>,
}

pub(crate) async fn search(memory: Arc<Memory>, call: Call, args: Search) -> Result<Reply<FoundAll>, ToolError> {
    if args.query.trim().is_empty() || args.query.len() > 4_096 {
        return Err(ToolError::invalid("query has 1 to 4096 bytes").hint("list shows all without a query"));
    }
    let limit = args.limit.unwrap_or(10);
    if !(1..=MOST).contains(&limit) {
        return Err(ToolError::invalid(format!("limit is from 1 to {MOST}")));
    }
    let skip = call.resume::<usize>(args.cursor.as_deref())?.map_or(0, weft_kit::At::position);
    let filter = Filter::new(&args.filter, args.as_of.unwrap_or_else(Moment::now))
        .trusting(args.min_trust.unwrap_or_default())
        .valid(args.valid_during)?;
    let is_past = args.as_of.is_some();
    let question = Question {
        query: args.query,
        mode: args.mode,
        as_of: args.as_of,
        recency: args.recency.unwrap_or(Recency { weight: 0.1, half_life_days: 30.0 }),
        filter,
        min_score: args.min_score,
    };
    let Answered { hits: found, notes } = recall::search(&memory, &call, &question).await?;
    let total = found.len();
    let hits = found.into_iter().skip(skip).take(limit).map(|hit| Found {
        score: hit.score,
        parts: hit.parts,
        fitness: hit.fitness,
        record: Shown::of(&hit.space, hit.record, call.namespace()),
    });
    let mut budget = call.budget();
    let hits = budget.fill(hits);
    let next = skip + hits.len();
    let more = next < total && !hits.is_empty();
    let cursor = if more { Some(call.cursor("", &next)?) } else { None };
    // What was believed once is looked at, not recalled.
    if !is_past {
        memory.recalls.note(&call, hits.iter().map(|hit| &hit.record));
    }
    let text = shown::lines(hits.iter().map(|hit| &hit.record));
    let page = Page::new(hits.len(), cursor);
    let reply = Reply::new(FoundAll { hits }).text(text).page(page).truncated(budget.truncated()).label("private");
    Ok(notes.into_iter().fold(reply, Reply::warn))
}
