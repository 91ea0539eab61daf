//! Working notes: the turns of a conversation, kept for a time, and as much of them as fits into a model's window.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::store::{check_names, check_text};
use crate::{
    filter::{Filter, Which},
    guard,
    memory::Memory,
    model::{Kind, Record, Source, Trust, session_node},
    moment::Moment,
    recall::{self, Mode, Question, Recency},
    schema::terse,
    shown::{self, Shown},
    space::{Space, Visibility},
};

/// A day.
const DAY: u64 = 86_400;
/// Turns that are looked at.
const TURNS: usize = 500;
/// The largest window.
const WINDOW: usize = 8_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Turn {
    /// user, assistant, tool, note.
    role: String,
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Append {
    session_id: String,
    messages: Vec<Turn>,
    /// A day if not said, at most 90 days.
    ttl_seconds: Option<u64>,
    /// private if not said; team lets others of the namespace take over.
    #[serde(default)]
    #[schemars(with = "Visibility")]
    visibility: Option<Visibility>,
}

/// What was kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Appended {
    ids: Vec<String>,
    expires_at: Moment,
}

pub(crate) async fn append(memory: Arc<Memory>, call: Call, args: Append) -> Result<Reply<Appended>, ToolError> {
    check_names(std::iter::once(&args.session_id))?;
    guard::screen(&args.session_id, &memory.settings)?;
    let ttl = args.ttl_seconds.unwrap_or(DAY);
    if args.messages.is_empty() || args.messages.len() > 50 || !(1..=90 * DAY).contains(&ttl) {
        return Err(ToolError::invalid("messages has 1 to 50 entries, ttl_seconds is from 1 to 7776000"));
    }
    let space = Space::of(&call, args.visibility.unwrap_or(Visibility::Private));
    let expires_at = Moment::now().plus_seconds(ttl);
    let mut records = Vec::new();
    for turn in &args.messages {
        check_names(std::iter::once(&turn.role))?;
        check_text(&turn.text)?;
        guard::screen_all([&turn.role, &turn.text], &memory.settings)?;
        let origin = if turn.role == "tool" { crate::model::Origin::Tool } else { crate::model::Origin::Agent };
        let source = Source { origin, ..Source::default() };
        let id = format!("turn-{}", uuid::Uuid::new_v4().simple());
        records.push(Record {
            topics: vec![turn.role.clone()],
            session: Some(args.session_id.clone()),
            expires_at: Some(expires_at),
            trust: guard::trust(&call, &source, &turn.text, &memory.settings),
            source,
            ..Record::new(id, Kind::Turn, turn.text.clone(), &call.caller().id)
        });
    }
    let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
    memory.change(&call, &space, &ids, |_| Ok(records.clone())).await?;
    let text = format!("{} turns are kept until {expires_at}", ids.len());
    Ok(Reply::new(Appended { ids, expires_at }).text(text))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    session_id: String,
    /// Tokens, at 4 bytes each: up to 8000; 2000 if not said.
    token_budget: Option<usize>,
    /// Adds what is remembered about this, in up to a third of the budget.
    query: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Said {
    role: String,
    text: String,
    at: Moment,
    trust: Trust,
}

terse!(Said, {"type": "object", "required": ["role", "text", "at", "trust"]});

/// What fits, oldest first.
#[derive(Debug, Serialize)]
pub(crate) struct Window {
    turns: Vec<Said>,
    memories: Vec<Shown>,
    tokens: usize,
    /// Older turns that did not fit.
    left_out: usize,
}

terse!(Window, {"type": "object", "required": ["turns", "memories", "tokens", "left_out"]});

fn tokens(text: &str) -> usize {
    text.len().div_ceil(4) + 4
}

pub(crate) async fn context(memory: Arc<Memory>, call: Call, args: Context) -> Result<Reply<Window>, ToolError> {
    let budget = args.token_budget.unwrap_or(2_000);
    if !(1..=WINDOW).contains(&budget) {
        return Err(ToolError::invalid(format!("token_budget is from 1 to {WINDOW}")));
    }
    let memories = match &args.query {
        Some(query) => about(&memory, &call, query, budget / 3).await?,
        None => Vec::new(),
    };
    let mut used: usize = memories.iter().map(|own| tokens(&own.text)).sum();
    let which = Which { session: Some(args.session_id.clone()), ..Which::default() };
    let filter = Filter::new(&which, Moment::now()).trusting(Trust::Quarantined);
    let node = [session_node(&args.session_id)];
    let mut found = Vec::new();
    for space in Space::own(&call) {
        found.extend(memory.observe(&call, memory.store.touching(&space.key(), &node, &filter, TURNS)).await?);
    }
    found.sort_by(|left, right| (right.recorded_at, &right.id).cmp(&(left.recorded_at, &left.id)));
    let all = found.len();
    let fits = |record: &Record| {
        used += tokens(&record.text);
        used <= budget
    };
    let mut kept: Vec<Record> = found.into_iter().take_while(fits).collect();
    kept.reverse();
    let tokens = memories.iter().map(|own| tokens(&own.text)).chain(kept.iter().map(|own| tokens(&own.text))).sum();
    let left_out = all - kept.len();
    let said = |record: Record| Said {
        role: record.topics.into_iter().next().unwrap_or_default(),
        text: record.text,
        at: record.recorded_at,
        trust: record.trust,
    };
    let turns: Vec<Said> = kept.into_iter().map(said).collect();
    memory.recalls.note(&call, memories.iter());
    let mut lines: Vec<String> = memories.iter().map(Shown::line).collect();
    let line = |turn: &Said| format!("{}{}: {}", turn.role, shown::mark(turn.trust), shown::plain(&turn.text));
    lines.extend(turns.iter().map(line));
    Ok(Reply::new(Window { turns, memories, tokens, left_out }).text(lines.join("\n")).label("private"))
}

/// What is remembered about a question, as much as fits.
async fn about(memory: &Memory, call: &Call, query: &str, budget: usize) -> Result<Vec<Shown>, ToolError> {
    if query.trim().is_empty() || query.len() > 4_096 {
        return Err(ToolError::invalid("query has 1 to 4096 bytes"));
    }
    let question = Question {
        query: query.to_owned(),
        mode: Mode::Hybrid,
        as_of: None,
        recency: Recency { weight: 0.1, half_life_days: 30.0 },
        filter: Filter::new(&Which::default(), Moment::now()),
        min_score: 0.1,
    };
    let found = recall::search(memory, call, &question).await?.hits;
    let mut used = 0;
    let fits = |own: &Shown| {
        used += tokens(&own.text);
        used <= budget
    };
    let shown = found.into_iter().map(|hit| Shown::of(&hit.space, hit.record, call.namespace()));
    Ok(shown.take_while(fits).take(20).collect())
}
