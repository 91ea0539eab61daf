//! What other processes write to the file → word of it here.
//!
//! SQLite tells nobody, but a connection can ask cheaply whether anyone else wrote (`data_version`); only then the journal is read.

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, Error};
use tokio_util::sync::CancellationToken;

use super::{Shared, Tell, open};

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(25);

pub(super) async fn watch(shared: Arc<Shared>, tell: Tell, stop: CancellationToken) {
    let path = shared.path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let connection = open::reader(&path)?;
        let last = connection.query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |row| row.get(0))?;
        Ok::<(Connection, i64), Error>((connection, last))
    });
    let Ok(Ok((mut connection, mut last))) = opened.await else {
        tracing::warn!("what other processes write to memory is not followed: the file cannot be opened once more");
        return;
    };
    let mut version = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let (origin, tell) = (shared.origin, Arc::clone(&tell));
        let looked = tokio::task::spawn_blocking(move || {
            let out = look(&connection, origin, version, last, &tell);
            (connection, out)
        });
        let Ok((kept, out)) = looked.await else { return };
        connection = kept;
        match out {
            Ok(seen) => (version, last) = seen,
            Err(error) => tracing::debug!(%error, "the journal of memory cannot be read now"),
        }
    }
}

/// Tells of what was written after `last`; gives what was seen now.
fn look(connection: &Connection, origin: i64, version: i64, last: i64, tell: &Tell) -> Result<(i64, i64), Error> {
    let now: i64 = connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
    if now == version {
        return Ok((version, last));
    }
    let mut written =
        connection.prepare_cached("SELECT seq, origin, space, id FROM journal WHERE seq > ? ORDER BY seq")?;
    let mut rows = written.query([last])?;
    let mut last = last;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        if row.get::<_, i64>(1)? != origin {
            tell(row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
        }
    }
    Ok((now, last))
}
