//! Batches → nodes, each batch in one transaction that begins by taking the journal, so that what it checks stays true.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use weft_bolt::{Map, Transaction, Value};

use super::{
    Fault, Neo4j,
    ask::{number, rows, run, with},
    key, keys,
};
use crate::{
    moment::Moment,
    store::{Committed, Index, Refit, Write, bytes},
};

/// How often a batch is begun again because another transaction was in its way.
const ROUNDS: usize = 8;
/// Batches that the journal knows of.
const JOURNAL: i64 = 10_000;

/// What is taken out of the graph when a record is replaced or removed.
const UNFIND: [&str; 2] = [
    "MATCH (r:MemoryRecord)-[:SAYS]->(t:MemoryTerm) WHERE r.key IN $keys DETACH DELETE t",
    "MATCH (r:MemoryRecord)-[x:TOUCHES]->(:MemoryNode) WHERE r.key IN $keys DELETE x",
];
const TOUCHED: &str = "MATCH (r:MemoryRecord)-[:TOUCHES]->(n:MemoryNode) WHERE r.key IN $keys RETURN DISTINCT n.key";
/// What no record is about any more.
const LONELY: &str = "MATCH (n:MemoryNode) WHERE n.key IN $keys AND NOT (n)<-[:TOUCHES]-() DELETE n";
const END: &str = "UNWIND $batch AS w MATCH (v:MemoryVersion) WHERE v.record = w.key AND v.version = w.expected \
     SET v.ended_at = w.recorded_at";
const PUT: &str = "UNWIND $batch AS w MERGE (r:MemoryRecord {key: w.key}) SET r.space = w.space, r.name = w.name, \
     r.version = w.version, r.recorded_at = w.recorded_at, r.expires_at = w.expires_at, r.kind = w.kind, r.doc = w.doc, \
     r.packed = w.packed CREATE (r)-[:VERSION]->(:MemoryVersion {record: w.key, space: w.space, version: w.version, \
     recorded_at: w.recorded_at, doc: w.doc})";
const SAY: &str = "UNWIND $batch AS w MATCH (r:MemoryRecord {key: w.key}) UNWIND w.terms AS term \
     CREATE (r)-[:SAYS]->(:MemoryTerm {key: term})";
const TOUCH: &str = "UNWIND $touched AS w MERGE (n:MemoryNode {key: w.node}) SET n.name = w.name \
     WITH w, n MATCH (r:MemoryRecord {key: w.key}) CREATE (r)-[:TOUCHES]->(n)";

/// Takes the journal for the rest of the transaction, and gives the batch its number.
async fn take(store: &Neo4j, transaction: &mut Transaction) -> Result<i64, Fault> {
    // Setting something first is what takes the lock before the number is read.
    let statement = "MERGE (j:MemoryJournal {key: $prefix}) ON CREATE SET j.seq = 0 SET j.held = $origin \
         WITH j SET j.seq = j.seq + 1 RETURN j.seq";
    let own = with([("prefix", store.prefix.as_str().into()), ("origin", store.origin.as_str().into())]);
    let taken = rows(transaction, statement, &own).await?;
    let seq = taken.first().and_then(|row| row.first()).and_then(Value::as_int);
    seq.ok_or_else(|| Fault::Broken("the journal has no number".to_owned()))
}

/// Notes what a batch wrote.
async fn note(
    store: &Neo4j,
    transaction: &mut Transaction,
    seq: i64,
    space: &str,
    ids: Vec<String>,
) -> Result<(), Fault> {
    let statement = "UNWIND $ids AS id CREATE (:MemoryChange {realm: $prefix, seq: $seq, origin: $origin, space: $space, \
         record: id})";
    let own = with([
        ("ids", ids.into()),
        ("prefix", store.prefix.as_str().into()),
        ("seq", seq.into()),
        ("origin", store.origin.as_str().into()),
        ("space", space.into()),
    ]);
    run(transaction, statement, &own).await
}

pub(super) async fn commit(store: &Neo4j, space: &str, batch: &[Write]) -> Result<Committed, Fault> {
    let mut round = 0;
    loop {
        match attempt(store, space, batch).await {
            Err(fault) if fault.is_transient() && round < ROUNDS => round += 1,
            other => return other,
        }
    }
}

