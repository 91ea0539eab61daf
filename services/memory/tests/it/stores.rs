//! Every store that runs here, each empty: embedded always, PostgreSQL, Redis and a graph database where they are installed.

use std::sync::atomic::{AtomicU32, Ordering};

use weft_kit::Reference;
use weft_memory::{Neo4jSettings, Settings, StoreSettings};

static NEXT: AtomicU32 = AtomicU32::new(0);

fn number() -> String {
    format!("{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A schema of its own in PostgreSQL.
pub(crate) fn postgres() -> Option<Settings> {
    let url = Reference::Text(weft_testkit::postgres()?.url("postgres"));
    let store = StoreSettings::Postgres { url, schema: format!("memory_{}", number()), pool: 8 };
    Some(Settings { store, ..Settings::default() })
}

/// Keys of its own in Redis.
pub(crate) fn redis() -> Option<Settings> {
    let url = Reference::Text(weft_testkit::redis()?.to_owned());
    let store = StoreSettings::Redis { url, prefix: format!("memory:{}", number()), pool: 8 };
    Some(Settings { store, ..Settings::default() })
}

/// A prefix of its own in a graph database.
pub(crate) fn neo4j() -> Option<Settings> {
    let own = Neo4jSettings { prefix: format!("memory_{}", number()), ..Neo4jSettings::new(weft_testkit::bolt()?) };
    Some(Settings { store: StoreSettings::Neo4j(own), ..Settings::default() })
}

/// All of them.
pub(crate) fn all() -> Vec<Settings> {
    [Some(Settings::default()), postgres(), redis(), neo4j()].into_iter().flatten().collect()
}
