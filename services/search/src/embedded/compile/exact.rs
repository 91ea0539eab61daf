//! Conditions on values that are compared as a whole → tantivy's queries.

use std::ops::Bound;

use tantivy::{
    DateTime, Term,
    query::{AllQuery, BooleanQuery, ExistsQuery, FuzzyTermQuery, Occur as Theirs, Query, RangeQuery, TermQuery},
    schema::{self, IndexRecordOption},
};

use crate::{
    embedded::{careful::careful, near},
    filter::{Exact, Side},
    model::{Field, Kind},
};

fn term(place: schema::Field, value: &Exact) -> Term {
    match value {
        Exact::Text(text) => Term::from_field_text(place, text),
        Exact::Integer(number) => Term::from_field_i64(place, *number),
        Exact::Number(number) => Term::from_field_f64(place, *number),
        Exact::Boolean(truth) => Term::from_field_bool(place, *truth),
        Exact::Date(nanos) => Term::from_field_date(place, DateTime::from_timestamp_nanos(*nanos)),
        // Points and vectors are not compared as values: no filter makes one of them.
        Exact::Vector(vector) => Term::from_field_bytes(place, &crate::vectors::bytes(vector)),
        Exact::Point(point) => Term::from_field_i64(place, point.steps().0),
    }
}

pub(super) fn any(place: schema::Field, values: &[Exact]) -> Box<dyn Query> {
    let one = |value: &Exact| -> Box<dyn Query> {
        let term = term(place, value);
        match value {
            // The index of dates is cut to seconds, their column is not.
            Exact::Date(_) => Box::new(RangeQuery::new(Bound::Included(term.clone()), Bound::Included(term))),
            _ => Box::new(TermQuery::new(term, IndexRecordOption::Basic)),
        }
    };
    Box::new(BooleanQuery::union(values.iter().map(one).collect()))
}

pub(super) fn beside(place: schema::Field, side: Side, value: &Exact) -> Box<dyn Query> {
    let term = term(place, value);
    let (lower, upper) = match side {
        Side::Above => (Bound::Excluded(term), Bound::Unbounded),
        Side::From => (Bound::Included(term), Bound::Unbounded),
        Side::Below => (Bound::Unbounded, Bound::Excluded(term)),
        Side::UpTo => (Bound::Unbounded, Bound::Included(term)),
    };
    Box::new(RangeQuery::new(lower, upper))
}

/// Keywords that begin so: those from it to the last one that could.
pub(super) fn beginning(place: schema::Field, start: &str) -> Box<dyn Query> {
    let term = |text: &str| Term::from_field_text(place, text);
    let last = format!("{start}{}", char::MAX);
    Box::new(RangeQuery::new(Bound::Included(term(start)), Bound::Included(term(&last))))
}

pub(super) fn exists(field: &Field, place: schema::Field) -> Box<dyn Query> {
    if field.kind.is_prose() {
        // Prose has no column: any word will do.
        return Box::new(FuzzyTermQuery::new_prefix(Term::from_field_text(place, ""), 0, true));
    }
    let column = if field.kind == Kind::Point { near::columns(&field.name).0 } else { field.name.clone() };
    Box::new(ExistsQuery::new(column, false))
}

pub(super) fn not(query: Box<dyn Query>) -> Box<dyn Query> {
    let parts: Vec<(Theirs, Box<dyn Query>)> =
        vec![(Theirs::Must, Box::new(AllQuery)), (Theirs::MustNot, careful(query))];
    careful(Box::new(BooleanQuery::new(parts)))
}