async fn attempt(store: &Neo4j, space: &str, batch: &[Write]) -> Result<Committed, Fault> {
    let own = store.space(space);
    let mut transaction = store.ready().await?.begin().await?;
    let seq = take(store, &mut transaction).await?;
    let ids: Vec<String> = batch.iter().map(|write| write.record.id.clone()).collect();
    if let Some(id) = moved(&mut transaction, &own, batch).await? {
        transaction.rollback().await?;
        return Ok(Committed::Clash(id));
    }
    let left = unfind(&mut transaction, &keys(&own, &ids)).await?;
    let all = batch.iter().map(|write| wire(&own, write)).collect::<Result<Vec<Map>, Fault>>()?;
    let all = with([("batch", all.into())]);
    for statement in [END, PUT, SAY] {
        run(&mut transaction, statement, &all).await?;
    }
    run(&mut transaction, TOUCH, &with([("touched", touched(&own, batch))])).await?;
    run(&mut transaction, LONELY, &with([("keys", left)])).await?;
    note(store, &mut transaction, seq, space, ids).await?;
    transaction.commit().await?;
    Ok(Committed::Done)
}

/// The first that is not at the version that was seen.
async fn moved(transaction: &mut Transaction, space: &str, batch: &[Write]) -> Result<Option<String>, Fault> {
    let ids: Vec<String> = batch.iter().map(|write| write.record.id.clone()).collect();
    let statement = "MATCH (r:MemoryRecord) WHERE r.key IN $keys RETURN r.name, r.version";
    let there = rows(transaction, statement, &with([("keys", keys(space, &ids))])).await?;
    let version = |row: &Vec<Value>| Some((row.first()?.as_str()?.to_owned(), row.get(1)?.as_int()?.unsigned_abs()));
    let there: BTreeMap<String, u64> = there.iter().filter_map(version).collect();
    let is_moved = |write: &&Write| there.get(&write.record.id).copied().unwrap_or(0) != write.expected;
    Ok(batch.iter().find(is_moved).map(|write| write.record.id.clone()))
}

/// Takes the current versions out of what finds them; gives the nodes that they touched.
async fn unfind(transaction: &mut Transaction, keys: &Value) -> Result<Value, Fault> {
    let own = with([("keys", keys.clone())]);
    let left = rows(transaction, TOUCHED, &own).await?;
    for statement in UNFIND {
        run(transaction, statement, &own).await?;
    }
    Ok(Value::List(left.into_iter().flatten().collect()))
}

/// A record as the statements take it.
fn wire(space: &str, write: &Write) -> Result<Map, Fault> {
    let record = &write.record;
    let doc = serde_json::to_string(record).map_err(|error| Fault::Broken(error.to_string()))?;
    let tokens = write.index.iter().flat_map(|index| &index.tokens);
    let packed = write.index.as_ref().and_then(Index::bytes);
    let packed = packed.map_or(Value::Null, |bytes| STANDARD.encode(bytes).into());
    let kind = if record.forgotten { "forgotten" } else { record.kind.name() };
    Ok(with([
        ("key", key(space, &record.id).into()),
        ("space", space.into()),
        ("name", record.id.as_str().into()),
        ("version", number(record.version)),
        ("expected", number(write.expected)),
        ("recorded_at", record.recorded_at.micros().into()),
        ("expires_at", record.expires_at.map_or(Value::Null, |until| until.micros().into())),
        ("kind", kind.into()),
        ("doc", doc.into()),
        ("packed", packed),
        ("terms", tokens.map(|token| key(space, token)).collect::<Vec<_>>().into()),
    ]))
}

/// Each record with each node that it touches.
fn touched(space: &str, batch: &[Write]) -> Value {
    let pair = |write: &Write, node: &String| {
        let record = key(space, &write.record.id);
        with([("key", record.into()), ("node", key(space, node).into()), ("name", node.as_str().into())])
    };
    let all = batch.iter().flat_map(|write| write.nodes.iter().map(move |node| pair(write, node)));
    all.collect::<Vec<Map>>().into()
}

/// Removes all versions of these, and everything that was made of them.
pub(super) async fn erase(store: &Neo4j, space: &str, ids: &[String]) -> Result<u64, Fault> {
    let mut round = 0;
    loop {
        match remove(store, space, ids).await {
            Err(fault) if fault.is_transient() && round < ROUNDS => round += 1,
            other => return other,
        }
    }
}

