//! Numbers instead of documents: how many, and how many of each.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::plain;
use crate::{
    Library,
    filter::Condition,
    model::{By, Counts, Group, Kind, Wanted},
    question::{self, Asked},
};

/// Buckets of one group.
const BUCKETS: usize = 1_000;

/// Which documents to count.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    index: String,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    require_all: bool,
    #[serde(default)]
    filters: Vec<Condition>,
}

/// How many there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Counted {
    count: u64,
    /// There are at least so many.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_a_minimum: bool,
}

pub(crate) async fn count(library: Arc<Library>, call: Call, args: Count) -> Result<Reply<Counted>, ToolError> {
    let asked = Asked { query: args.query.as_deref(), require_all: args.require_all, filters: &args.filters };
    let schema = library.schema(&call, &args.index).await?;
    let (question, warnings) = question::of(schema, asked)?;
    let wanted = Wanted { exact_total: true, ..Wanted::default() };
    let work = library.store.search(&call, &args.index, &question, &wanted);
    let found = library.observe(&call, (&args.index, args.query.as_deref().unwrap_or_default()), work).await?;
    let mut reply = Reply::new(Counted { count: found.total, is_a_minimum: found.at_least })
        .text(format!("{} documents", found.total));
    for warning in warnings {
        reply = reply.warn(warning);
    }
    Ok(reply)
}

/// What to count by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// The most frequent values.
    #[default]
    Values,
    /// Numbers in steps of `step`.
    Steps,
    /// Dates in steps of `interval`.
    Times,
    /// Numbers between borders.
    Ranges,
    /// Count, min, max, sum and avg of numbers.
    Summary,
}

/// From here (included) to there (excluded).
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    #[serde(default)]
    from: Option<f64>,
    #[serde(default)]
    to: Option<f64>,
}

/// One way of counting.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// An exact field.
    field: String,
    #[serde(default)]
    by: How,
    /// Values at most, 1 to 1000, else 10.
    #[serde(default)]
    size: Option<usize>,
    #[serde(default)]
    step: Option<f64>,
    /// A number with s, m, h or d: 12h, 30d.
    #[serde(default)]
    interval: Option<String>,
    #[serde(default)]
    ranges: Vec<Span>,
}

/// Which documents to count by what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aggregate {
    index: String,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    require_all: bool,
    #[serde(default)]
    filters: Vec<Condition>,
    /// 1 to 5.
    groups: Vec<Ask>,
}

/// The counts.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Aggregated {
    total: u64,
    groups: Vec<Counts>,
}

pub(crate) async fn aggregate(
    library: Arc<Library>,
    call: Call,
    args: Aggregate,
) -> Result<Reply<Aggregated>, ToolError> {
    if args.groups.is_empty() || args.groups.len() > 5 {
        return Err(ToolError::invalid("groups are 1 to 5"));
    }
    let schema = library.schema(&call, &args.index).await?;
    let mut groups = Vec::with_capacity(args.groups.len());
    for ask in &args.groups {
        groups.push(Group { field: ask.field.clone(), by: by(schema.exact(&ask.field)?.kind, ask)? });
    }
    let asked = Asked { query: args.query.as_deref(), require_all: args.require_all, filters: &args.filters };
    let (question, warnings) = question::of(schema, asked)?;
    let wanted = Wanted { groups, exact_total: true, ..Wanted::default() };
    let work = library.store.search(&call, &args.index, &question, &wanted);
    let found = library.observe(&call, (&args.index, args.query.as_deref().unwrap_or_default()), work).await?;
    let mut data = Aggregated { total: found.total, groups: found.counts };
    let mut reply_warnings = warnings;
    for counts in &mut data.groups {
        if counts.buckets.len() > BUCKETS {
            counts.buckets.truncate(BUCKETS);
            reply_warnings
                .push(format!("{}: only the first {BUCKETS} of many are shown: use wider steps", counts.field));
        }
    }
    let text = text(&data);
    let mut reply = Reply::new(data).text(text);
    for warning in reply_warnings {
        reply = reply.warn(warning);
    }
    Ok(reply)
}

fn by(kind: Kind, ask: &Ask) -> Result<By, ToolError> {
    let wrong = |what: &str| Err(ToolError::invalid(format!("the group on {:?}: {what}", ask.field)));
    let number = matches!(kind, Kind::Integer | Kind::Number);
    match ask.by {
        How::Values => match ask.size.unwrap_or(10) {
            size @ 1..=BUCKETS => Ok(By::Values(size)),
            _ => wrong("size is 1 to 1000"),
        },
        How::Steps if !number => wrong("steps are for numbers; dates take times"),
        How::Steps => match ask.step {
            Some(step) if step.is_finite() && step >= 1e-6 => Ok(By::Steps(step)),
            _ => wrong("step is a number from 0.000001"),
        },
        How::Times if kind != Kind::Date => wrong("times are for dates"),
        How::Times => match &ask.interval {
            Some(interval) if is_interval(interval) => Ok(By::Times(interval.clone())),
            _ => wrong("interval is a number with s, m, h or d: 12h, 30d"),
        },
        How::Ranges if !number => wrong("ranges are for numbers"),
        How::Ranges => {
            let fits = |span: &Span| {
                let finite = |end: Option<f64>| end.is_none_or(f64::is_finite);
                finite(span.from) && finite(span.to) && (span.from.is_some() || span.to.is_some())
            };
            if ask.ranges.is_empty() || ask.ranges.len() > 100 || !ask.ranges.iter().all(fits) {
                return wrong("ranges are 1 to 100, each with from, to or both");
            }
            Ok(By::Ranges(ask.ranges.iter().map(|span| (span.from, span.to)).collect()))
        }
        How::Summary if !number => wrong("summary is for numbers"),
        How::Summary => Ok(By::Summary),
    }
}

fn is_interval(text: &str) -> bool {
    let Some((number, unit)) = text.split_at_checked(text.len().saturating_sub(1)) else { return false };
    matches!(unit, "s" | "m" | "h" | "d") && number.parse::<u32>().is_ok_and(|number| (1..=100_000).contains(&number))
}

fn text(data: &Aggregated) -> String {
    let mut lines = vec![format!("{} documents", data.total)];
    for counts in &data.groups {
        lines.push(format!("{}:", counts.field));
        lines.extend(
            counts.buckets.iter().map(|bucket| format!("  {}: {}", plain(&bucket.key.to_string()), bucket.count)),
        );
        lines.extend(counts.summary.iter().map(|(name, value)| format!("  {name}: {value}")));
    }
    lines.join("\n")
}
