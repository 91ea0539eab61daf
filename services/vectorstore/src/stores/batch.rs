//! What one batch means when ids repeat in it: the points to be written, each id once, and the outcome of every given one.
//!
//! A batch acts as if its points were written one after the other. Engines do not: PostgreSQL refuses to update a row twice in one
//! statement, Chroma refuses repeated ids, Qdrant takes the last. So repetition is settled here, before any of them sees it.

use std::collections::{BTreeMap, HashSet};

use weft_kit::ToolError;

use crate::model::{Conflict, Outcome, Point};

/// A batch without repetitions.
pub(crate) struct Batch {
    /// Each id once, in the order of the ids: two batches that overlap lock their rows in the same order.
    pub(crate) points: Vec<Point>,
    /// The ids as they were given.
    given: Vec<String>,
    conflict: Conflict,
}

impl Batch {
    /// Fails with `conflict` if an id is repeated and that is an error.
    pub(crate) fn new(points: Vec<Point>, conflict: Conflict) -> Result<Self, ToolError> {
        let given: Vec<String> = points.iter().map(|point| point.id.clone()).collect();
        let mut once: BTreeMap<String, Point> = BTreeMap::new();
        for point in points {
            match conflict {
                Conflict::Replace => drop(once.insert(point.id.clone(), point)),
                Conflict::Skip => drop(once.entry(point.id.clone()).or_insert(point)),
                Conflict::Error if once.contains_key(&point.id) => return Err(taken(&point.id)),
                Conflict::Error => drop(once.insert(point.id.clone(), point)),
            }
        }
        Ok(Self { points: once.into_values().collect(), given, conflict })
    }

    /// What became of each given point, knowing which ids were there before. Fails with `conflict` where that is an error.
    pub(crate) fn outcomes(&self, existed: &HashSet<String>) -> Result<Vec<Outcome>, ToolError> {
        let mut seen: HashSet<&str> = HashSet::new();
        let outcome = |id: &'_ String, first: bool| match (first && !existed.contains(id), self.conflict) {
            (true, _) => Ok(Outcome::Created),
            (false, Conflict::Replace) => Ok(Outcome::Replaced),
            (false, Conflict::Skip) => Ok(Outcome::Skipped),
            (false, Conflict::Error) => Err(taken(id)),
        };
        self.given.iter().map(|id| outcome(id, seen.insert(id))).collect()
    }

    /// The points that still have to be written, knowing which ids were there before.
    pub(crate) fn missing(self, existed: &HashSet<String>) -> Vec<Point> {
        let keep = |point: &Point| self.conflict != Conflict::Skip || !existed.contains(&point.id);
        self.points.into_iter().filter(keep).collect()
    }
}

fn taken(id: &str) -> ToolError {
    ToolError::conflict(format!("the id `{id}` is taken, nothing was written"))
        .hint("choose another id, or set `on_conflict` to `replace` or `skip`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: &[&str], conflict: Conflict) -> Result<Batch, ToolError> {
        let points = ids.iter().zip([1.0, 2.0, 3.0, 4.0]);
        let points = points.map(|(id, x)| Point { id: (*id).to_owned(), vector: vec![x], ..Point::default() });
        Batch::new(points.collect(), conflict)
    }

    #[test]
    fn the_last_of_a_repeated_id_stands_when_it_replaces() {
        let batch = batch(&["b", "a", "b"], Conflict::Replace).unwrap();
        let outcomes = batch.outcomes(&HashSet::from(["a".to_owned()])).unwrap();
        assert_eq!(outcomes, [Outcome::Created, Outcome::Replaced, Outcome::Replaced]);
        assert_eq!(batch.points.iter().map(|point| point.vector[0]).collect::<Vec<_>>(), [2.0, 3.0]);
    }

    #[test]
    fn the_first_of_a_repeated_id_stands_when_it_is_skipped() {
        let batch = batch(&["b", "a", "b"], Conflict::Skip).unwrap();
        let existed = HashSet::from(["a".to_owned()]);
        assert_eq!(batch.outcomes(&existed).unwrap(), [Outcome::Created, Outcome::Skipped, Outcome::Skipped]);
        assert_eq!(batch.missing(&existed).iter().map(|point| point.vector[0]).collect::<Vec<_>>(), [1.0]);
    }

    #[test]
    fn a_taken_id_refuses_the_batch_when_it_is_an_error() {
        assert_eq!(batch(&["b", "b"], Conflict::Error).err().unwrap().code(), "conflict");
        let batch = batch(&["a", "b"], Conflict::Error).unwrap();
        assert_eq!(batch.outcomes(&HashSet::from(["b".to_owned()])).unwrap_err().code(), "conflict");
    }
}
