//! What a statement touches, against what the connection allows: relations as the server resolves them, functions by what the server
//! knows of them.

use sqlparser::ast::{ObjectType, Statement};
use weft_kit::ToolError;

use super::{Session, functions, operators, veil};
use crate::sql::{Checked, Kind, Name};

/// Relations that show secrets or files whoever may select from them.
const SECRET: [&str; 14] = [
    "pg_authid",
    "pg_shadow",
    "pg_largeobject",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_subscription",
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_stats",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
];

/// Fails if a statement uses what it may not.
pub(super) async fn check(session: &mut Session<'_>, checked: &Checked) -> Result<(), ToolError> {
    for name in &checked.relations {
        let toast = name
            .schema
            .as_deref()
            .is_some_and(|schema| schema.starts_with("pg_toast") || schema.starts_with("pg_temp"));
        if toast || SECRET.contains(&name.name.as_str()) {
            return Err(ToolError::refused(format!("{name} may not be read here")));
        }
    }
    functions::check(session, checked).await?;
    operators::check(session, checked).await?;
    let of_schemas = matches!(
        checked.statement,
        Statement::CreateSchema { .. } | Statement::Drop { object_type: ObjectType::Schema, .. }
    );
    if of_schemas && session.shared.restricted && !checked.is_ours {
        return Err(ToolError::refused("schemas are not made or dropped on a connection that names what may be used"));
    }
    relations(session, checked).await
}

/// Fails if a connection with allowed schemas or tables would tell of others.
pub(super) async fn relations(session: &mut Session<'_>, checked: &Checked) -> Result<(), ToolError> {
    if !session.shared.restricted || checked.is_ours {
        return Ok(());
    }
    veil::check(session, checked).await?;
    for name in &checked.relations {
        relation(session, checked, name).await?;
    }
    Ok(())
}

/// On a connection with allowed schemas or tables, every relation must be one of them.
async fn relation(session: &mut Session<'_>, checked: &Checked, name: &Name) -> Result<(), ToolError> {
    let found = resolve(session, name).await?;
    let is_common = name.schema.is_none() && checked.common.contains(&name.name);
    match found {
        Some(real) if session.shared.may_use(&real) => Ok(()),
        Some(_) if is_common => {
            Err(ToolError::refused(format!("{name} is also the name of a table that may not be used here"))
                .hint("give the common table expression another name"))
        }
        None if is_common => Ok(()),
        // What a migration is about to make is not there yet.
        None if checked.kind == Kind::Schema && session.shared.may_make(name) => Ok(()),
        _ => Err(ToolError::refused(format!("{name} may not be used here, or is not there"))
            .hint("search_objects lists what may be used")),
    }
}

/// The relation that a name means, in full; an index stands for its table.
pub(super) async fn resolve(session: &mut Session<'_>, name: &Name) -> Result<Option<Name>, ToolError> {
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class o \
               LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = o.oid \
               JOIN pg_catalog.pg_class c ON c.oid = coalesce(i.indrelid, o.oid) \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE o.oid = pg_catalog.to_regclass($1)";
    let found: Option<(String, String)> = sqlx::query_as(sql)
        .bind(name.sql())
        .fetch_optional(&mut *session.connection)
        .await
        .map_err(|error| session.wrong(&error))?;
    Ok(found.map(|(schema, name)| Name { schema: Some(schema), name }))
}

impl super::Shared {
    /// Whether a relation, by its full name, is one that the connection allows.
    pub(super) fn may_use(&self, name: &Name) -> bool {
        if !self.restricted {
            return true;
        }
        let schema = name.schema.as_deref().unwrap_or_default();
        let in_schema = self.schemas.iter().any(|allowed| allowed == schema);
        in_schema && (self.tables.is_empty() || self.tables.is_match(name.to_string()))
    }

    fn may_make(&self, name: &Name) -> bool {
        let schema = name.schema.as_ref().or(self.schemas.first());
        schema.is_some_and(|schema| self.may_use(&Name { schema: Some(schema.clone()), name: name.name.clone() }))
    }
}
