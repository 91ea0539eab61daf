//! Vectors of documents: what a field of them is, who makes them out of texts, and how they are kept.
//!
//! A field of vectors names the model that they come from. Vectors of different models mean nothing to each other, so a field whose
//! model is not configured any more can be searched by given vectors, and by texts no more.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weft_embed::{EmbedError, Embedder, Lexical};
use weft_kit::{Call, ToolError};

use crate::model::{Document, Field, Kind, Metric, Schema};

/// Texts that are embedded together.
const BATCH: usize = 64;
/// Characters of a text that are embedded; models read no more.
const LONGEST: usize = 8_000;

/// What a field of vectors is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Vectors {
    /// That of the model if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dimensions: Option<usize>,
    pub(crate) metric: Metric,
    /// Made of the texts of these fields; without any, documents bring their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) of: Vec<String>,
    /// The first one that is configured if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
}

/// A vector to find the nearest ones to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seek {
    pub(crate) field: String,
    pub(crate) vector: Vec<f32>,
    pub(crate) metric: Metric,
}

/// What makes vectors of texts.
#[derive(Debug)]
pub(crate) struct Embedders(Vec<Arc<dyn Embedder>>);

impl Embedders {
    /// Those of the settings, and the one that needs no model.
    pub(crate) fn open(settings: &[weft_embed::EmbedderSettings]) -> Result<Self, anyhow::Error> {
        let mut all = settings.iter().map(weft_embed::open).collect::<Result<Vec<_>, _>>()?;
        if all.iter().all(|embedder| embedder.model() != Lexical.model()) {
            all.push(Arc::new(Lexical));
        }
        Ok(Self(all))
    }

    fn get(&self, model: Option<&str>) -> Result<&Arc<dyn Embedder>, ToolError> {
        let known = || self.0.iter().map(|embedder| embedder.model()).collect::<Vec<_>>().join(", ");
        self.0.iter().find(|embedder| model.is_none_or(|model| embedder.model() == model)).ok_or_else(|| {
            ToolError::invalid(format!("no embedder has the model {:?}", model.unwrap_or_default()))
                .hint(format!("models: {}", known()))
        })
    }

    /// The schema with all that was left open about its vectors.
    pub(crate) fn settle(&self, mut schema: Schema) -> Result<Schema, ToolError> {
        let prose: Vec<String> = schema.prose().map(|field| field.name.clone()).collect();
        for field in schema.fields.iter_mut().filter(|field| field.kind == Kind::Vector) {
            let Vectors { of, model, dimensions, .. } = field.vector.get_or_insert_default();
            if let Some(other) = of.iter().find(|name| !prose.contains(name)) {
                return Err(ToolError::invalid(format!("{:?} is made of {other:?}, which is no prose", field.name)));
            }
            if !of.is_empty() || model.is_some() {
                let embedder = self.get(model.as_deref())?;
                if dimensions.is_some_and(|own| own != embedder.dimensions()) {
                    return Err(ToolError::invalid(format!(
                        "vectors of {} have {} dimensions",
                        embedder.model(),
                        embedder.dimensions()
                    )));
                }
                *model = Some(embedder.model().to_owned());
                *dimensions = Some(embedder.dimensions());
            }
            if !dimensions.is_some_and(|own| (1..=weft_embed::DIMENSIONS).contains(&own)) {
                return Err(ToolError::invalid(format!(
                    "{:?} needs vector.of (fields whose texts are embedded) or vector.dimensions, 1 to {}",
                    field.name,
                    weft_embed::DIMENSIONS
                )));
            }
        }
        Ok(schema)
    }

