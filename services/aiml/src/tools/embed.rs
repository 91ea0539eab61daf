//! Vectors of texts, and documents in the order in which they answer a query.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{At, Call, Page, Reply, ToolError};

use super::sized;
use crate::{Models, builtin, model::Capability, told::Told};

const INPUTS: usize = 256;
const DOCUMENTS: usize = 200;
/// Bytes of all inputs.
const BYTES: usize = 1 << 20;
/// Bytes of vectors in one page.
const PAGE: usize = 600 << 10;
/// Bytes of a number in JSON, about.
const NUMBER: usize = 13;

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    #[default]
    Float,
    /// 32-bit floats, little endian, in base64: a third of the size.
    Base64,
}

/// Texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Embed {
    model: Option<String>,
    /// Up to 256.
    inputs: Vec<String>,
    /// Cut texts that are too long for the model, instead of failing them.
    #[serde(default)]
    truncate: bool,
    /// To length one; true if not said.
    normalize: Option<bool>,
    #[serde(default)]
    encoding: Encoding,
    cursor: Option<String>,
}

/// One text.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct One {
    /// Its place in inputs.
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Vectors, and what must be the same to compare them with others.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Embedded {
    vectors: Vec<One>,
    dimensions: usize,
    normalized: bool,
    /// Model and digest: vectors of another one cannot be compared with these.
    identity: String,
    by: Told,
}

pub(crate) async fn embed(models: Arc<Models>, call: Call, args: Embed) -> Result<Reply<Embedded>, ToolError> {
    check("inputs", &args.inputs, INPUTS)?;
    let at = call.resume::<(String, usize)>(args.cursor.as_deref())?.map(At::position);
    // All pages come from the model of the first one.
    let (pinned, from) = at.map_or((None, 0), |(model, from)| (Some(model), from));
    let asked = pinned.as_deref().or(args.model.as_deref());
    let route = models.route(&call, asked, Capability::Embed).await?;
    let rest = args.inputs.get(from..).unwrap_or_default();
    let guess = route[0].model.dimensions.and_then(|dimensions| usize::try_from(dimensions).ok()).unwrap_or(1_024);
    // Not much more than a page holds: the rest is for the next one.
    let part = &rest[..rest.len().min((PAGE / (guess.max(1) * NUMBER)).max(1))];
    let found = models.embed(&call, &route, part, args.truncate).await?;
    let normalize = args.normalize.unwrap_or(true);
    let (mut vectors, mut bytes, mut dimensions) = (Vec::new(), 0, 0);
    for (place, outcome) in found.texts.into_iter().enumerate() {
        let one = one(from + place, outcome, normalize, args.encoding);
        bytes += serde_json::to_vec(&one.0).map_or(0, |json| json.len());
        if bytes > PAGE && !vectors.is_empty() {
            break;
        }
        dimensions = dimensions.max(one.1);
        vectors.push(one.0);
    }
    let next = from + vectors.len();
    let cursor = (next < args.inputs.len()).then(|| call.cursor("", &(found.by.name(), next))).transpose()?;
    let failed = vectors.iter().filter(|one| one.error.is_some()).count();
    let identity = format!("{}@{}", found.by.name(), found.by.model.digest.as_deref().unwrap_or("unknown"));
    let text = format!("{} vectors of {dimensions} dimensions by {identity}", vectors.len() - failed);
    let page = Page::new(vectors.len(), cursor).total(args.inputs.len() as u64);
    let by = found.told;
    let mut reply =
        Reply::new(Embedded { vectors, dimensions, normalized: normalize, identity, by }).text(text).page(page);
    if found.by.is_builtin() {
        reply = reply.warn(builtin::NO_MODEL);
    }
    if found.cut > 0 {
        reply = reply.warn(format!("{} texts were longer than the model reads, and were cut", found.cut));
    }
    if failed > 0 {
        reply = reply.warn(format!("{failed} texts have no vector: see their error"));
    }
    Ok(reply.source(found.by.name()))
}

fn one(index: usize, outcome: Result<Vec<f32>, String>, normalize: bool, encoding: Encoding) -> (One, usize) {
    let mut vector = match outcome {
        Ok(vector) => vector,
        Err(why) => return (One { index, vector: None, base64: None, error: Some(why) }, 0),
    };
    if normalize {
        weft_embed::normalise(&mut vector);
    }
    let dimensions = vector.len();
    let one = match encoding {
        Encoding::Float => One { index, vector: Some(vector), base64: None, error: None },
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            One { index, vector: None, base64: Some(STANDARD.encode(bytes)), error: None }
        }
    };
    (one, dimensions)
}

fn check(name: &str, texts: &[String], most: usize) -> Result<(), ToolError> {
    if texts.is_empty() || texts.len() > most {
        return Err(ToolError::invalid(format!("{name}: 1 to {most} of them")).hint("send more in several calls"));
    }
    if let Some(place) = texts.iter().position(|text| text.trim().is_empty()) {
        return Err(ToolError::invalid(format!("{name}[{place}] is empty")));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes > BYTES {
        return Err(ToolError::too_large(format!("{name} have {bytes} bytes together, at most {BYTES}"))
            .hint("send fewer in one call, or cut long texts into parts"));
    }
    Ok(())
}

/// A query and documents.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rerank {
    model: Option<String>,
    query: String,
    /// Up to 200.
    documents: Vec<String>,
    /// How many are given back; all if not said.
    top_n: Option<usize>,
}

/// One document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ranked {
    /// Its place in documents.
    index: usize,
    score: f64,
}

/// Documents, the best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Order {
    ranked: Vec<Ranked>,
    /// rerank, cosine or bm25: scores compare only within one.
    method: &'static str,
    by: Told,
}

pub(crate) async fn rerank(models: Arc<Models>, call: Call, args: Rerank) -> Result<Reply<Order>, ToolError> {
    sized("query", &args.query)?;
    check("documents", &args.documents, DOCUMENTS)?;
    let ranking = models.rank(&call, args.model.as_deref(), &args.query, &args.documents).await?;
    let mut ranked: Vec<Ranked> =
        ranking.scores.into_iter().enumerate().map(|(index, score)| Ranked { index, score }).collect();
    ranked.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.index.cmp(&other.index)));
    ranked.truncate(args.top_n.unwrap_or(usize::MAX));
    let lines: Vec<String> = ranked.iter().map(|one| format!("{} {:.4}", one.index, one.score)).collect();
    let reply = Reply::new(Order { ranked, method: ranking.method, by: ranking.told }).text(lines.join("\n"));
    let reply = if ranking.by.is_builtin() { reply.warn(builtin::NO_MODEL) } else { reply };
    Ok(reply.source(ranking.by.name()))
}
