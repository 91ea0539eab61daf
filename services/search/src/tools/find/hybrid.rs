//! A search by words and by meaning → one list, with the rank that each hit has in either.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, ToolError};

use super::{Search, pages::Found};
use crate::{
    Library,
    fuse::{self, Ranks},
    model::{Field, Hit, Kind, Question, Schema, Wanted},
    vectors::Seek,
};

/// Hits of each list that are fused: a page lies within them.
pub(super) const WINDOW: usize = 100;

/// What is sought by its meaning.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Semantic {
    /// A field of kind vector; the only one if not said.
    field: Option<String>,
    /// The query if not said.
    text: Option<String>,
    /// Instead of a text.
    vector: Option<Vec<f32>>,
    /// How much the meaning counts against the words, 0 to 1; 0.5 if not said.
    weight: Option<f32>,
}

/// Where a hit stands among those found by its words, and by its meaning, from 1.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Standing {
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<usize>,
    /// More is nearer.
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f32>,
}

impl From<Ranks> for Standing {
    fn from(ranks: Ranks) -> Self {
        Self { words: ranks.words, meaning: ranks.meaning, similarity: ranks.similarity }
    }
}

impl Semantic {
    /// How much the meaning counts.
    pub(super) fn weight(&self) -> Result<f32, ToolError> {
        let weight = self.weight.unwrap_or(0.5);
        let fits = (0.0..=1.0).contains(&weight);
        fits.then_some(weight).ok_or_else(|| ToolError::invalid("semantic.weight is 0 to 1"))
    }

    /// The vector that is sought.
    async fn seek(
        &self,
        library: &Library,
        call: &Call,
        (schema, query): (&Schema, Option<&str>),
    ) -> Result<Seek, ToolError> {
        let field = self.field(schema)?;
        if let Some(vector) = &self.vector {
            return Seek::of(field, vector.clone());
        }
        let text = self.text.as_deref().or(query).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| ToolError::invalid("semantic needs a text, a vector, or a query"))?;
        library.embedders.seek(call, field, text).await
    }

    fn field<'s>(&self, schema: &'s Schema) -> Result<&'s Field, ToolError> {
        if let Some(name) = &self.field {
            return schema.field(name);
        }
        let mut all = schema.fields.iter().filter(|field| field.kind == Kind::Vector);
        match (all.next(), all.next()) {
            (Some(field), None) => Ok(field),
            (None, _) => Err(ToolError::invalid("the index has no field of kind vector")
                .hint("search without semantic, or reindex into an index with such a field")),
            (Some(_), Some(_)) => {
                Err(ToolError::invalid("the index has several fields of vectors: name one as semantic.field"))
            }
        }
    }
}

/// All hits of both lists, fused.
pub(super) async fn fused(
    library: &Library,
    call: &Call,
    (index, question, wanted): (&str, &Question, &Wanted),
    (semantic, query): (&Semantic, Option<&str>),
) -> Result<(Vec<(Hit, Ranks)>, crate::model::Found), ToolError> {
    let weight = semantic.weight()?;
    let seek = semantic.seek(library, call, (&question.schema, query)).await?;
    let wanted = Wanted { skip: 0, take: WINDOW, sort: None, ..wanted.clone() };
    let mut words = match &question.query {
        Some(_) => library.store.search(call, index, question, &wanted).await?,
        // Without words, all documents would stand in the list of words, in no order that means something.
        None => crate::model::Found::default(),
    };
    let filters = Question { query: None, ..question.clone() };
    let meaning = library.store.similar(call, index, (&filters, &seek), &wanted).await?;
    words.at_least = words.total > words.hits.len() as u64 || meaning.hits.len() >= WINDOW;
    let fused = fuse::fuse(std::mem::take(&mut words.hits), meaning.hits, weight);
    Ok((fused, words))
}

/// One page of them.
pub(super) async fn page(
    library: &Library,
    call: &Call,
    (index, question, wanted): (&str, &Question, &Wanted),
    args: &Search,
    mut page: Found,
) -> Result<Found, ToolError> {
    let semantic = args.semantic.clone().unwrap_or_default();
    let asked = (&semantic, args.query.as_deref());
    let (fused, words) = fused(library, call, (index, question, wanted), asked).await?;
    let (skip, limit) = (wanted.skip, wanted.take.saturating_sub(1));
    page.total = fused.len() as u64;
    page.at_least = words.at_least;
    page.counts = words.counts;
    page.more = fused.len() > skip + limit;
    for (hit, ranks) in fused.into_iter().skip(skip).take(limit) {
        page.standings.push(ranks.into());
        page.hits.push((index.to_owned(), hit));
    }
    page.position = page.position.at(skip);
    Ok(page)
}
