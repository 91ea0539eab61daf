//! What is in an SQLite file, from its own catalogue and pragmas, which only our own statements may ask.

use rusqlite::{Connection, Row, ToSql, params};
use serde_json::json;
use weft_kit::ToolError;

use super::{Shared, errors};
use crate::sql::{Described, Dialect, Field, Finding, Index, Name, Object, ObjectKind, Relation, Wanted, gate};

fn all<T>(
    shared: &Shared,
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, ToolError> {
    let wrong = |error: rusqlite::Error| errors::tool(&shared.name, &error);
    let mut statement = connection.prepare_cached(sql).map_err(wrong)?;
    let rows = statement.query_map(params, read).map_err(wrong)?;
    rows.collect::<Result<_, _>>().map_err(wrong)
}

fn bare(kind: ObjectKind, name: String) -> Object {
    Object { kind, schema: None, table: None, name, definition: None, rows: None, bytes: None, comment: None }
}

/// Objects by name.
pub(super) fn objects(shared: &Shared, connection: &Connection, wanted: &Wanted) -> Result<Vec<Object>, ToolError> {
    let kind = wanted.kind;
    let (skip, take) = (wanted.skip, wanted.take);
    let sql = match kind {
        ObjectKind::Schema | ObjectKind::Function => return Ok(Vec::new()),
        ObjectKind::Table | ObjectKind::View | ObjectKind::Index => {
            "SELECT name, CASE WHEN type = 'index' THEN tbl_name END, CASE WHEN type = 'index' THEN sql END FROM sqlite_schema \
             WHERE type = ?3 AND name LIKE ?1 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND (?2 IS NULL OR tbl_name = ?2) \
             AND (?6 IS NULL OR tbl_name IN (SELECT value FROM json_each(?6))) ORDER BY tbl_name, name LIMIT ?4 OFFSET ?5"
        }
        ObjectKind::Column => {
            "SELECT c.name, t.name, c.type FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c \
             WHERE ?3 = 'column' AND t.type IN ('table', 'view') AND c.name LIKE ?1 AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             AND (?2 IS NULL OR t.name = ?2) AND (?6 IS NULL OR t.name IN (SELECT value FROM json_each(?6))) ORDER BY t.name, c.cid LIMIT ?4 OFFSET ?5"
        }
    };
    let word = match kind {
        ObjectKind::Table => "table",
        ObjectKind::View => "view",
        ObjectKind::Index => "index",
        _ => "column",
    };
    let (take, skip) = (i64::try_from(take).unwrap_or(i64::MAX), i64::try_from(skip).unwrap_or(i64::MAX));
    let allowed = allowed(shared, connection)?;
    all(shared, connection, sql, params![wanted.pattern, wanted.table, word, take, skip, allowed], |row| {
        Ok(Object { table: row.get(1)?, definition: row.get(2)?, ..bare(kind, row.get(0)?) })
    })
}

/// The tables and views that may be used, as a JSON list; `None` where all may. What is left out after a page was cut would leave holes.
fn allowed(shared: &Shared, connection: &Connection) -> Result<Option<String>, ToolError> {
    if shared.tables.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')";
    let names = all(shared, connection, sql, &[], |row| row.get::<_, String>(0))?;
    Ok(Some(json!(names.into_iter().filter(|name| shared.may_use(name)).collect::<Vec<_>>()).to_string()))
}

/// One table or view, with everything that belongs to it.
pub(super) fn describe(shared: &Shared, connection: &Connection, name: &Name) -> Result<Described, ToolError> {
    let missing =
        || ToolError::not_found(format!("there is no table or view {name}")).hint("search_objects finds names");
    if name.schema.as_deref().is_some_and(|schema| schema != "main") || !shared.may_use(&name.name) {
        return Err(missing());
    }
    let sql = "SELECT type, sql, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
    let row =
        |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, String>(2)?));
    let (kind, ddl, table) = all(shared, connection, sql, params![name.name], row)?.pop().ok_or_else(missing)?;
    let own = |relation: &&Relation| relation.from == table;
    let relations = relations(shared, connection)?;
    Ok(Described {
        schema: None,
        kind: if kind == "view" { ObjectKind::View } else { ObjectKind::Table },
        comment: None,
        rows: if kind == "view" { None } else { count(shared, connection, &table)? },
        bytes: None,
        columns: fields(shared, connection, &table)?,
        indexes: indexes(shared, connection, &table)?,
        references: relations.iter().filter(own).cloned().collect(),
        referenced_by: relations.iter().filter(|relation| relation.to == table).cloned().collect(),
        checks: Vec::new(),
        ddl: shown(shared, ddl.unwrap_or_default()),
        name: table,
    })
}

/// The text of a definition, unless it names tables that may not be used, or cannot be understood where there are some.
fn shown(shared: &Shared, ddl: String) -> String {
    let open = shared.tables.is_empty()
        || gate::check(Dialect::Sqlite, &ddl).is_ok_and(|checked| {
            let fine = |name: &Name| shared.may_use(&name.name) || checked.common.contains(&name.name);
            checked.relations.iter().all(fine)
        });
    if open { ddl } else { crate::sql::HIDDEN.to_owned() }
}

