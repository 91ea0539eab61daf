//! The tables of one collection, and the snapshot of them that every act works on.
//!
//! One LMDB environment per collection: a collection is deleted by removing its folder, which gives the space back at once, and writers
//! of different collections never wait for each other. Points have an internal number besides their id; a point that is replaced
//! gets a new number, so that whatever was derived from a number (the graph above all) stays true for ever.

use std::{path::Path, time::Duration};

use heed::{
    CommitOrAbort, Database, Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls,
    byteorder::BigEndian,
    types::{Bytes, Str, U32},
};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use crate::{
    distance,
    model::{Point, Spec, With},
};

/// A point's internal number.
pub(crate) type Number = u32;

/// The longest that a collection may take to close.
const CLOSING: Duration = Duration::from_secs(10);

/// The tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables {
    /// `spec`, `live`, `next`, `words`.
    pub(crate) meta: Database<'static, Str, Bytes>,
    /// Id → number.
    pub(crate) ids: Database<'static, Bytes, U32<BigEndian>>,
    /// Number → id, text and metadata as JSON.
    pub(crate) docs: Database<'static, U32<BigEndian>, Bytes>,
    /// Number → the exact vector.
    pub(crate) vectors: Database<'static, U32<BigEndian>, Bytes>,
    /// Word and block of numbers → occurrences.
    pub(crate) terms: Database<'static, Bytes, Bytes>,
    /// Field, value and block of numbers → bitmap.
    pub(crate) fields: Database<'static, Bytes, Bytes>,
}

/// What is kept of a point besides its vector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Doc {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub(crate) metadata: Map<String, Value>,
}

/// Opens an environment; the one place that needs `unsafe`.
#[expect(
    unsafe_code,
    reason = "LMDB maps files: the folder is ours alone by the lock on the store, which nobody else opens"
)]
pub(crate) fn environment(folder: &Path, bytes: usize) -> Result<Env<WithoutTls>, Fault> {
    std::fs::create_dir_all(folder)?;
    // A store of this process that is being closed may still link points, and gives up at the next one.
    if let Some(closing) = heed::env_closing_event(folder) {
        closing.wait_timeout(CLOSING);
    }
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(bytes).max_dbs(8).max_readers(256);
    // SAFETY: no other process opens these files (the store's lock), none of ours changes them but through LMDB.
    Ok(unsafe { options.open(folder) }?)
}

impl Tables {
    pub(crate) fn open(env: &Env<WithoutTls>) -> Result<Self, Fault> {
        let txn = env.write_txn()?;
        let made = env.create_databases_and_commit(txn, |open, txn| -> Result<_, heed::Error> {
            Ok(CommitOrAbort::<_, ()>::Commit((
                open.create_database(txn, Some("meta"))?,
                open.create_database(txn, Some("ids"))?,
                open.create_database(txn, Some("docs"))?,
                open.create_database(txn, Some("vectors"))?,
                open.create_database(txn, Some("terms"))?,
                open.create_database(txn, Some("fields"))?,
            )))
        })?;
        let (meta, ids, docs, vectors, terms, fields) = made.commit().ok_or(Fault::Broken("the tables"))?;
        Ok(Self { meta, ids, docs, vectors, terms, fields })
    }

    pub(crate) fn spec(&self, txn: &RoTxn<'_>) -> Result<Spec, Fault> {
        let bytes = self.meta.get(txn, "spec")?.ok_or(Fault::Broken("no spec"))?;
        serde_json::from_slice(bytes).map_err(|_| Fault::Broken("the spec"))
    }

    pub(crate) fn put_spec(&self, txn: &mut RwTxn<'_>, spec: &Spec) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(spec).map_err(|_| Fault::Broken("a spec that is no JSON"))?;
        Ok(self.meta.put(txn, "spec", &bytes)?)
    }

    pub(crate) fn live(&self, txn: &RoTxn<'_>) -> Result<RoaringBitmap, Fault> {
        match self.meta.get(txn, "live")? {
            None => Ok(RoaringBitmap::new()),
            Some(bytes) => bitmap(bytes),
        }
    }

    pub(crate) fn number(&self, txn: &RoTxn<'_>, key: &str) -> Result<u64, Fault> {
        let bytes = self.meta.get(txn, key)?;
        bytes.map_or(Ok(0), |bytes| bytes.try_into().map(u64::from_le_bytes).map_err(|_| Fault::Broken("a number")))
    }

    pub(crate) fn doc(&self, txn: &RoTxn<'_>, number: Number) -> Result<Doc, Fault> {
        let bytes = self.docs.get(txn, &number)?.ok_or(Fault::Broken("a point without its document"))?;
        serde_json::from_slice(bytes).map_err(|_| Fault::Broken("a document"))
    }

    pub(crate) fn vector<'t>(&self, txn: &'t RoTxn<'_>, number: Number) -> Result<&'t [u8], Fault> {
        self.vectors.get(txn, &number)?.ok_or(Fault::Broken("a point without its vector"))
    }

    /// The point of a number, with what was asked for.
    pub(crate) fn point(&self, txn: &RoTxn<'_>, number: Number, with: With) -> Result<Point, Fault> {
        let doc = self.doc(txn, number)?;
        Ok(Point {
            id: doc.id,
            vector: if with.vector { distance::decode(self.vector(txn, number)?) } else { Vec::new() },
            text: doc.text.filter(|_| with.text),
            metadata: if with.metadata { doc.metadata } else { Map::new() },
        })
    }
}

/// Reads a bitmap.
pub(crate) fn bitmap(bytes: &[u8]) -> Result<RoaringBitmap, Fault> {
    RoaringBitmap::deserialize_from(bytes).map_err(|_| Fault::Broken("a bitmap"))
}

/// Writes a bitmap.
pub(crate) fn bitmap_bytes(bitmap: &RoaringBitmap) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes)?;
    Ok(bytes)
}

/// One consistent state of a collection, and whether anyone still waits for the answer.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) txn: &'a RoTxn<'a>,
    pub(crate) spec: &'a Spec,
    pub(crate) live: &'a RoaringBitmap,
    pub(crate) stop: &'a CancellationToken,
}

impl Sight<'_> {
    /// Fails when the work should stop. Cheap enough for every step.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.stop.is_cancelled() { Err(Fault::Stopped) } else { Ok(()) }
    }
}
