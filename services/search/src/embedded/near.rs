//! Points in a circle: a box of two ranges finds those that may lie in it, and each of them is measured.
//!
//! tantivy has no points. Two columns of steps (`geo.rs`) hold them; this query narrows what the box finds, only ever going forwards.

use tantivy::{
    DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError,
    columnar::Column,
    query::{EnableScoring, Explanation, Query, Scorer, Weight},
};

use crate::geo::{Circle, Point};

/// The names of the columns of a point.
pub(crate) fn columns(name: &str) -> (String, String) {
    (format!("_lat_{name}"), format!("_lon_{name}"))
}

/// The points of one segment.
#[derive(Clone)]
pub(crate) struct Points(Column<i64>, Column<i64>);

impl Points {
    pub(crate) fn open(reader: &SegmentReader, name: &str) -> tantivy::Result<Self> {
        let (lat, lon) = columns(name);
        let columns = reader.fast_fields();
        Ok(Self(columns.i64(&lat)?, columns.i64(&lon)?))
    }

    /// The point of a document, as it is kept.
    pub(crate) fn of(&self, doc: DocId) -> Option<Point> {
        Some(Point::of((self.0.first(doc)?, self.1.first(doc)?)))
    }
}

/// A circle, and what finds the box around it.
#[derive(Debug)]
pub(crate) struct Near {
    pub(crate) within: Box<dyn Query>,
    pub(crate) field: String,
    pub(crate) circle: Circle,
}

impl Clone for Near {
    fn clone(&self) -> Self {
        Self { within: self.within.box_clone(), field: self.field.clone(), circle: self.circle }
    }
}

struct NearWeight {
    within: Box<dyn Weight>,
    field: String,
    circle: Circle,
}

struct NearScorer {
    within: Box<dyn Scorer>,
    points: Points,
    circle: Circle,
}

impl Query for Near {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let within = self.within.weight(scoring)?;
        Ok(Box::new(NearWeight { within, field: self.field.clone(), circle: self.circle }))
    }
}

impl Weight for NearWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let within = self.within.scorer(reader, boost)?;
        let points = Points::open(reader, &self.field)?;
        let mut scorer = NearScorer { within, points, circle: self.circle };
        scorer.settle();
        Ok(Box::new(scorer))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(reader, 1.0)?;
        if scorer.doc() > doc || scorer.seek(doc) != doc {
            return Err(TantivyError::InvalidArgument(format!("document {doc} does not match")));
        }
        Ok(Explanation::new("within the circle", 1.0))
    }
}

impl NearScorer {
    /// Goes on until the document lies in the circle.
    fn settle(&mut self) -> DocId {
        loop {
            let doc = self.within.doc();
            if doc == TERMINATED {
                return doc;
            }
            let point = self.points.of(doc);
            if point.is_some_and(|point| self.circle.centre().metres(point) <= self.circle.metres) {
                return doc;
            }
            self.within.advance();
        }
    }
}

// All but `seek_danger`, whose provided form asks `doc` and `seek`: see `careful.rs`.
impl DocSet for NearScorer {
    fn advance(&mut self) -> DocId {
        self.within.advance();
        self.settle()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.within.doc() < target {
            self.within.seek(target);
        }
        self.settle()
    }

    fn doc(&self) -> DocId {
        self.within.doc()
    }

    fn size_hint(&self) -> u32 {
        self.within.size_hint()
    }

    fn cost(&self) -> u64 {
        self.within.cost()
    }
}

impl Scorer for NearScorer {
    fn score(&mut self) -> Score {
        1.0
    }
}