    /// Puts vectors into documents that have none, where they are made of their texts.
    pub(crate) async fn fill(&self, call: &Call, schema: &Schema, documents: &mut [Document]) -> Result<(), ToolError> {
        for field in &schema.fields {
            let Some(Vectors { of, model, .. }) = field.vector.as_ref().filter(|vectors| !vectors.of.is_empty()) else {
                continue;
            };
            let mut lacking: Vec<(&mut Document, String)> = documents
                .iter_mut()
                .filter(|document| document.source.get(&field.name).is_none_or(Value::is_null))
                .filter_map(|document| text(&document.source, of).map(|text| (document, text)))
                .collect();
            for batch in lacking.chunks_mut(BATCH) {
                let texts: Vec<String> = batch.iter().map(|(_, text)| text.clone()).collect();
                let made = self.embed(call, model.as_deref(), &texts).await?;
                for ((document, _), vector) in batch.iter_mut().zip(made) {
                    document.source.insert(field.name.clone(), json!(vector));
                }
            }
        }
        Ok(())
    }

    /// The vector of a text, for a field.
    pub(crate) async fn seek(&self, call: &Call, field: &Field, text: &str) -> Result<Seek, ToolError> {
        let Some(Vectors { model: Some(model), metric, .. }) = &field.vector else {
            return Err(ToolError::invalid(format!("{:?} has no model that embeds texts", field.name))
                .hint("give semantic.vector instead of a text"));
        };
        let made = self.embed(call, Some(model), &[text.chars().take(LONGEST).collect()]).await?;
        let vector = made.into_iter().next().unwrap_or_default();
        Seek::of(field, vector).map(|seek| Seek { metric: *metric, ..seek })
    }

    async fn embed(&self, call: &Call, model: Option<&str>, texts: &[String]) -> Result<Vec<Vec<f32>>, ToolError> {
        let embedder = self.get(model)?;
        let made = call.run(weft_embed::embed(&**embedder, texts)).await?;
        made.map_err(|error: EmbedError| {
            tracing::warn!(model = embedder.model(), why = %error, "texts could not be embedded");
            ToolError::unavailable(format!("the embedder {} cannot be used now", embedder.model()))
                .hint("try again in a moment, or search without semantic")
        })
    }
}

/// The texts of some fields of a document, one after the other; nothing if there are none.
fn text(source: &Map<String, Value>, of: &[String]) -> Option<String> {
    let values = of.iter().filter_map(|name| source.get(name));
    let texts = values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let text = texts.filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let text: String = text.chars().take(LONGEST).collect();
    (!text.trim().is_empty()).then_some(text)
}

impl Seek {
    /// A vector that was given, if it fits the field.
    pub(crate) fn of(field: &Field, mut vector: Vec<f32>) -> Result<Self, ToolError> {
        let Some(Vectors { dimensions, metric, .. }) = &field.vector else {
            return Err(ToolError::invalid(format!("{:?} holds no vectors", field.name)));
        };
        prepare(*metric, *dimensions, &mut vector)
            .map_err(|why| ToolError::invalid(format!("the vector for {:?}: {why}", field.name)))?;
        Ok(Self { field: field.name.clone(), vector, metric: *metric })
    }
}

/// A vector as it is kept: of the field's length, of finite numbers, and for the cosine of length 1.
fn prepare(metric: Metric, dimensions: Option<usize>, vector: &mut [f32]) -> Result<(), String> {
    if dimensions != Some(vector.len()) {
        return Err(format!("it has {} numbers, not {}", vector.len(), dimensions.unwrap_or_default()));
    }
    if !vector.iter().all(|number| number.is_finite()) {
        return Err("its numbers are finite".to_owned());
    }
    if metric == Metric::Cosine {
        if vector.iter().all(|number| *number == 0.0) {
            return Err("a vector of zeros has no direction".to_owned());
        }
        weft_embed::normalise(vector);
    }
    Ok(())
}

/// A vector out of a document.
pub(crate) fn read(field: &Field, value: &Value) -> Result<Vec<f32>, String> {
    let Vectors { dimensions, metric, .. } = field.vector.clone().unwrap_or_default();
    let mut vector: Vec<f32> =
        serde_json::from_value(value.clone()).map_err(|_| "a vector is a list of numbers".to_owned())?;
    prepare(metric, dimensions, &mut vector)?;
    Ok(vector)
}

/// A vector as bytes.
pub(crate) fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers of a vector that was kept as bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}
