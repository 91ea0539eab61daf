//! What SQLite may do while it compiles a statement: nothing but what is named here.

use std::{collections::BTreeSet, sync::Arc};

use globset::GlobSet;
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};

#[cfg(test)]
mod tests;

use super::functions;
use crate::sql::{Checked, MIGRATIONS};

/// The last part of the names of such tables, of full text and of spatial indexes.
const SHADOWS: [&str; 8] = ["data", "idx", "content", "docsize", "config", "node", "parent", "rowid"];

/// What a statement is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Allowed {
    Read,
    Rows,
    Tables,
}

/// The tables that a statement may use.
struct Scope {
    allowed: Allowed,
    tables: Arc<GlobSet>,
    /// Full text and spatial indexes among them, which keep themselves in tables of their own.
    indexes: BTreeSet<String>,
    /// The statement is ours: it may use the list of migrations, which no other may.
    is_ours: bool,
    /// The statement reads the catalogue by its name; otherwise it is SQLite itself that does while tables change.
    names_catalogue: bool,
}

/// Makes the connection ask before everything that `checked` does.
pub(super) fn install(
    connection: &mut Connection,
    allowed: Allowed,
    tables: &Arc<GlobSet>,
    checked: &Checked,
) -> Result<(), rusqlite::Error> {
    lift(connection)?;
    let mut scope = Scope {
        allowed,
        tables: Arc::clone(tables),
        indexes: BTreeSet::new(),
        is_ours: checked.is_ours,
        names_catalogue: checked.relations.iter().any(|name| name.name.to_ascii_lowercase().starts_with("sqlite_")),
    };
    if !tables.is_empty() {
        // Only a virtual table has no page of its own to start at.
        let mut found = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage = 0")?;
        let names = found.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        scope.indexes = names.into_iter().filter(|name| scope.usable(name)).collect();
    }
    connection.authorizer(Some(move |context: AuthContext<'_>| scope.decide(&context)))
}

/// Lets our own statements through.
pub(super) fn lift(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
}

impl Scope {
    fn decide(&self, context: &AuthContext<'_>) -> Authorization {
        if self.is_fine(context) { Authorization::Allow } else { Authorization::Deny }
    }

    fn is_fine(&self, context: &AuthContext<'_>) -> bool {
        let temporary = context.database_name == Some("temp");
        let changes = self.allowed == Allowed::Tables && !temporary;
        match context.action {
            AuthAction::Select | AuthAction::Recursive => true,
            AuthAction::Function { function_name } => functions::is_allowed(function_name),
            AuthAction::Read { table_name, .. } => {
                let by_itself = changes && is_own(table_name) && !self.names_catalogue && context.accessor.is_none();
                by_itself || self.readable(table_name)
            }
            // A counter of changes that full text indexes look at.
            AuthAction::Pragma { pragma_name: "data_version", pragma_value: None } => true,
            AuthAction::Insert { table_name }
            | AuthAction::Delete { table_name }
            | AuthAction::Update { table_name, .. } => {
                let catalogue = is_own(table_name) && self.allowed == Allowed::Tables;
                !temporary && self.allowed >= Allowed::Rows && (catalogue || self.usable(table_name))
            }
            AuthAction::CreateTable { table_name }
            | AuthAction::CreateIndex { table_name, .. }
            | AuthAction::DropTable { table_name }
            | AuthAction::DropIndex { table_name, .. }
            | AuthAction::AlterTable { table_name, .. }
            | AuthAction::Analyze { table_name } => changes && (self.usable(table_name) || is_own(table_name)),
            AuthAction::CreateView { view_name } | AuthAction::DropView { view_name } => {
                changes && self.usable(view_name)
            }
            AuthAction::Reindex { .. } => changes,
            // Full text and spatial indexes; other modules reach outside.
            AuthAction::CreateVtable { module_name, table_name }
            | AuthAction::DropVtable { module_name, table_name } => {
                let inside = ["fts5", "rtree"].contains(&module_name.to_ascii_lowercase().as_str());
                changes && inside && self.usable(table_name)
            }
            AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => self.allowed >= Allowed::Rows,
            _ => false,
        }
    }

    fn usable(&self, table: &str) -> bool {
        if table.eq_ignore_ascii_case(MIGRATIONS) {
            return self.is_ours;
        }
        // Tables that are there without being made: they show the file's pages, or what other statements do.
        let inner = ["dbstat", "bytecode", "tables_used"].contains(&table) || table.starts_with("pragma_");
        !inner && !is_own(table) && (self.tables.is_empty() || self.tables.is_match(table) || self.is_shadow(table))
    }

    /// Tables in which an index that may be used keeps itself: `notes_data` belongs to the index `notes`, `app_data` to nobody.
    fn is_shadow(&self, table: &str) -> bool {
        table.rsplit_once('_').is_some_and(|(index, part)| SHADOWS.contains(&part) && self.indexes.contains(index))
    }

    /// The catalogue may be read where every table may be.
    fn readable(&self, table: &str) -> bool {
        let catalogue = ["sqlite_master", "sqlite_schema"].contains(&table);
        let functions = ["json_each", "json_tree", "jsonb_each", "jsonb_tree"].contains(&table);
        self.usable(table) || functions || (self.tables.is_empty() && (catalogue || table == "sqlite_sequence"))
    }
}

/// SQLite's own tables, which it writes itself while tables change.
fn is_own(table: &str) -> bool {
    table.starts_with("sqlite_")
}
