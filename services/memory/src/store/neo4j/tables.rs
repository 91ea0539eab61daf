//! An empty database → one whose keys are unique and found by an index. Made once, by whoever is first.

use weft_bolt::Map;

use super::{Fault, ask::Graph};

/// How often it is begun again because another instance is at it.
const ROUNDS: usize = 5;

/// Nodes: `Record` is the current version, `Version` each of them, `Term` one word of one record, `Node` what records are about,
/// `Use` how often one was used, `Journal` the number of the last batch, `Change` one record of a batch.
const MADE: [&str; 11] = [
    "CREATE CONSTRAINT memory_record_key IF NOT EXISTS FOR (n:MemoryRecord) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT memory_node_key IF NOT EXISTS FOR (n:MemoryNode) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT memory_use_key IF NOT EXISTS FOR (n:MemoryUse) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT memory_journal_key IF NOT EXISTS FOR (n:MemoryJournal) REQUIRE n.key IS UNIQUE",
    "CREATE INDEX memory_record_space IF NOT EXISTS FOR (n:MemoryRecord) ON (n.space)",
    "CREATE INDEX memory_record_expires IF NOT EXISTS FOR (n:MemoryRecord) ON (n.expires_at)",
    "CREATE INDEX memory_version_record IF NOT EXISTS FOR (n:MemoryVersion) ON (n.record)",
    "CREATE INDEX memory_version_space IF NOT EXISTS FOR (n:MemoryVersion) ON (n.space)",
    "CREATE INDEX memory_term_key IF NOT EXISTS FOR (n:MemoryTerm) ON (n.key)",
    "CREATE INDEX memory_change_seq IF NOT EXISTS FOR (n:MemoryChange) ON (n.seq)",
    "CREATE INDEX memory_change_realm IF NOT EXISTS FOR (n:MemoryChange) ON (n.realm)",
];

/// Makes what is not there.
pub(super) async fn make(graph: &Graph) -> Result<(), Fault> {
    let all = || async {
        for statement in MADE {
            one(graph, statement).await?;
        }
        Ok(())
    };
    graph.made.get_or_try_init(all).await.copied()
}

async fn one(graph: &Graph, statement: &str) -> Result<(), Fault> {
    let mut round = 0;
    loop {
        match graph.rows(statement, &Map::new()).await {
            Err(fault) if fault.is_transient() && round < ROUNDS => round += 1,
            other => return other.map(drop),
        }
    }
}
