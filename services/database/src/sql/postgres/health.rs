//! What could be wrong with a PostgreSQL database, looked at through its own statistics.

use serde_json::Value;
use weft_kit::{Call, ToolError};

use super::{Mode, Session, Shared, surface};
use crate::sql::{Dialect, Finding, Name, TopBy, gate};

/// A look: its name, its text (rows of one JSON column each), from how many rows on it is a warning, and what it says.
struct Look {
    check: &'static str,
    sql: &'static str,
    fine: &'static str,
    found: &'static str,
}

/// Each gives a row for everything that is wrong.
const LOOKS: [Look; 10] = [
    Look {
        check: "connections",
        fine: "enough connections are free",
        found: "the server runs out of connections",
        sql: "SELECT jsonb_build_object('used', count(*), 'most', current_setting('max_connections')::int)::text FROM pg_catalog.pg_stat_activity \
              HAVING count(*) > 0.8 * current_setting('max_connections')::int",
    },
    Look {
        check: "cache",
        fine: "reads are served from memory",
        found: "less than 95% of the reads are served from memory",
        sql: "SELECT jsonb_build_object('hit_ratio', round(blks_hit::numeric / (blks_hit + blks_read), 4))::text FROM pg_catalog.pg_stat_database \
              WHERE datname = current_database() AND blks_hit + blks_read > 10000 AND blks_hit < 0.95 * (blks_hit + blks_read)",
    },
    Look {
        check: "bloat",
        fine: "no table holds many dead rows",
        found: "tables hold many dead rows: autovacuum does not keep up",
        sql: "SELECT jsonb_build_object('of', jsonb_build_array(schemaname, relname), 'table', schemaname || '.' || relname, 'live', n_live_tup, 'dead', n_dead_tup, 'last_autovacuum', last_autovacuum)::text \
              FROM pg_catalog.pg_stat_user_tables WHERE n_dead_tup > 10000 AND n_dead_tup > 0.2 * n_live_tup ORDER BY n_dead_tup DESC",
    },
    Look {
        check: "unused_indexes",
        fine: "every large index is used",
        found: "indexes are never used and cost every write",
        sql: "SELECT jsonb_build_object('of', jsonb_build_array(s.schemaname, s.relname), 'index', s.schemaname || '.' || s.indexrelname, 'table', s.relname, 'bytes', pg_catalog.pg_relation_size(s.indexrelid))::text \
              FROM pg_catalog.pg_stat_user_indexes s JOIN pg_catalog.pg_index i ON i.indexrelid = s.indexrelid \
              WHERE s.idx_scan = 0 AND NOT i.indisunique AND pg_catalog.pg_relation_size(s.indexrelid) > 1048576 ORDER BY pg_catalog.pg_relation_size(s.indexrelid) DESC",
    },
    Look {
        check: "duplicate_indexes",
        fine: "no two indexes are the same",
        found: "indexes are the same as others",
        sql: "SELECT jsonb_build_object('of', jsonb_build_array(n.nspname, c.relname), 'table', i.indrelid::regclass::text, 'indexes', jsonb_agg(i.indexrelid::regclass::text))::text FROM pg_catalog.pg_index i \
              JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' \
              GROUP BY n.nspname, c.relname, i.indrelid, i.indkey::text, i.indclass::text, coalesce(pg_catalog.pg_get_expr(i.indexprs, i.indrelid), ''), \
              coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '') HAVING count(*) > 1",
    },
    Look {
        check: "invalid_indexes",
        fine: "every index is valid",
        found: "indexes are invalid: make them again",
        sql: "SELECT jsonb_build_object('of', jsonb_build_array(n.nspname, c.relname), 'index', i.indexrelid::regclass::text)::text FROM pg_catalog.pg_index i \
              JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid",
    },
    Look {
        check: "missing_indexes",
        fine: "no large table is read whole again and again",
        found: "large tables are read whole again and again",
        sql: "SELECT jsonb_build_object('of', jsonb_build_array(schemaname, relname), 'table', schemaname || '.' || relname, 'seq_scans', seq_scan, 'rows', n_live_tup)::text FROM pg_catalog.pg_stat_user_tables \
              WHERE n_live_tup > 10000 AND seq_scan > 50 AND seq_scan > coalesce(idx_scan, 0) ORDER BY seq_tup_read DESC",
    },
    Look {
        check: "locks",
        fine: "nobody waits for a lock",
        found: "sessions wait for locks of others",
        sql: "SELECT jsonb_build_object('waiting', a.pid, 'blocked_by', to_jsonb(pg_catalog.pg_blocking_pids(a.pid)), 'seconds', \
              round(extract(epoch FROM clock_timestamp() - a.query_start)), 'query', left(a.query, 200))::text \
              FROM pg_catalog.pg_stat_activity a WHERE cardinality(pg_catalog.pg_blocking_pids(a.pid)) > 0",
    },
    Look {
        check: "long_transactions",
        fine: "no transaction is old",
        found: "transactions have been open for more than five minutes",
        sql: "SELECT jsonb_build_object('pid', pid, 'state', state, 'seconds', round(extract(epoch FROM clock_timestamp() - xact_start)), 'query', left(query, 200))::text \
              FROM pg_catalog.pg_stat_activity WHERE xact_start < clock_timestamp() - interval '5 minutes' AND pid <> pg_backend_pid()",
    },
    Look {
        check: "wraparound",
        fine: "transaction ids are far from wrapping around",
        found: "a table must be frozen soon: transaction ids wrap around",
        sql: "SELECT jsonb_build_object('database', datname, 'age', age(datfrozenxid))::text FROM pg_catalog.pg_database \
              WHERE datname = current_database() AND age(datfrozenxid) > 1500000000",
    },
];

