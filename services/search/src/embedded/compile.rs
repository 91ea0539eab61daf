//! Our questions → tantivy's queries. A word is searched in all prose fields, and the best of them counts.

use std::ops::Bound;

use tantivy::{
    Term,
    query::{
        AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, FuzzyTermQuery,
        Occur as Theirs, PhraseQuery, Query, RangeQuery, TermQuery,
    },
    schema::{self, IndexRecordOption},
    tokenizer::TextAnalyzer,
};
use weft_kit::ToolError;

use super::{
    analysis::{self, Word},
    careful::careful,
    near::Near,
    volume::Volume,
};
use crate::{
    filter::{Filter, Test},
    geo::Area,
    model::{Field, Kind, Question, Schema},
    query::{Atom, Node, Occur, What},
};

mod exact;

use exact::{any, beginning, beside, exists, not};

/// What the other fields add to the best one.
const TIE: f32 = 0.1;
type Made = Result<Box<dyn Query>, ToolError>;

/// The query of a question.
pub(crate) fn question(volume: &Volume, question: &Question) -> Made {
    made(&Compiler { volume, schema: &question.schema, explains: false }, question)
}

/// The same, to be explained for one document: every part looks first whether it matches that one, since tantivy's own explanation of
/// a group seeks each part from its first match, which may lie behind.
pub(crate) fn explained(volume: &Volume, question: &Question) -> Made {
    made(&Compiler { volume, schema: &question.schema, explains: true }, question).map(careful)
}

fn made(compiler: &Compiler<'_>, question: &Question) -> Made {
    let asked: Box<dyn Query> = match &question.query {
        Some(node) => compiler.node(node)?,
        None => Box::new(AllQuery),
    };
    if question.filters.is_empty() {
        // Left as it is, so that the best hits are found without scoring all.
        return Ok(asked);
    }
    let mut parts = vec![(Theirs::Must, careful(asked))];
    for filter in &question.filters {
        let query = compiler.filter(filter)?;
        parts.push((Theirs::Must, Box::new(ConstScoreQuery::new(query, 0.0))));
    }
    Ok(Box::new(BooleanQuery::new(parts)))
}

struct Compiler<'v> {
    volume: &'v Volume,
    schema: &'v Schema,
    explains: bool,
}

impl Compiler<'_> {
    /// One of several that a group is made of.
    fn part(&self, query: Box<dyn Query>) -> Box<dyn Query> {
        if self.explains { careful(query) } else { query }
    }

    fn node(&self, node: &Node) -> Made {
        match node {
            Node::Atom(atom) => self.atom(atom),
            Node::All(parts) => {
                let mut made = Vec::with_capacity(parts.len() + 1);
                for (how, part) in parts {
                    let how = match how {
                        Occur::Must => Theirs::Must,
                        Occur::Should => Theirs::Should,
                        Occur::Not => Theirs::MustNot,
                    };
                    let query = self.node(part)?;
                    let nests = matches!(part, Node::All(_)) || how == Theirs::MustNot;
                    made.push((how, if nests { careful(query) } else { self.part(query) }));
                }
                if parts.iter().all(|(how, _)| *how == Occur::Not) {
                    made.push((Theirs::Must, Box::new(AllQuery)));
                }
                Ok(Box::new(BooleanQuery::new(made)))
            }
        }
    }

    fn atom(&self, atom: &Atom) -> Made {
        let mut fields = Vec::new();
        match &atom.field {
            Some(name) => fields.push(self.field(self.schema.field(name)?, atom)?),
            None => {
                for field in self.schema.prose() {
                    fields.push(self.field(field, atom)?);
                }
            }
        }
        let query: Box<dyn Query> = match fields.len() {
            0 => Box::new(EmptyQuery),
            1 => fields.remove(0),
            _ => {
                let fields = fields.into_iter().map(|query| self.part(query)).collect();
                Box::new(DisjunctionMaxQuery::with_tie_breaker(fields, TIE))
            }
        };
        Ok(boosted(query, atom.boost))
    }

    fn field(&self, field: &Field, atom: &Atom) -> Made {
        let place = self.volume.fields.own[&field.name];
        let query = match field.kind {
            Kind::Text | Kind::Code => self.prose(place, &atom.what),
            Kind::Keyword => Ok(keyword(place, &atom.what)),
            Kind::Integer | Kind::Number | Kind::Boolean | Kind::Date => exact_word(field, place, &atom.what),
            Kind::Point | Kind::Vector => Err(wordless(field)),
        }?;
        Ok(boosted(query, field.boost.unwrap_or(1.0)))
    }

    fn prose(&self, place: schema::Field, what: &What) -> Made {
        // The one that the index was made with, not the one that it would be made with today.
        let mut analyzer = self.volume.index.tokenizer_for_field(place).map_err(|error| self.volume.failed(error))?;
        Ok(match what {
            What::Word(text) => phrase(place, analysis::asked(&mut analyzer, text), 0),
            What::Phrase(text, slop) => phrase(place, analysis::asked(&mut analyzer, text), *slop),
            What::Fuzzy(text, distance) => fuzzy(place, &mut analyzer, (text, *distance)),
            What::Prefix(text) => {
                // What is indexed may be a stem, shorter than what was typed: the stem of it is asked as well.
                let stem = phrase(place, analysis::asked(&mut analyzer, text), 0);
                let typed = analysis::cut(&mut analysis::plain(), text);
                let start = typed.last().map_or("", |word| word.text.as_str());
                let begin = FuzzyTermQuery::new_prefix(Term::from_field_text(place, start), 0, true);
                Box::new(BooleanQuery::union(vec![self.part(Box::new(begin)), self.part(stem)]))
            }
        })
    }

    fn filter(&self, filter: &Filter) -> Made {
        let field = self.schema.field(&filter.field)?;
        let place = self.volume.fields.own[&field.name];
        Ok(match &filter.test {
            Test::Any(values) => any(place, values),
            Test::None(values) => not(any(place, values)),
            Test::Side(side, value) => beside(place, *side, value),
            Test::Prefix(start) => beginning(place, start),
            Test::Exists(true) => exists(field, place),
            Test::Exists(false) => not(exists(field, place)),
            Test::Box(area) => self.area(field, *area),
            Test::Within(circle) => {
                let (within, field) = (self.area(field, circle.around()), field.name.clone());
                Box::new(Near { within, field, circle: *circle })
            }
        })
    }

    /// The points in an area: a range of latitudes, and one or two of longitudes.
    fn area(&self, field: &Field, area: Area) -> Box<dyn Query> {
        let between = |place: schema::Field, (from, to): (i64, i64)| -> Box<dyn Query> {
            let term = |step| Bound::Included(Term::from_field_i64(place, step));
            Box::new(RangeQuery::new(term(from), term(to)))
        };
        let (north, east) = area.steps();
        let place = self.volume.fields.east[&field.name];
        let east = BooleanQuery::union(east.into_iter().map(|range| between(place, range)).collect());
        let north = between(self.volume.fields.own[&field.name], north);
        careful(Box::new(BooleanQuery::intersection(vec![north, careful(Box::new(east))])))
    }
}

