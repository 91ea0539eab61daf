//! Changes of a collection: one write transaction for each act, so that it is there whole and durable, or not at all.

use heed::{RwTxn, WithoutTls};
use roaring::RoaringBitmap;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use weft_kit::ToolError;

use super::{
    fault::Fault,
    lexicon::Edits,
    posting, select,
    table::{Doc, Number, Sight, Tables, bitmap_bytes},
};
use crate::{
    check, distance,
    model::{Conflict, FieldType, Filter, Outcome, Point, Spec, Which},
    store::Alter,
};

/// Steps between two looks at whether anyone still waits.
const OFTEN: usize = 64;

/// An open change of one collection.
pub(crate) struct Change<'s> {
    tables: &'s Tables,
    txn: RwTxn<'s>,
    spec: Spec,
    live: RoaringBitmap,
    next: u64,
    edits: Edits,
    stop: &'s CancellationToken,
}

impl<'s> Change<'s> {
    pub(crate) fn begin(
        env: &'s heed::Env<WithoutTls>,
        tables: &'s Tables,
        stop: &'s CancellationToken,
    ) -> Result<Self, Fault> {
        let txn = env.write_txn()?;
        let (spec, live, next) = (tables.spec(&txn)?, tables.live(&txn)?, tables.number(&txn, "next")?);
        Ok(Self { tables, txn, spec, live, next, edits: Edits::default(), stop })
    }

    /// Makes it so, for good.
    fn commit(mut self) -> Result<(), Fault> {
        if self.stop.is_cancelled() {
            return Err(Fault::Stopped);
        }
        self.edits.write(self.tables, &mut self.txn)?;
        self.live.optimize();
        self.tables.meta.put(&mut self.txn, "live", &bitmap_bytes(&self.live)?)?;
        self.tables.meta.put(&mut self.txn, "next", &self.next.to_le_bytes())?;
        Ok(self.txn.commit()?)
    }

