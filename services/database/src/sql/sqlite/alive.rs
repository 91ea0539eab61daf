//! Whether the file can be read, and whether it knows what a statement names: nothing of it runs.

use super::Shared;

/// Reads the head of the file.
pub(super) fn probe(shared: &Shared) -> Result<(), String> {
    if !shared.path.is_file() {
        return Err("its file is not there".to_owned());
    }
    let looked = shared.connect(false).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
    });
    // The message of SQLite may name the path.
    looked.map(drop).map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            "its file is damaged, or no database".to_owned()
        }
        _ => "its file cannot be opened".to_owned(),
    })
}

/// Compiles a statement.
pub(super) fn prepares(shared: &Shared, text: &str) -> Result<(), String> {
    let Ok(connection) = shared.connect(false) else { return Ok(()) };
    connection.prepare(text).map(drop).map_err(|error| error.to_string())
}
