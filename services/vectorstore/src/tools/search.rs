//! The tool `search`: one wish in up to five collections, ranked, varied and grouped as asked.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, Reply, ToolError};

mod after;

use self::after::{After, Finished, Gathered};
use super::points::{Include, Shown, with};
use crate::{
    check,
    desk::{Desk, Place},
    filter,
    model::{self, Spec},
    seek::{DEPTH, Mode, ScoreKind, Wish, seek},
};

/// Collections of one call.
const COLLECTIONS: usize = 5;
/// Vectors of one call.
const VECTORS: usize = 8;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    collection: String,
    /// Up to four more of the same store.
    #[serde(default)]
    more_collections: Vec<String>,
    /// Embedded by the collection's model, and looked for word by word.
    text: Option<String>,
    vector: Option<Vec<f32>>,
    /// Several at once, up to 8: ranked by all together.
    vectors: Option<Vec<Vec<f32>>>,
    /// Points like this one.
    like_id: Option<String>,
    /// hybrid (default with a text), dense or sparse.
    #[schemars(with = "Option<String>")]
    mode: Option<Mode>,
    /// What meaning counts against words, 0 to 1; default 0.7.
    hybrid_weight: Option<f32>,
    filter: Option<Value>,
    /// Default 10, at most 100.
    limit: Option<usize>,
    /// Leave out worse scores (for euclidean: larger distances).
    score_threshold: Option<f32>,
    /// A field: hits are grouped by its values, and limit counts groups.
    group_by: Option<String>,
    /// Hits in a group; default 1.
    group_size: Option<usize>,
    /// Variety, 0 (most) to 1 (none): leaves out what says the same again.
    mmr: Option<f32>,
    /// Rank anew by the configured model, or without one by words in common.
    #[serde(default)]
    rerank: bool,
    /// Look at every vector instead of the index.
    #[serde(default)]
    exact: bool,
    /// Candidates in the index; more finds more and takes longer.
    ef: Option<u16>,
    /// Of text, metadata, vector; default: the first two.
    #[schemars(with = "Option<Vec<String>>")]
    include: Option<Vec<Include>>,
    /// The model that made the vectors, to be sure that it is the collection's.
    model: Option<String>,
    /// Default: the first store.
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Found {
    #[schemars(with = "String")]
    score_kind: ScoreKind,
    /// What ranked the hits anew: a model, or `words`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reranked_by: Option<String>,
    hits: Vec<Hit>,
}

/// A hit as callers see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hit {
    pub(crate) score: f32,
    /// The value of `group_by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Value>,
    /// Where several were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
    #[serde(flatten)]
    pub(crate) point: Shown,
}

impl Hit {
    pub(crate) fn of(hit: model::Hit) -> Self {
        Self { score: hit.score, group: None, collection: None, point: hit.point.into() }
    }
}

pub(crate) async fn search(desk: Arc<Desk>, call: Call, args: Search) -> Result<Reply<Found>, ToolError> {
    let after = After::of(&args)?;
    if args.more_collections.len() >= COLLECTIONS {
        return Err(ToolError::too_large("at most 5 collections at once"));
    }
    let names = std::iter::once(&args.collection).chain(&args.more_collections);
    let mut found = Vec::new();
    let (mut kind, mut wordless) = (None, false);
    for name in names {
        let place = desk.place(&call, args.store.as_deref(), name).await?;
        let spec = place.spec(&call).await?;
        let wish = wish(&desk, &call, &place, (&spec, &args, &after)).await?;
        let own = wish.kind(spec.metric);
        if kind.replace(own).is_some_and(|other| other != own) {
            return Err(ToolError::conflict("collections of different metrics cannot be ranked together")
                .hint("search them one after the other, or with mode hybrid"));
        }
        let several = !args.more_collections.is_empty();
        let sought = seek(&call, &place, &wish).await?;
        wordless |= sought.wordless;
        found.extend(sought.hits.into_iter().map(|hit| (several.then(|| name.clone()), hit)));
    }
    let found = Gathered::of(kind.unwrap_or(ScoreKind::Cosine), found);
    let Finished { kind, hits, reranked_by, warning } = after.finish(&desk, &call, found).await?;
    let mut budget = call.budget();
    let hits = budget.fill(hits);
    let text = rendered(&hits);
    let reply = Reply::new(Found { score_kind: kind, reranked_by, hits }).text(text).truncated(budget.truncated());
    let common = "every word is in more texts than the store can rank; the hits are the nearest by meaning alone";
    let warnings = wordless.then(|| common.to_owned()).into_iter().chain(warning);
    Ok(warnings.fold(reply, Reply::warn))
}

