//! A query → the same query, whose matches are only ever sought forwards and whole.
//!
//! tantivy has a second way to ask whether a document matches (`seek_danger`), which may leave a scorer in between documents, and which
//! some of its callers use out of order: a negated phrase panics in debug builds, and unions once answered with documents that only half
//! match (its issue 3086). What is wrapped here answers that question by plain seeking. Phrases, nested groups and everything that is
//! negated are wrapped; single words, where nearly all time goes, are not.

use tantivy::{
    COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, Score, SegmentReader, TantivyError, Term,
    query::{EnableScoring, Explanation, Query, Scorer, Weight},
};

/// Wraps a query.
pub(crate) fn careful(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(Careful(query))
}

#[derive(Debug)]
struct Careful(Box<dyn Query>);

impl Clone for Careful {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

struct CarefulWeight(Box<dyn Weight>);

struct CarefulScorer(Box<dyn Scorer>);

impl Query for Careful {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(CarefulWeight(self.0.weight(scoring)?)))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.0.query_terms(visitor);
    }
}

impl Weight for CarefulWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(CarefulScorer(self.0.scorer(reader, boost)?)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.0.scorer(reader, 1.0)?;
        if scorer.doc() > doc || scorer.seek(doc) != doc {
            return Err(TantivyError::InvalidArgument(format!("document {doc} does not match")));
        }
        self.0.explain(reader, doc)
    }
}

// All but `seek_danger`, whose provided form asks `doc` and `seek`.
impl DocSet for CarefulScorer {
    fn advance(&mut self) -> DocId {
        self.0.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.seek(target)
    }

    fn fill_buffer(&mut self, buffer: &mut [DocId; COLLECT_BLOCK_BUFFER_LEN]) -> usize {
        self.0.fill_buffer(buffer)
    }

    fn doc(&self) -> DocId {
        self.0.doc()
    }

    fn size_hint(&self) -> u32 {
        self.0.size_hint()
    }

    fn cost(&self) -> u64 {
        self.0.cost()
    }
}

impl Scorer for CarefulScorer {
    fn score(&mut self) -> Score {
        self.0.score()
    }
}