    pub(crate) fn upsert(mut self, points: Vec<Point>, conflict: Conflict) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = Vec::with_capacity(points.len());
        for (index, point) in points.into_iter().enumerate() {
            self.check(index)?;
            let there = self.tables.ids.get(&self.txn, point.id.as_bytes())?;
            outcomes.push(match (there, conflict) {
                (None, _) => Outcome::Created,
                (Some(_), Conflict::Skip) => Outcome::Skipped,
                (Some(_), Conflict::Error) => return Err(taken(&point.id)),
                (Some(old), Conflict::Replace) => {
                    self.erase(old)?;
                    Outcome::Replaced
                }
            });
            if outcomes.last() != Some(&Outcome::Skipped) {
                self.insert(point)?;
            }
        }
        self.commit()?;
        Ok(outcomes)
    }

    pub(crate) fn delete(mut self, which: &Which) -> Result<u64, Fault> {
        let numbers = self.numbers(which)?;
        for (index, number) in numbers.iter().enumerate() {
            self.check(index)?;
            let id = self.erase(number)?;
            self.tables.ids.delete(&mut self.txn, id.as_bytes())?;
        }
        if !numbers.is_empty() {
            self.commit()?;
        }
        Ok(numbers.len())
    }

    pub(crate) fn update(mut self, which: &Which, set: &Map<String, Value>, unset: &[String]) -> Result<u64, Fault> {
        let numbers = self.numbers(which)?;
        for (index, number) in numbers.iter().enumerate() {
            self.check(index)?;
            let mut doc = self.tables.doc(&self.txn, number)?;
            posting::remove(self.tables, &mut self.txn, &self.spec, number, &doc.metadata)?;
            unset.iter().for_each(|key| drop(doc.metadata.remove(key)));
            doc.metadata.extend(set.clone());
            check::metadata(&doc.metadata, &self.spec.fields)?;
            posting::add(self.tables, &mut self.txn, &self.spec, number, &doc.metadata)?;
            self.put(number, &doc)?;
        }
        if !numbers.is_empty() {
            self.commit()?;
        }
        Ok(numbers.len())
    }

    pub(crate) fn alter(mut self, change: &Alter) -> Result<(), Fault> {
        let Alter { index, add_fields, description } = change;
        if let Some(index) = index {
            // Links and candidates of the graph are what it was built with; how widely it is searched can change.
            self.spec.index.ef_search = index.ef_search;
        }
        if let Some(description) = description {
            self.spec.description = Some(description.clone());
        }
        for (name, kind) in add_fields {
            self.index(name, *kind)?;
        }
        self.tables.put_spec(&mut self.txn, &self.spec)?;
        self.commit()
    }

    /// Indexes a field of all points.
    fn index(&mut self, name: &str, kind: FieldType) -> Result<(), Fault> {
        match self.spec.fields.get(name) {
            Some(same) if *same == kind => return Ok(()),
            Some(_) => {
                let other = format!("the field `{name}` is indexed with another type already");
                return Err(ToolError::conflict(other).into());
            }
            None => {}
        }
        let only = Spec { fields: [(name.to_owned(), kind)].into(), ..self.spec.clone() };
        for (index, number) in self.live.clone().iter().enumerate() {
            self.check(index)?;
            let doc = self.tables.doc(&self.txn, number)?;
            check::metadata(&doc.metadata, &only.fields)?;
            posting::add(self.tables, &mut self.txn, &only, number, &doc.metadata)?;
        }
        self.spec.fields.insert(name.to_owned(), kind);
        Ok(())
    }

    fn insert(&mut self, point: Point) -> Result<(), Fault> {
        let Point { id, vector, text, metadata } = point;
        let number = Number::try_from(self.next).map_err(|_| Fault::Exhausted)?;
        self.next += 1;
        self.tables.ids.put(&mut self.txn, id.as_bytes(), &number)?;
        self.tables.vectors.put(&mut self.txn, &number, &distance::encode(&vector))?;
        posting::add(self.tables, &mut self.txn, &self.spec, number, &metadata)?;
        if let Some(text) = &text {
            self.edits.add(number, text);
        }
        self.live.insert(number);
        self.put(number, &Doc { id, text, metadata })
    }

    fn put(&mut self, number: Number, doc: &Doc) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(doc).map_err(|_| Fault::Broken("a point that is no JSON"))?;
        Ok(self.tables.docs.put(&mut self.txn, &number, &bytes)?)
    }

    /// Takes out everything that is kept under a number, and gives the id that it was for.
    fn erase(&mut self, number: Number) -> Result<String, Fault> {
        let Doc { id, text, metadata } = self.tables.doc(&self.txn, number)?;
        posting::remove(self.tables, &mut self.txn, &self.spec, number, &metadata)?;
        if let Some(text) = text {
            self.edits.remove(number, &text);
        }
        self.tables.docs.delete(&mut self.txn, &number)?;
        self.tables.vectors.delete(&mut self.txn, &number)?;
        self.live.remove(number);
        Ok(id)
    }

    fn numbers(&self, which: &Which) -> Result<RoaringBitmap, Fault> {
        let sight = Sight { tables: self.tables, txn: &self.txn, spec: &self.spec, live: &self.live, stop: self.stop };
        match which {
            Which::Filter(filter) => select::select(sight, filter, &self.live),
            Which::Ids(ids) => select::select(sight, &Filter::Ids(ids.clone()), &self.live),
        }
    }

    fn check(&self, step: usize) -> Result<(), Fault> {
        if step.is_multiple_of(OFTEN) && self.stop.is_cancelled() { Err(Fault::Stopped) } else { Ok(()) }
    }
}

fn taken(id: &str) -> Fault {
    let message = format!("a point with the id `{}` exists; nothing was written", check::shorten(id));
    ToolError::conflict(message).hint("set on_conflict to replace or skip").into()
}