async fn wish(
    desk: &Desk,
    call: &Call,
    place: &Place,
    (spec, args, after): (&Spec, &Search, &After),
) -> Result<Wish, ToolError> {
    crate::embed::Embedders::same(spec, args.model.as_deref())?;
    let mut vectors: Vec<Vec<f32>> = args.vector.iter().chain(args.vectors.iter().flatten()).cloned().collect();
    let mut asked = filter::parse(args.filter.as_ref())?;
    if let Some(id) = &args.like_id {
        vectors.push(super::explore::vector_of(call, place, id).await?);
        asked = super::explore::but(asked, vec![id.clone()]);
    }
    if vectors.len() > VECTORS {
        return Err(ToolError::too_large(format!("at most {VECTORS} vectors at once")));
    }
    let has_text = args.text.as_ref().is_some_and(|text| weft_embed::words(text).next().is_some());
    let by_words_alone = spec.model.is_none() && vectors.is_empty();
    let mode = args.mode.unwrap_or(match (has_text, by_words_alone) {
        (true, true) => Mode::Sparse,
        (true, false) => Mode::Hybrid,
        (false, _) => Mode::Dense,
    });
    if (mode != Mode::Dense || vectors.is_empty()) && args.text.is_some() != has_text {
        return Err(ToolError::invalid("`text` holds no word to search for"));
    }
    if mode != Mode::Dense && !has_text {
        return Err(ToolError::invalid("this mode needs `text` with at least one word"));
    }
    match (mode, &args.text) {
        (Mode::Sparse, _) => vectors.clear(),
        (_, Some(text)) if vectors.is_empty() => {
            vectors = call.run(desk.embedders.embed(spec, std::slice::from_ref(text))).await??;
        }
        _ => {}
    }
    if mode != Mode::Sparse && vectors.is_empty() {
        return Err(ToolError::invalid("nothing to search for").hint("give `text`, `vector`, `vectors` or `like_id`"));
    }
    vectors.iter().try_for_each(|vector| check::vector(vector, spec.dimensions))?;
    let is_reworked = after.group.is_some() || after.mmr.is_some() || after.rerank.is_some();
    let mut with = with(args.include.as_deref());
    with.vector |= after.mmr.is_some();
    with.text |= after.rerank.is_some();
    with.metadata |= after.group.is_some();
    Ok(Wish {
        vectors,
        words: args.text.clone().filter(|_| mode != Mode::Dense),
        weight: args.hybrid_weight.unwrap_or(0.7),
        filter: asked,
        limit: if is_reworked { (after.limit * 5).clamp(50, DEPTH) } else { after.limit },
        ef: args.ef.map(|ef| ef.clamp(1, 4_096)),
        exact: args.exact,
        with,
    })
}

/// One line a hit, for clients that show only text.
pub(crate) fn rendered(hits: &[Hit]) -> String {
    if hits.is_empty() {
        return "nothing found".to_owned();
    }
    let line = |hit: &Hit| {
        let start: String = hit.point.text.as_deref().unwrap_or_default().chars().take(200).collect();
        format!("{:.4} {} {}\n", hit.score, hit.point.id, start.replace('\n', " "))
    };
    hits.iter().map(line).collect()
}
