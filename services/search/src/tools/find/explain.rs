//! Why a document was found: what its score is made of, by words and by meaning.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::{
    super::plain,
    hybrid::{self, Semantic, Standing},
};
use crate::{
    Library,
    model::{Explained, Wanted},
    question::{self, Asked},
};

/// A document and a query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    index: String,
    id: String,
    query: String,
    #[serde(default)]
    require_all: bool,
    /// As in the search: tells its ranks by words and by meaning.
    #[serde(default)]
    semantic: Option<Semantic>,
}

/// Why it has its score.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reasons {
    matches: bool,
    score: f64,
    /// The query as it was understood.
    understood: String,
    /// Among the first 100 of either list.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<Standing>,
    /// What the score is made of, one line each, indented by depth.
    reasons: Vec<String>,
}

pub(crate) async fn explain(library: Arc<Library>, call: Call, args: Explain) -> Result<Reply<Reasons>, ToolError> {
    let asked = Asked { query: Some(&args.query), require_all: args.require_all, filters: &[] };
    let schema = library.schema(&call, &args.index).await?;
    let (question, _) = question::of(schema, asked)?;
    let both = match &args.semantic {
        Some(semantic) => {
            let wanted = Wanted { only: Some(Vec::new()), ..Wanted::default() };
            let asked = (semantic, Some(args.query.as_str()));
            let (fused, _) = hybrid::fused(&library, &call, (&args.index, &question, &wanted), asked).await?;
            fused.into_iter().zip(1_usize..).find(|((hit, _), _)| hit.id == args.id)
        }
        None => None,
    };
    let work = library.store.explain(&call, &args.index, &question, &args.id);
    let explained = library.observe(&call, (&args.index, &args.query), work).await?;
    let understood = question.query.map_or_else(|| "everything".to_owned(), |node| node.to_string());
    let mut reasons = Vec::new();
    if let Some(explained) = &explained {
        tell(explained, 0, &mut reasons);
    }
    let ranks = both.as_ref().map(|((_, ranks), _)| Standing::from(*ranks));
    if let Some(((hit, ranks), place)) = &both {
        let weight = args.semantic.as_ref().map_or(Ok(0.5), Semantic::weight)?;
        reasons.insert(0, format!("{:.4} rank {place} of both: {}", hit.score.unwrap_or_default(), ranks.told(weight)));
    }
    let words = explained.as_ref().map_or(0.0, |explained| explained.value);
    let score = both.as_ref().and_then(|((hit, _), _)| hit.score).map_or(words, f64::from);
    let matches = explained.is_some() || both.is_some();
    let text = if matches { reasons.join("\n") } else { format!("not found by {understood}") };
    Ok(Reply::new(Reasons { matches, score, understood, ranks, reasons }).text(text))
}

fn tell(explained: &Explained, depth: usize, lines: &mut Vec<String>) {
    if depth > 8 || lines.len() >= 200 {
        return;
    }
    lines.push(format!("{}{:.4} {}", "  ".repeat(depth), explained.value, plain(&explained.description)));
    explained.details.iter().for_each(|detail| tell(detail, depth + 1, lines));
}