async fn remove(store: &Neo4j, space: &str, ids: &[String]) -> Result<u64, Fault> {
    let mut transaction = store.ready().await?.begin().await?;
    let seq = take(store, &mut transaction).await?;
    let all = keys(&store.space(space), ids);
    let left = unfind(&mut transaction, &all).await?;
    let own = with([("keys", all)]);
    let versions = "MATCH (v:MemoryVersion) WHERE v.record IN $keys RETURN count(v)";
    let versions = rows(&mut transaction, versions, &own).await?;
    for statement in [
        "MATCH (v:MemoryVersion) WHERE v.record IN $keys DETACH DELETE v",
        "MATCH (r:MemoryRecord) WHERE r.key IN $keys DETACH DELETE r",
        "MATCH (u:MemoryUse) WHERE u.key IN $keys DELETE u",
    ] {
        run(&mut transaction, statement, &own).await?;
    }
    run(&mut transaction, LONELY, &with([("keys", left)])).await?;
    note(store, &mut transaction, seq, space, ids.to_vec()).await?;
    transaction.commit().await?;
    Ok(versions.first().and_then(|row| row.first()).and_then(Value::as_int).unwrap_or(0).unsigned_abs())
}

/// Removes what is past its time, and what nobody will read of the journal.
pub(super) async fn sweep(store: &Neo4j, now: Moment) -> Result<u64, Fault> {
    let graph = store.ready().await?;
    let own = with([("begins", store.space("").into()), ("now", now.micros().into())]);
    let statement = "MATCH (r:MemoryRecord) WHERE r.expires_at <= $now AND r.space STARTS WITH $begins \
         RETURN r.space, r.name LIMIT 1000";
    let past = graph.rows(statement, &own).await?;
    let mut spaces: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &past {
        if let [Value::String(space), Value::String(id)] = row.as_slice()
            && let Some(space) = space.strip_prefix(&store.space(""))
        {
            spaces.entry(space.to_owned()).or_default().push(id.clone());
        }
    }
    for (space, ids) in &spaces {
        erase(store, space, ids).await?;
    }
    let own = with([("prefix", store.prefix.as_str().into()), ("kept", JOURNAL.into())]);
    let old = "MATCH (j:MemoryJournal {key: $prefix}) MATCH (c:MemoryChange) \
         WHERE c.realm = $prefix AND c.seq <= j.seq - $kept DELETE c";
    graph.rows(old, &own).await?;
    Ok(past.len() as u64)
}

/// Replaces the vectors of those that are still at that version.
pub(super) async fn refit(store: &Neo4j, space: &str, batch: &[Refit]) -> Result<(), Fault> {
    let own = store.space(space);
    let one = |refit: &Refit| {
        with([
            ("key", key(&own, &refit.id).into()),
            ("version", number(refit.version)),
            ("packed", STANDARD.encode(bytes(&refit.vector)).into()),
        ])
    };
    let values = with([("batch", batch.iter().map(one).collect::<Vec<Map>>().into())]);
    let statement =
        "UNWIND $batch AS w MATCH (r:MemoryRecord {key: w.key}) WHERE r.version = w.version SET r.packed = w.packed";
    again(store, statement, &values).await
}

/// Adds one to the counter of each.
pub(super) async fn count_use(
    store: &Neo4j,
    space: &str,
    ids: &[String],
    misled: bool,
    at: Moment,
) -> Result<(), Fault> {
    let own = store.space(space);
    let mut ids = ids.to_vec();
    // In one order everywhere, so that two do not wait for each other.
    ids.sort();
    ids.dedup();
    let named = |id: &String| with([("key", key(&own, id).into()), ("name", id.as_str().into())]);
    let values = with([
        ("ids", ids.iter().map(named).collect::<Vec<_>>().into()),
        ("used", i64::from(!misled).into()),
        ("misled", i64::from(misled).into()),
        ("at", at.micros().into()),
    ]);
    let statement = "UNWIND $ids AS w MERGE (u:MemoryUse {key: w.key}) ON CREATE SET u.used = 0, u.misled = 0, u.last = 0 \
         SET u.name = w.name WITH u SET u.used = u.used + $used, u.misled = u.misled + $misled, \
         u.last = CASE WHEN u.last < $at THEN $at ELSE u.last END";
    again(store, statement, &values).await
}

/// Adds one to the recalls of each that is there. They are kept at the record itself: with it they are gone.
pub(super) async fn count_recall(store: &Neo4j, space: &str, ids: &[String], at: Moment) -> Result<(), Fault> {
    let values = with([("keys", keys(&store.space(space), ids)), ("at", at.micros().into())]);
    let statement = "MATCH (r:MemoryRecord) WHERE r.key IN $keys \
         SET r.recalled = coalesce(r.recalled, 0) + 1, r.recalled_at = $at";
    again(store, statement, &values).await
}

/// Runs a statement, again if another transaction was in its way.
async fn again(store: &Neo4j, statement: &str, values: &Map) -> Result<(), Fault> {
    let mut round = 0;
    loop {
        match store.ready().await?.rows(statement, values).await {
            Err(fault) if fault.is_transient() && round < ROUNDS => round += 1,
            other => return other.map(drop),
        }
    }
}