/// Counted, since SQLite keeps no estimate that is always there.
fn count(shared: &Shared, connection: &Connection, table: &str) -> Result<Option<u64>, ToolError> {
    let sql = format!("SELECT count(*) FROM {}", crate::sql::quoted(table));
    let found = all(shared, connection, &sql, &[], |row| row.get::<_, i64>(0))?;
    Ok(found.first().and_then(|count| u64::try_from(*count).ok()))
}

fn fields(shared: &Shared, connection: &Connection, table: &str) -> Result<Vec<Field>, ToolError> {
    let sql = "SELECT name, type, \"notnull\", dflt_value, pk, CASE WHEN hidden IN (2, 3) THEN 'as its ddl says' END \
               FROM pragma_table_xinfo(?1) ORDER BY cid";
    all(shared, connection, sql, params![table], |row| {
        let key: u32 = row.get(4)?;
        Ok(Field {
            name: row.get(0)?,
            kind: row.get::<_, String>(1)?.to_lowercase(),
            nullable: !row.get::<_, bool>(2)?,
            default: row.get(3)?,
            generated: row.get(5)?,
            identity: None,
            comment: None,
            key: Some(key).filter(|place| *place > 0),
        })
    })
}

fn indexes(shared: &Shared, connection: &Connection, table: &str) -> Result<Vec<Index>, ToolError> {
    let sql = "SELECT l.name, l.\"unique\", (SELECT json_group_array(coalesce(i.name, '(expression)')) FROM (SELECT name FROM pragma_index_info(l.name) \
               ORDER BY seqno) i), (SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = l.name) FROM pragma_index_list(?1) l ORDER BY l.name";
    all(shared, connection, sql, params![table], |row| {
        let columns: String = row.get(2)?;
        Ok(Index {
            name: row.get(0)?,
            unique: row.get(1)?,
            columns: serde_json::from_str(&columns).unwrap_or_default(),
            definition: row.get(3)?,
            bytes: None,
        })
    })
}

/// All references between tables.
pub(super) fn relations(shared: &Shared, connection: &Connection) -> Result<Vec<Relation>, ToolError> {
    let sql = "SELECT t.name, f.id, f.\"table\", json_group_array(f.\"from\"), json_group_array(f.\"to\"), lower(f.on_delete) \
               FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table' GROUP BY t.name, f.id ORDER BY t.name, f.id";
    let found = all(shared, connection, sql, &[], |row| {
        let list = |text: String| {
            serde_json::from_str::<Vec<Option<String>>>(&text).unwrap_or_default().into_iter().flatten().collect()
        };
        let (from, number): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok(Relation {
            name: format!("{from}_{number}"),
            from,
            to: row.get(2)?,
            columns: list(row.get(3)?),
            to_columns: list(row.get(4)?),
            on_delete: row.get(5)?,
        })
    })?;
    Ok(found.into_iter().filter(|relation| shared.may_use(&relation.from) && shared.may_use(&relation.to)).collect())
}

/// Looks at everything that could be wrong with the file.
pub(super) fn health(shared: &Shared, connection: &Connection) -> Result<Vec<Finding>, ToolError> {
    let number = |sql: &str| {
        all(shared, connection, sql, &[], |row| row.get::<_, i64>(0)).map(|found| found.first().copied().unwrap_or(0))
    };
    let (pages, size, free) =
        (number("PRAGMA page_count")?, number("PRAGMA page_size")?, number("PRAGMA freelist_count")?);
    let finding = |check: &str, ok: bool, summary: String, details| {
        let status = if ok { "ok" } else { "warning" };
        Finding { check: check.to_owned(), status: status.to_owned(), summary, details }
    };
    let version = all(shared, connection, "SELECT sqlite_version()", &[], |row| row.get::<_, String>(0))?;
    let facts = json!({"version": version.first(), "bytes": pages * size, "writable": shared.writable});
    let check = all(shared, connection, "PRAGMA quick_check(20)", &[], |row| row.get::<_, String>(0))?;
    let sound = check.len() == 1 && check.first().is_some_and(|text| text == "ok");
    let mut broken = all(
        shared,
        connection,
        "SELECT \"table\", count(*) FROM pragma_foreign_key_check GROUP BY 1 LIMIT 20",
        &[],
        |row| Ok(json!({"table": row.get::<_, String>(0)?, "rows": row.get::<_, i64>(1)?})),
    )?;
    // What is said of tables is said of those alone that may be used.
    broken.retain(|one| one["table"].as_str().is_some_and(|table| shared.may_use(table)));
    let damage = if shared.tables.is_empty() { check } else { Vec::new() };
    Ok(vec![
        finding("server", true, "the file can be read".to_owned(), vec![facts]),
        finding(
            "integrity",
            sound,
            if sound { "the file is sound".to_owned() } else { "the file is damaged".to_owned() },
            if sound { Vec::new() } else { damage.into_iter().map(Into::into).collect() },
        ),
        finding("references", broken.is_empty(), "rows that refer to rows that are not there".to_owned(), broken),
        finding("bloat", free * 4 <= pages, format!("{free} of {pages} pages are empty"), Vec::new()),
    ])
}