/// Findings of one look that are told.
const TOLD: usize = 20;
/// Statements that are looked through for those that may be told.
const SEEN: usize = 500;

/// Looks at everything.
pub(super) async fn health(shared: &Shared, call: &Call) -> Result<Vec<Finding>, ToolError> {
    let mut findings = Vec::new();
    let mut session = shared.begin(call, Mode::Read).await?;
    let about = "SELECT jsonb_build_object('version', current_setting('server_version'), 'recovery', pg_catalog.pg_is_in_recovery(), \
        'bytes', pg_catalog.pg_database_size(current_database()), 'seconds_up', round(extract(epoch FROM now() - pg_catalog.pg_postmaster_start_time())), \
        'lag_seconds', CASE WHEN pg_catalog.pg_is_in_recovery() THEN round(extract(epoch FROM now() - pg_catalog.pg_last_xact_replay_timestamp())) END)::text";
    let facts: Vec<Value> = session.json(about, &[]).await?;
    findings.push(Finding {
        check: "server".to_owned(),
        status: "ok".to_owned(),
        summary: "the server answers".to_owned(),
        details: facts,
    });
    for look in &LOOKS {
        call.check()?;
        findings.push(one(&mut session, look).await);
    }
    session.rollback().await;
    Ok(findings)
}

/// One look must not spoil the others: a failed statement would end the transaction, so it has a savepoint.
async fn one(session: &mut Session<'_>, look: &Look) -> Finding {
    let check = look.check.to_owned();
    let looked = async {
        sqlx::query("SAVEPOINT look").execute(&mut *session.connection).await.map_err(|error| session.wrong(&error))?;
        session.json::<Value>(look.sql, &[]).await
    };
    let looked = looked.await.map(|rows| allowed(session.shared, rows));
    match looked {
        Ok(rows) if rows.is_empty() => {
            Finding { check, status: "ok".to_owned(), summary: look.fine.to_owned(), details: rows }
        }
        Ok(rows) => Finding { check, status: "warning".to_owned(), summary: look.found.to_owned(), details: rows },
        Err(error) => {
            let _ = sqlx::query("ROLLBACK TO SAVEPOINT look").execute(&mut *session.connection).await;
            let summary = format!("it cannot be looked at: {}", error.message());
            Finding { check, status: "unknown".to_owned(), summary, details: Vec::new() }
        }
    }
}

/// What is said of tables that may be used, and of no table; where only some may, no statement of others is told.
fn allowed(shared: &Shared, rows: Vec<Value>) -> Vec<Value> {
    let told = rows.into_iter().filter_map(|mut row| {
        let fields = row.as_object_mut()?;
        if let Some(Value::Array(of)) = fields.remove("of") {
            let part = |place: usize| of.get(place).and_then(Value::as_str).map(str::to_owned);
            let name = Name { schema: part(0), name: part(1)? };
            if !shared.may_use(&name) {
                return None;
            }
        }
        if shared.restricted {
            fields.remove("query");
        }
        Some(row)
    });
    told.take(TOLD).collect()
}

/// The statements that cost most, by the extension `pg_stat_statements`.
pub(super) async fn top(shared: &Shared, call: &Call, by: TopBy, take: usize) -> Result<Vec<Value>, ToolError> {
    let mut session = shared.begin(call, Mode::Read).await?;
    let found = statements(&mut session, by, take).await;
    session.rollback().await;
    found
}

async fn statements(session: &mut Session<'_>, by: TopBy, take: usize) -> Result<Vec<Value>, ToolError> {
    let installed: Vec<Value> = session
        .json("SELECT to_jsonb(extname)::text FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements'", &[])
        .await?;
    if installed.is_empty() {
        return Err(ToolError::new(
            "unsupported",
            "slow statements are known only with the extension pg_stat_statements, which this database has not",
        )
        .hint("check_health shows what is known without it"));
    }
    let sql = "SELECT jsonb_build_object('query', left(query, 1000), 'calls', calls, 'rows', rows, \
        'total_ms', round(total_exec_time::numeric, 3), 'mean_ms', round(mean_exec_time::numeric, 3), \
        'hit_ratio', round(shared_blks_hit::numeric / nullif(shared_blks_hit + shared_blks_read, 0), 4))::text FROM pg_stat_statements \
        WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
        ORDER BY CASE $1 WHEN 'calls' THEN calls::float8 WHEN 'rows' THEN rows::float8 WHEN 'mean' THEN mean_exec_time ELSE total_exec_time END DESC LIMIT $2::bigint";
    let order = match by {
        TopBy::TotalTime => "total",
        TopBy::MeanTime => "mean",
        TopBy::Calls => "calls",
        TopBy::Rows => "rows",
    };
    if !session.shared.restricted {
        return session.json(sql, &[Some(order.to_owned()), Some(take.to_string())]).await;
    }
    let found: Vec<Value> = session.json(sql, &[Some(order.to_owned()), Some(SEEN.to_string())]).await?;
    let mut told = Vec::new();
    for one in found {
        let text = one["query"].as_str().unwrap_or_default();
        // What cannot be understood, or was cut, might name anything.
        let Ok(checked) = gate::check(Dialect::Postgres, text) else { continue };
        if surface::relations(session, &checked).await.is_ok() {
            told.push(one);
        }
        if told.len() == take {
            break;
        }
    }
    Ok(told)
}
