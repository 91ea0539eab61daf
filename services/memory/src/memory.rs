//! The state behind the tools: reads and writes of one caller, with the loop that makes concurrent writers lose nothing.
//!
//! A change is a function from what is there to what shall be. It is written only if what is there has not moved meanwhile, and made
//! again from the new state if it has; a caller that said which version it saw (`if_match`) is told instead.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use weft_embed::Embedder;
use weft_kit::{Call, Changes, ToolError, span::backend};

use crate::{
    filter::Filter,
    meaning,
    model::{Kind, Record, Trust},
    moment::{Clock, Moment},
    settings::{Settings, StoreSettings},
    shown,
    space::{self, Space},
    store::{Committed, Embedded, Neo4j, Postgres, Redis, Store, Write},
    teller::Teller,
};

mod attend;
mod put;
mod recalls;

use self::recalls::Recalls;

/// How often a change is made again because another writer was first.
const ROUNDS: u64 = 64;

/// Memory, as the tools see it.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Settings,
    pub(crate) embedder: Arc<dyn Embedder>,
    /// Tells episodes, if there is one.
    pub(crate) teller: Option<Teller>,
    /// What calls were shown and is not counted yet.
    pub(crate) recalls: Recalls,
    changes: Changes,
    clock: Clock,
}

/// What is there now, by id.
pub(crate) type Present = BTreeMap<String, Record>;

/// What [`Memory::change`] did.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// As written, in the order given.
    pub(crate) written: Vec<Record>,
}

impl Memory {
    /// Opens the store. A server that is away is no fault: it is reached when it is first needed.
    pub(crate) fn open(settings: Settings, state: &Path, changes: Changes) -> Result<Self, anyhow::Error> {
        anyhow::ensure!(
            settings.half_life_days.is_finite() && settings.half_life_days > 0.0,
            "half_life_days must be more than 0"
        );
        let store: Arc<dyn Store> = match &settings.store {
            StoreSettings::Embedded => Arc::new(Embedded::open(&state.join("memory.db"))?),
            StoreSettings::File { path } => Arc::new(Embedded::open(path)?),
            StoreSettings::Postgres { url, schema, pool } => Arc::new(Postgres::open(url, schema, *pool)?),
            StoreSettings::Redis { url, prefix, pool } => Arc::new(Redis::open(url, prefix, *pool)?),
            StoreSettings::Neo4j(own) => Arc::new(Neo4j::open(own)?),
        };
        let teller = settings.model.as_ref().map(Teller::open).transpose()?;
        let embedder = meaning::open(settings.embedder.as_ref())?;
        Ok(Self { store, settings, embedder, teller, recalls: Recalls::default(), changes, clock: Clock::default() })
    }

    /// Waits for a store, as long as the call lives, and counts how long it took and how it ended.
    pub(crate) async fn observe<T>(
        &self,
        call: &Call,
        work: impl Future<Output = Result<T, ToolError>>,
    ) -> Result<T, ToolError> {
        let cancelled = async { call.run(work).await.and_then(|out| out) };
        self.measure(call, cancelled).await
    }

    /// Like [`observe`](Self::observe), to the end whether or not anyone waits: what is half written must not be.
    async fn measure<T>(&self, call: &Call, work: impl Future<Output = Result<T, ToolError>>) -> Result<T, ToolError> {
        let about = || {
            let about = vec![
                ("db.system.name", system(self.store.kind()).into()),
                ("db.operation.name", call.tool().to_owned().into()),
            ];
            (format!("{} {}", call.tool(), self.store.kind()).into(), about)
        };
        let start = Instant::now();
        // In a box: each layer around it would carry its room again.
        let outcome = backend(about, |error: &ToolError| error.code().to_owned().into(), Box::pin(work)).await;
        let labels = [
            ("store", self.store.kind().to_owned()),
            ("tool", call.tool().to_owned()),
            ("error_type", outcome.as_ref().err().map(|error| error.code().to_owned()).unwrap_or_default()),
        ];
        metrics::histogram!(weft_kit::names::MEMORY_OPERATION_DURATION.name, &labels)
            .record(start.elapsed().as_secs_f64());
        outcome
    }

    /// All partitions that the caller may read.
    pub(crate) fn readable(&self, call: &Call) -> Vec<Space> {
        Space::readable(call, &self.settings.share)
    }

    /// The record with that id, in the nearest partition that has it live; forgotten ones only if `dead`.
    pub(crate) async fn find(&self, call: &Call, id: &str, dead: bool) -> Result<(Space, Record), ToolError> {
        space::check_id(id)?;
        let ids = [id.to_owned()];
        let now = Moment::now();
        let mut ended = None;
        for space in self.readable(call) {
            let found = self.observe(call, self.store.get(&space.key(), &ids)).await?;
            let Some(record) = found.into_iter().find(|record| record.expires_at.is_none_or(|until| until > now))
            else {
                continue;
            };
            if !record.forgotten {
                return Ok((space, record));
            }
            // One that is forgotten must not hide one of the same id that is not.
            ended = ended.or(dead.then_some((space, record)));
        }
        ended.ok_or_else(|| missing(id))
    }

    /// Like [`find`](Self::find), for a change: only in what the caller owns.
    pub(crate) async fn find_own(&self, call: &Call, id: &str) -> Result<(Space, Record), ToolError> {
        let (space, record) = self.find(call, id, true).await?;
        if space.namespace != call.namespace() {
            return Err(ToolError::refused(format!(
                "{id} is shared by another namespace: it can be read, not changed"
            )));
        }
        Ok((space, record))
    }

