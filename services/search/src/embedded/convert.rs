//! Our schema and documents ⇄ tantivy's.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tantivy::{
    DateTime, TantivyDocument,
    schema::{
        self, DateOptions, DateTimePrecision, FAST, INDEXED, IndexRecordOption, STORED, STRING, TextFieldIndexing,
        TextOptions, Value as _,
    },
};

use super::{analysis, near};
use crate::{
    filter::{self, Exact},
    model::{Document, Field, Kind, Schema},
    vectors,
};

/// Bytes of one keyword: an index takes no longer words.
const KEYWORD: usize = 32_000;

/// The fields of an index as tantivy knows them.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) id: schema::Field,
    pub(crate) source: schema::Field,
    /// Words of all prose as people write them, for suggestions.
    pub(crate) words: schema::Field,
    /// Of a point, its latitude.
    pub(crate) own: HashMap<String, schema::Field>,
    /// The longitudes of points.
    pub(crate) east: HashMap<String, schema::Field>,
}

/// The schema that tantivy is given.
pub(crate) fn build(own: &Schema) -> schema::Schema {
    let mut builder = schema::Schema::builder();
    builder.add_text_field("_id", STRING | STORED | FAST);
    builder.add_text_field("_source", STORED);
    let words = TextFieldIndexing::default()
        .set_tokenizer(analysis::WORDS)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    builder.add_text_field("_words", TextOptions::default().set_indexing_options(words));
    for field in &own.fields {
        let name = &field.name;
        match field.kind {
            Kind::Text | Kind::Code => builder.add_text_field(name, prose(&tokenizer(own, field))),
            Kind::Keyword => builder.add_text_field(name, STRING | FAST),
            Kind::Integer => builder.add_i64_field(name, INDEXED | FAST),
            Kind::Number => builder.add_f64_field(name, INDEXED | FAST),
            Kind::Boolean => builder.add_bool_field(name, INDEXED | FAST),
            Kind::Date => {
                let options = DateOptions::from(INDEXED | FAST).set_precision(DateTimePrecision::Nanoseconds);
                builder.add_date_field(name, options)
            }
            Kind::Vector => builder.add_bytes_field(name, FAST),
            Kind::Point => {
                let (lat, lon) = near::columns(name);
                builder.add_i64_field(&lon, FAST);
                builder.add_i64_field(&lat, FAST)
            }
        };
    }
    builder.build()
}

fn prose(tokenizer: &str) -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    TextOptions::default().set_indexing_options(indexing)
}

/// The tokenizer of a prose field of a new index.
fn tokenizer(own: &Schema, field: &Field) -> String {
    if field.kind == Kind::Code { analysis::of_code() } else { analysis::of_prose(own.language_of(field)) }
}

/// Whether words are cut by the rules of before: an index keeps those that it was made with.
pub(crate) fn is_aged(theirs: &schema::Schema) -> bool {
    let indexing = |entry: &schema::FieldEntry| match entry.field_type() {
        schema::FieldType::Str(options) => options.get_indexing_options().cloned(),
        _ => None,
    };
    let prose = theirs.fields().filter(|(_, entry)| !entry.name().starts_with('_'));
    let mut tokenizers = prose.filter_map(|(_, entry)| Some(indexing(entry)?.tokenizer().to_owned()));
    tokenizers.any(|name| name != analysis::KEYWORD && !analysis::is_current(&name))
}

impl Fields {
    /// The fields of an index that was made with [`build`].
    pub(crate) fn of(own: &Schema, theirs: &schema::Schema) -> Result<Self, tantivy::TantivyError> {
        let get = |name: &str| theirs.get_field(name);
        let (mut named, mut east) = (HashMap::new(), HashMap::new());
        for field in &own.fields {
            let name = field.name.clone();
            if field.kind == Kind::Point {
                let (lat, lon) = near::columns(&name);
                east.insert(name.clone(), get(&lon)?);
                named.insert(name, get(&lat)?);
            } else {
                named.insert(name, get(&field.name)?);
            }
        }
        Ok(Self { id: get("_id")?, source: get("_source")?, words: get("_words")?, own: named, east })
    }

    /// A document for tantivy, or why it does not fit the schema.
    pub(crate) fn write(&self, schema: &Schema, document: &Document, most: usize) -> Result<TantivyDocument, String> {
        let source = serde_json::to_string(&document.source).map_err(|error| error.to_string())?;
        if source.len() > most {
            return Err(format!("the document has {} bytes, more than {most}: split it", source.len()));
        }
        let mut written = TantivyDocument::default();
        written.add_text(self.id, &document.id);
        for (name, value) in &document.source {
            let Some(field) = schema.fields.iter().find(|field| field.name == *name) else {
                return Err(format!("the index has no field {name:?}"));
            };
            let values = filter::values(field, value).map_err(|why| format!("{name}: {why}"))?;
            for value in values.iter().filter(|value| !value.is_null()) {
                self.add(&mut written, field, value).map_err(|why| format!("{name}: {why}"))?;
            }
        }
        written.add_text(self.source, source);
        Ok(written)
    }

    fn add(&self, written: &mut TantivyDocument, field: &Field, value: &Value) -> Result<(), String> {
        let place = self.own[&field.name];
        match filter::exact(field, value)? {
            Exact::Text(text) if field.kind.is_prose() => {
                written.add_text(self.words, &text);
                written.add_text(place, text);
            }
            Exact::Text(text) if text.len() > KEYWORD => {
                return Err(format!("a keyword has at most {KEYWORD} bytes; long texts are of kind text"));
            }
            Exact::Text(text) => written.add_text(place, text),
            Exact::Integer(number) => written.add_i64(place, number),
            Exact::Number(number) => written.add_f64(place, number),
            Exact::Boolean(truth) => written.add_bool(place, truth),
            Exact::Date(nanos) => written.add_date(place, DateTime::from_timestamp_nanos(nanos)),
            Exact::Vector(vector) => written.add_bytes(place, &vectors::bytes(&vector)),
            Exact::Point(point) => {
                let (lat, lon) = point.steps();
                written.add_i64(place, lat);
                written.add_i64(self.east[&field.name], lon);
            }
        }
        Ok(())
    }

    /// A document as it was given.
    pub(crate) fn read(&self, stored: &TantivyDocument) -> Document {
        let text = |field| stored.get_first(field).and_then(|value| value.as_str()).unwrap_or_default();
        let source: Map<String, Value> = serde_json::from_str(text(self.source)).unwrap_or_default();
        Document { id: text(self.id).to_owned(), source }
    }
}
