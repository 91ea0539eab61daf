//! What an index, a document, a question and an answer are, for every store alike.
//!
//! Tools build these from checked arguments, a store translates them into its own terms and back. Nothing here does I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::ToolError;

use crate::{names, vectors::Vectors};

mod answer;
mod asked;
pub(crate) use answer::{Bucket, Counts, Explained, Found, Hit, Listed, Status};
pub(crate) use asked::{By, Group, Order, Question, Sort, View, Wanted};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Prose: found by its words.
    Text,
    /// Program text: found by words, also those inside camelCase and snake_case names.
    Code,
    /// A string that is compared as a whole: found by filters, counted in facets, sorted by.
    Keyword,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// RFC 3339.
    Date,
    /// Numbers that stand for a meaning: found by nearness, with semantic.
    Vector,
    /// A place on the earth, {"lat": 52.5, "lon": 13.4}: filtered by within and box, sorted by near.
    Point,
}

impl Kind {
    /// Whether words of it are searched.
    pub(crate) fn is_prose(self) -> bool {
        matches!(self, Self::Text | Self::Code)
    }

    /// Whether it has an order and can be counted, sorted by and filtered.
    pub(crate) fn is_exact(self) -> bool {
        !self.is_prose() && !matches!(self, Self::Point | Self::Vector)
    }
}

/// How prose is cut into words: by a language, or plain, for names and mixed languages (no stems, no accents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Language {
    #[default]
    Plain,
    Arabic,
    // Chinese, Japanese and Korean. Not described in the schema, which would then describe each language by itself.
    Cjk,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Turkish,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    /// A letter, then letters, digits and _.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Of text; that of the index if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<Language>,
    /// How much a word in it counts, 0.1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boost: Option<f32>,
    /// Of kind vector: its length, measure, and what it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vector: Option<Vectors>,
}

impl Field {
    /// A field without anything special.
    pub(crate) fn of(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, language: None, boost: None, vector: None }
    }
}

/// How near two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// By their directions.
    #[default]
    Cosine,
    /// By their inner product.
    Dot,
    /// By the straight line between them.
    Euclidean,
}

/// Everything about an index that was decided when it was made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Schema {
    pub(crate) fields: Vec<Field>,
    #[serde(default)]
    pub(crate) language: Language,
    /// Groups of words that mean the same; asked for one, all are searched.
    #[serde(default)]
    pub(crate) synonyms: Vec<Vec<String>>,
}

/// Fields of one index.
const FIELDS: usize = 64;

impl Schema {
    /// The schema if it can be.
    pub(crate) fn check(self) -> Result<Self, ToolError> {
        if self.fields.is_empty() || self.fields.len() > FIELDS {
            return Err(ToolError::invalid(format!("an index has 1 to {FIELDS} fields")));
        }
        for (place, field) in self.fields.iter().enumerate() {
            names::field(&field.name)?;
            if self.fields[..place].iter().any(|other| other.name == field.name) {
                return Err(ToolError::invalid(format!("the field {:?} is named twice", field.name)));
            }
            if !field.boost.is_none_or(|boost| (0.1..=100.0).contains(&boost)) {
                return Err(ToolError::invalid(format!("boost of {:?} is between 0.1 and 100", field.name)));
            }
            if field.language.is_some() && field.kind != Kind::Text {
                return Err(ToolError::invalid(format!("{:?} has a language, but only text has one", field.name)));
            }
        }
        let odd = |field: &&Field| field.vector.is_some() && field.kind != Kind::Vector;
        if let Some(field) = self.fields.iter().find(odd) {
            return Err(ToolError::invalid(format!(
                "{:?} is not of kind vector, so vector is not said of it",
                field.name
            )));
        }
        crate::synonyms::check(&self.synonyms)?;
        Ok(self)
    }

    /// A field, or which there are.
    pub(crate) fn field(&self, name: &str) -> Result<&Field, ToolError> {
        self.fields.iter().find(|field| field.name == name).ok_or_else(|| {
            let known: Vec<_> = self.fields.iter().map(|field| field.name.as_str()).collect();
            let shown: String = name.chars().take(80).collect();
            ToolError::invalid(format!("the index has no field {shown:?}"))
                .hint(format!("its fields: {}", known.join(", ")))
        })
    }

    /// A field that can be filtered, counted and sorted by.
    pub(crate) fn exact(&self, name: &str) -> Result<&Field, ToolError> {
        let field = self.field(name)?;
        if field.kind.is_exact() {
            return Ok(field);
        }
        let exact: Vec<_> =
            self.fields.iter().filter(|field| field.kind.is_exact()).map(|field| field.name.as_str()).collect();
        let why = match field.kind {
            Kind::Vector => "of vectors: search it with semantic",
            Kind::Point => "a point: filter it with within or box, and sort with near",
            _ => "prose: search its words with query",
        };
        Err(ToolError::invalid(format!("{name:?} is {why}"))
            .hint(format!("fields that filter, count and sort: {}", exact.join(", "))))
    }

    /// A field that holds points.
    pub(crate) fn point(&self, name: &str) -> Result<&Field, ToolError> {
        let field = self.field(name)?;
        if field.kind == Kind::Point {
            return Ok(field);
        }
        Err(ToolError::invalid(format!("{name:?} holds no points")).hint("create_index makes fields of kind point"))
    }

    /// The fields whose words are searched when the query names none.
    pub(crate) fn prose(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.kind.is_prose())
    }

    /// The fields that are shown where nobody asks for certain ones: all but vectors, which say nothing to a reader.
    pub(crate) fn shown(&self) -> Option<Vec<String>> {
        let readable = |field: &&Field| field.kind != Kind::Vector;
        let shown: Vec<String> = self.fields.iter().filter(readable).map(|field| field.name.clone()).collect();
        (shown.len() < self.fields.len()).then_some(shown)
    }

    /// The language of a field.
    pub(crate) fn language_of(&self, field: &Field) -> Language {
        field.language.unwrap_or(self.language)
    }
}

/// A document as it was given: its fields, none of which is called `id`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) source: Map<String, Value>,
}

/// Why one document of many was not taken.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Failure {
    /// Its place in the list, from 0.
    pub(crate) place: usize,
    pub(crate) id: String,
    pub(crate) why: String,
}

/// What came of writing documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Written {
    pub(crate) indexed: usize,
    pub(crate) failed: Vec<Failure>,
}