    /// Makes `make` true of the records `ids` of a partition, all of them or none.
    pub(crate) async fn change<F>(
        &self,
        call: &Call,
        space: &Space,
        ids: &[String],
        make: F,
    ) -> Result<Changed, ToolError>
    where
        F: Fn(&Present) -> Result<Vec<Record>, ToolError>,
    {
        let key = space.key();
        for round in 0..ROUNDS {
            call.check()?;
            let found = self.observe(call, self.store.get(&key, ids)).await?;
            let present: Present = found.into_iter().map(|record| (record.id.clone(), record)).collect();
            let mut batch = self.next_versions(&present, make(&present)?);
            if batch.is_empty() {
                return Ok(Changed { written: Vec::new() });
            }
            self.check_room(call, &key, &batch).await?;
            self.fill(call, &key, &mut batch).await?;
            let written: Vec<Record> = batch.iter().map(|write| write.record.clone()).collect();
            match self.measure(call, self.store.commit(&key, batch)).await? {
                Committed::Done => {
                    self.publish(&key, written.iter().map(|record| record.id.as_str()));
                    return Ok(Changed { written });
                }
                Committed::Clash(id) => {
                    metrics::counter!(weft_kit::names::MEMORY_CONFLICTS.name, "store" => self.store.kind())
                        .increment(1);
                    tracing::debug!(id, round, "another writer was first");
                    self.give_way(call, round).await?;
                }
            }
        }
        Err(ToolError::conflict("others keep changing the same records").hint("try again in a moment").retryable())
    }

    /// Waits a little, longer each time and not as long as others do.
    async fn give_way(&self, call: &Call, round: u64) -> Result<(), ToolError> {
        let dice = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
        let wait = std::time::Duration::from_micros(200 + dice * 40 * (round + 1).min(16));
        call.run(tokio::time::sleep(wait)).await
    }

    fn next_versions(&self, present: &Present, records: Vec<Record>) -> Vec<Write> {
        let next = |mut record: Record| {
            let before = present.get(&record.id);
            let expected = before.map_or(0, |before| before.version);
            record.version = expected + 1;
            record.recorded_at = self.clock.after(before.map(|before| before.recorded_at));
            Write::after(expected, record)
        };
        records.into_iter().map(next).collect()
    }

    /// Removes records for good.
    pub(crate) async fn erase(&self, call: &Call, space: &Space, ids: &[String]) -> Result<u64, ToolError> {
        let key = space.key();
        let removed = self.measure(call, self.store.erase(&key, ids)).await?;
        self.publish(&key, ids.iter().map(String::as_str));
        Ok(removed)
    }

    fn publish<'a>(&self, key: &str, ids: impl Iterator<Item = &'a str>) {
        for id in ids {
            self.changes.updated(&space::record_uri_of(key, id));
        }
        self.changes.updated(&space::uri_of(key));
    }

    /// Current records of all readable partitions, newest first.
    pub(crate) async fn newest(
        &self,
        call: &Call,
        before: Option<&(Moment, String)>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<(Space, Record)>, ToolError> {
        let mut found = Vec::new();
        for space in self.readable(call) {
            let own = self.observe(call, self.store.newest(&space.key(), before, filter, limit)).await?;
            found.extend(own.into_iter().map(|record| (space.clone(), record)));
        }
        found.sort_by(|(_, left), (_, right)| (right.recorded_at, &right.id).cmp(&(left.recorded_at, &left.id)));
        found.truncate(limit);
        Ok(found)
    }

    /// A time for a record that is not made by [`change`](Self::change).
    pub(crate) fn now(&self) -> Moment {
        self.clock.after(None)
    }

    /// Fails if what is new would be too much. Proofs of erasures are always written.
    async fn check_room(&self, call: &Call, key: &str, batch: &[Write]) -> Result<(), ToolError> {
        let is_new = |write: &&Write| write.expected == 0 && write.record.kind != Kind::Erasure;
        let new = batch.iter().filter(is_new).count() as u64;
        if new == 0 {
            return Ok(());
        }
        let present = self.observe(call, self.store.count(key)).await?;
        if present.saturating_add(new) <= self.settings.records {
            return Ok(());
        }
        Err(ToolError::new("memory_full", format!("memory is full: {present} of {} records", self.settings.records))
            .hint("forget with mode=erase makes room"))
    }
}

/// What a record that does not exist, or that the caller may not see, looks like.
pub(crate) fn missing(id: &str) -> ToolError {
    ToolError::not_found(format!("there is no record {id:?}")).hint("search or list tells the ids")
}

/// Fails unless the record is at the version that the caller saw.
pub(crate) fn check_match(record: &Record, if_match: u64) -> Result<(), ToolError> {
    if record.version == if_match {
        return Ok(());
    }
    let Record { id, version, by, recorded_at, .. } = record;
    let said = match record.trust {
        Trust::Quarantined => " (quarantined; get shows it)".to_owned(),
        trust => format!("{}: {:?}", shown::mark(trust), record.text.chars().take(200).collect::<String>()),
    };
    Err(ToolError::conflict(format!(
        "{id} is at version {version}, not {if_match}: {by} wrote it at {recorded_at}{said}"
    ))
    .hint(format!("join your change with that and send if_match={}", record.version)))
}

/// Whether a caller may write records of this kind as they are.
pub(crate) fn check_kind(kind: Kind) -> Result<(), ToolError> {
    if kind.is_plain() {
        return Ok(());
    }
    Err(ToolError::invalid(format!("{} is no kind to store", kind.name()))
        .hint("fact, event, preference, procedure or note; link makes links, session_append turns"))
}

/// The store as traces call it (OpenTelemetry, `db.system.name`).
fn system(kind: &'static str) -> &'static str {
    let names = [("postgres", "postgresql"), ("embedded", "sqlite")];
    names.iter().find(|(own, _)| *own == kind).map_or(kind, |(_, name)| name)
}
