//! What collections are called: aliases, and drafts that take the name of their collection.
//!
//! Every change is one transaction, so that whoever asks sees the state before it or the state after it.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use weft_kit::ToolError;

use super::catalogue;
use super::session::{Server, Session, failed};
use crate::model::Spec;
use crate::stores::draft;

pub(super) async fn aliases(session: &mut Session, tenant: &str) -> Result<BTreeMap<String, String>, ToolError> {
    let sql = format!("SELECT alias, collection FROM {}.aliases WHERE tenant = $1", session.schema);
    let rows = sqlx::query_as(AssertSqlSafe(sql)).bind(tenant).fetch_all(session.connection()).await;
    Ok(rows.map_err(failed)?.into_iter().collect())
}

pub(super) async fn set(
    session: &mut Session,
    tenant: &str,
    alias: &str,
    target: Option<&str>,
) -> Result<(), ToolError> {
    let sql = match target {
        Some(_) => format!(
            "INSERT INTO {}.aliases (tenant, alias, collection) VALUES ($1, $2, $3)
             ON CONFLICT (tenant, alias) DO UPDATE SET collection = excluded.collection",
            session.schema
        ),
        None => {
            format!("DELETE FROM {}.aliases WHERE tenant = $1 AND alias = $2 AND $3::text IS NULL", session.schema)
        }
    };
    let set = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(alias).bind(target);
    set.execute(session.connection()).await.map(drop).map_err(failed)
}

/// One statement without a transaction: every act begins with it.
pub(super) async fn resolve(server: &Server, tenant: &str, name: &str) -> Result<String, ToolError> {
    let sql = format!("SELECT collection FROM {}.aliases WHERE tenant = $1 AND alias = $2", server.schema);
    let found = sqlx::query_scalar(AssertSqlSafe(sql)).bind(tenant).bind(name).fetch_optional(server.pool().await?);
    Ok(found.await.map_err(failed)?.unwrap_or_else(|| name.to_owned()))
}

/// Makes a draft; those of the tenant that were left behind go.
pub(super) async fn draft(session: &mut Session, tenant: &str, spec: &Spec) -> Result<String, ToolError> {
    let sql = format!("SELECT name FROM {}.collections WHERE tenant = $1 AND name LIKE '%.%'", session.schema);
    let names = sqlx::query_scalar(AssertSqlSafe(sql)).bind(tenant).fetch_all(session.connection()).await;
    let names: Vec<String> = names.map_err(failed)?;
    for left in names.iter().filter(|name| draft::is_left(name)) {
        catalogue::remove(session, tenant, left).await?;
    }
    let name = draft::of(&spec.name);
    catalogue::make(session, tenant, &name, spec).await?;
    Ok(name)
}

pub(super) async fn publish(session: &mut Session, tenant: &str, draft: &str) -> Result<(), ToolError> {
    let name = draft::target(draft);
    match catalogue::remove(session, tenant, name).await {
        Err(refusal) if refusal.code() != "not_found" => return Err(refusal),
        _ => {}
    }
    let sql = format!("UPDATE {}.collections SET name = $3 WHERE tenant = $1 AND name = $2", session.schema);
    let named = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(draft).bind(name);
    let named = named.execute(session.connection()).await.map_err(failed)?;
    if named.rows_affected() == 1 {
        return Ok(());
    }
    Err(ToolError::not_found("what was to be published is gone").hint("do it again"))
}
