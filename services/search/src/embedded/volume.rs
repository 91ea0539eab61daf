//! One index that is open: its schema, its reader, and its writer while something is written.

use std::{
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term, directory::MmapDirectory,
    schema::Value as _,
};
use weft_kit::{Call, ToolError};

use super::{
    analysis,
    convert::{self, Fields},
    shelf,
    similar::Matrices,
    views::Views,
};
use crate::{
    fault,
    model::{Document, Failure, Schema, Status, Written},
    settings::Limits,
};

/// What is said of an index whose words were cut by the rules of before.
const AGED: &str =
    "made when a run of Chinese, Japanese or Korean was one word: reindex into a new index to find parts of it";
/// The file of our schema, beside tantivy's.
const SCHEMA: &str = "weft.json";

/// An open index.
pub(crate) struct Volume {
    place: PathBuf,
    pub(crate) name: String,
    limits: Limits,
    pub(crate) index: Index,
    pub(crate) fields: Fields,
    pub(crate) views: Views,
    pub(crate) matrices: Arc<Matrices>,
    reader: IndexReader,
    schema: RwLock<Arc<Schema>>,
    /// When what is on disk was last looked at.
    seen: Mutex<Seen>,
    writer: Mutex<Option<IndexWriter>>,
    /// When it was used last.
    written: Mutex<Instant>,
}