fn phrase(place: schema::Field, words: Vec<Word>, slop: u32) -> Box<dyn Query> {
    let mut terms: Vec<_> =
        words.into_iter().map(|word| (word.position, Term::from_field_text(place, &word.text))).collect();
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => Box::new(TermQuery::new(terms.remove(0).1, IndexRecordOption::WithFreqs)),
        _ => careful(Box::new(PhraseQuery::new_with_offset_and_slop(terms, slop))),
    }
}

/// Words that are nearly these.
fn fuzzy(place: schema::Field, analyzer: &mut TextAnalyzer, (text, distance): (&str, u8)) -> Box<dyn Query> {
    let (pieces, words): (Vec<_>, Vec<_>) =
        analysis::cut(analyzer, text).into_iter().partition(|word| analysis::is_piece(&word.text));
    let nearly = |word: Word| -> Box<dyn Query> {
        // Of a short stem, two letters are too much of it.
        let most = if word.text.chars().count() > 5 { 2 } else { 1 };
        Box::new(FuzzyTermQuery::new(Term::from_field_text(place, &word.text), most.min(distance), true))
    };
    let mut parts: Vec<Box<dyn Query>> = words.into_iter().map(nearly).collect();
    parts.extend(most_of(place, pieces, usize::from(distance)));
    careful(Box::new(BooleanQuery::intersection(parts)))
}

/// Of writing without spaces, all characters but so many, and the pairs that these leave whole.
fn most_of(place: schema::Field, pieces: Vec<Word>, wrong: usize) -> Vec<Box<dyn Query>> {
    let (pairs, single): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|word| word.text.chars().count() > 1);
    let least = usize::from(single.is_empty());
    [(single, wrong, 1), (pairs, 2 * wrong, least)]
        .into_iter()
        .filter_map(|(words, spoiled, least)| {
            let needed = words.len().saturating_sub(spoiled).max(least.min(words.len()));
            let same = |word| (Theirs::Should, phrase(place, vec![word], 0));
            let words = words.into_iter().map(same).collect();
            (needed > 0).then(|| careful(Box::new(BooleanQuery::with_minimum_required_clauses(words, needed))))
        })
        .collect()
}

fn keyword(place: schema::Field, what: &What) -> Box<dyn Query> {
    let term = |text: &str| Term::from_field_text(place, text);
    match what {
        What::Word(text) | What::Phrase(text, _) => Box::new(TermQuery::new(term(text), IndexRecordOption::Basic)),
        What::Prefix(text) => beginning(place, text),
        What::Fuzzy(text, distance) => Box::new(FuzzyTermQuery::new(term(text), *distance, true)),
    }
}

/// What is said of a field that has no words.
fn wordless(field: &Field) -> ToolError {
    ToolError::invalid(format!("{:?} has no words: points are filtered, vectors sought with semantic", field.name))
}

/// A number, truth or date that is written in the query: `year:2026`.
fn exact_word(field: &Field, place: schema::Field, what: &What) -> Made {
    let (What::Word(text) | What::Phrase(text, _)) = what else {
        return Err(ToolError::invalid(format!("{:?} is no text: give its value whole", field.name)));
    };
    let value = match field.kind {
        Kind::Date => serde_json::Value::String(text.clone()),
        _ => serde_json::from_str(text).unwrap_or_default(),
    };
    let exact = crate::filter::exact(field, &value)
        .map_err(|_| ToolError::invalid(format!("{text:?} is no value of {:?}", field.name)))?;
    Ok(any(place, &[exact]))
}

fn boosted(query: Box<dyn Query>, boost: f32) -> Box<dyn Query> {
    if (boost - 1.0).abs() < f32::EPSILON { query } else { Box::new(BoostQuery::new(query, boost)) }
}
