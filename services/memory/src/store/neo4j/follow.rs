//! What other instances write → word of it here, by asking the journal.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use weft_bolt::Value;

use super::{Fault, Neo4j, Tell, ask::with};

/// How often it is asked: with the way there and back, less than 50 ms from a write to word of it.
const EVERY: Duration = Duration::from_millis(15);
/// Between two tries when nobody answers.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn watch(store: &Neo4j, tell: Tell, stop: CancellationToken) {
    let mut seen = None;
    while !stop.is_cancelled() {
        let looked = stop.run_until_cancelled(look(store, seen, &tell)).await;
        let wait = match looked {
            None => return,
            Some(Ok(last)) => {
                seen = Some(last);
                EVERY
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "what other instances write to memory is not heard now");
                AGAIN
            }
        };
        let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}

/// Tells of what was written after `seen`; gives what is the last now.
async fn look(store: &Neo4j, seen: Option<i64>, tell: &Tell) -> Result<i64, Fault> {
    let graph = store.ready().await?;
    let own = with([("prefix", store.prefix.as_str().into())]);
    let last = graph.rows("MATCH (j:MemoryJournal {key: $prefix}) RETURN j.seq", &own).await?;
    let last = last.first().and_then(|row| row.first()).and_then(Value::as_int).unwrap_or(0);
    let Some(seen) = seen.filter(|seen| *seen < last) else { return Ok(last) };
    let own = with([("prefix", store.prefix.as_str().into()), ("seen", seen.into()), ("last", last.into())]);
    let written = graph
        .rows(
            "MATCH (c:MemoryChange) WHERE c.realm = $prefix AND c.seq > $seen AND c.seq <= $last \
             RETURN c.origin, c.space, c.record ORDER BY c.seq",
            &own,
        )
        .await?;
    for row in &written {
        if let [Some(origin), Some(space), Some(id)] = [0, 1, 2].map(|place| row.get(place).and_then(Value::as_str))
            && origin != store.origin
        {
            tell(space, id);
        }
    }
    Ok(last)
}