/// The files that say what there is, by when they were written, and by their inodes: clocks of file systems are coarse, and each of
/// these files is replaced by a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    meta: Option<(SystemTime, u64)>,
    schema: Option<(SystemTime, u64)>,
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Volume {
    /// Makes the files of a new index in an empty directory.
    pub(crate) fn make(place: &Path, schema: &Schema) -> Result<(), ToolError> {
        let text = serde_json::to_vec(schema).map_err(|error| ToolError::internal(&error))?;
        shelf::replace(place, SCHEMA, &text)?;
        let directory = MmapDirectory::open(place).map_err(|error| ToolError::internal(&error))?;
        let builder = Index::builder().schema(convert::build(schema)).tokenizers(analysis::tokenizers());
        builder.open_or_create(directory).map_err(|error| fault::engine("", error))?;
        Ok(())
    }

    /// Opens an index; `None` if there is none.
    pub(crate) fn open(place: &Path, name: &str, limits: Limits) -> Result<Option<Self>, ToolError> {
        if !place.is_dir() {
            return Ok(None);
        }
        let failed = |error| fault::engine(name, error);
        let schema = read_schema(place)?;
        let mut index = Index::open_in_dir(place).map_err(failed)?;
        index.set_tokenizers(analysis::tokenizers());
        let fields = Fields::of(&schema, &index.schema()).map_err(failed)?;
        let seen = Seen::of(place);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(failed)?;
        Ok(Some(Self {
            place: place.to_owned(),
            name: name.to_owned(),
            limits,
            index,
            fields,
            views: Views::default(),
            matrices: Arc::default(),
            reader,
            schema: RwLock::new(Arc::new(schema)),
            seen: Mutex::new(seen),
            writer: Mutex::default(),
            written: Mutex::new(Instant::now()),
        }))
    }

    /// Moves with every commit and every change of the schema, and is another for an index that is made anew.
    pub(crate) fn state(&self) -> Result<String, ToolError> {
        let opstamp = self.index.load_metas().map_err(|error| self.failed(error))?.opstamp;
        let schema = Seen::of(&self.place).schema;
        let schema = schema.and_then(|(time, _)| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        Ok(format!("{opstamp}.{}", schema.unwrap_or_default().as_nanos()))
    }

    /// Looks whether another process has changed it; false if it is gone.
    pub(crate) fn refresh(&self) -> Result<bool, ToolError> {
        let now = Seen::of(&self.place);
        if now.meta.is_none() {
            return Ok(false);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.meta != seen.meta {
            self.reader.reload().map_err(|error| self.failed(error))?;
        }
        if now.schema != seen.schema {
            *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read_schema(&self.place)?);
        }
        *seen = now;
        Ok(true)
    }

    pub(crate) fn failed(&self, error: tantivy::TantivyError) -> ToolError {
        fault::engine(&self.name, error)
    }

    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    pub(crate) fn documents(&self) -> u64 {
        self.searcher().num_docs()
    }

    pub(crate) fn set_synonyms(&self, groups: Vec<Vec<String>>) -> Result<(), ToolError> {
        // Whoever writes to the index is the one who may change how it is asked.
        let _writer = self.writer()?;
        let schema = Schema { synonyms: groups, ..(*self.schema()).clone() };
        let text = serde_json::to_vec(&schema).map_err(|error| ToolError::internal(&error))?;
        shelf::replace(&self.place, SCHEMA, &text)?;
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schema);
        Ok(())
    }

    /// The writer, held until the guard is dropped. It is opened at the first write and then kept.
    fn writer(&self) -> Result<MutexGuard<'_, Option<IndexWriter>>, ToolError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            let bytes = self.limits.writer_bytes.max(16 << 20);
            *writer = Some(self.index.writer_with_num_threads(1, bytes).map_err(|error| self.failed(error))?);
        }
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(writer)
    }

    /// Closes the writer if nothing was written for so long: its threads end, and another process may write.
    pub(crate) fn rest(&self, idle: Duration) {
        self.views.tend();
        self.matrices.tend();
        let Ok(mut writer) = self.writer.try_lock() else { return };
        let since = self.written.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        let resting = writer.take_if(|_| since >= idle);
        if let Some(Err(error)) = resting.map(IndexWriter::wait_merging_threads) {
            tracing::warn!(index = self.name, why = %error, "parts of an index could not be merged");
        }
    }

    /// Does something with the writer and commits it; what fails is undone whole.
    pub(super) fn commit<T>(&self, work: impl FnOnce(&IndexWriter) -> Result<T, ToolError>) -> Result<T, ToolError> {
        let mut guard = self.writer()?;
        let Some(writer) = guard.as_mut() else { return Err(ToolError::unavailable("the index is being closed")) };
        let done = work(writer).and_then(|done| {
            writer.commit().map_err(|error| self.failed(error))?;
            Ok(done)
        });
        match done {
            Ok(done) => {
                self.reader.reload().map_err(|error| self.failed(error))?;
                Ok(done)
            }
            Err(error) => {
                if writer.rollback().is_err() {
                    // A writer that cannot be rolled back is done for; the next write opens another.
                    *guard = None;
                }
                Err(error)
            }
        }
    }

    pub(crate) fn write(&self, call: &Call, documents: Vec<Document>) -> Result<Written, ToolError> {
        let schema = self.schema();
        let mut written = Written::default();
        let (mut ready, mut places) = (Vec::new(), std::collections::HashMap::new());
        for (place, document) in documents.into_iter().enumerate() {
            call.check()?;
            match self.fields.write(&schema, &document, self.limits.document_bytes) {
                Ok(own) => {
                    places.insert(document.id.clone(), ready.len());
                    ready.push((document.id, own));
                }
                Err(why) => written.failed.push(Failure { place, id: document.id, why }),
            }
        }
        written.indexed = ready.len();
        if ready.is_empty() {
            return Ok(written);
        }
        self.commit(|writer| {
            for (place, (id, document)) in ready.into_iter().enumerate() {
                // The last of several with one id stands.
                if places[&id] != place {
                    continue;
                }
                call.check()?;
                writer.delete_term(Term::from_field_text(self.fields.id, &id));
                writer.add_document(document).map_err(|error| self.failed(error))?;
            }
            Ok(())
        })?;
        Ok(written)
    }

    pub(crate) fn get(&self, ids: &[String]) -> Result<Vec<Document>, ToolError> {
        let searcher = self.searcher();
        let addresses = self.addresses(ids)?;
        addresses.into_iter().map(|address| self.read(&searcher, address)).collect()
    }

    /// The document at an address.
    pub(crate) fn read(&self, searcher: &Searcher, address: tantivy::DocAddress) -> Result<Document, ToolError> {
        let stored: TantivyDocument = searcher.doc(address).map_err(|error| self.failed(error))?;
        debug_assert!(stored.get_first(self.fields.id).and_then(|value| value.as_str()).is_some());
        Ok(self.fields.read(&stored))
    }

    /// Where documents are, in the order of the ids; those that are not there are left out.
    pub(crate) fn addresses(&self, ids: &[String]) -> Result<Vec<tantivy::DocAddress>, ToolError> {
        use tantivy::{collector::DocSetCollector, query::TermQuery, schema::IndexRecordOption};
        let searcher = self.searcher();
        let mut found = Vec::new();
        for id in ids {
            let query = TermQuery::new(Term::from_field_text(self.fields.id, id), IndexRecordOption::Basic);
            found.extend(searcher.search(&query, &DocSetCollector).map_err(|error| self.failed(error))?);
        }
        Ok(found)
    }

    pub(crate) fn status(&self) -> Result<Status, ToolError> {
        let searcher = self.searcher();
        let segments = searcher.segment_readers();
        let bytes = searcher.space_usage().map_err(|error| ToolError::internal(&error))?.total().get_bytes();
        Ok(Status {
            index: self.name.clone(),
            documents: searcher.num_docs(),
            deleted: segments.iter().map(|segment| u64::from(segment.num_deleted_docs())).sum(),
            bytes,
            segments: segments.len() as u64,
            visibility: "a write is seen by every search that begins after it was acknowledged".to_owned(),
            health: "green".to_owned(),
            advice: convert::is_aged(&self.index.schema()).then(|| AGED.to_owned()),
        })
    }
}

impl Seen {
    fn of(place: &Path) -> Self {
        let when = |name: &str| {
            let meta = fs::metadata(place.join(name)).ok()?;
            Some((meta.modified().ok()?, meta.ino()))
        };
        Self { meta: when("meta.json"), schema: when(SCHEMA) }
    }
}

fn read_schema(place: &Path) -> Result<Schema, ToolError> {
    let text = fs::read(place.join(SCHEMA))?;
    serde_json::from_slice(&text).map_err(|error| ToolError::internal(&error))
}
