//! The text of a statement → what it does, or why it may not: the first of the three depths at which a read stays a read.
//!
//! Exactly one statement; every construct that is not known to be harmless is refused; and what is run is not the caller's text but
//! what the parser understood of it, written out again, so that the database cannot understand something else: comments, odd
//! white space and stacked statements do not survive. The other depths are the functions' own check (`functions.rs`), which asks
//! the database what a function does, and the read-only transaction (or authorizer) of the engine.

use std::{collections::BTreeSet, ops::ControlFlow};

use sqlparser::{
    ast::{Delete, FromTable, Insert, SetExpr, Statement, TableObject, Update, Visit as _},
    dialect,
    parser::Parser,
    tokenizer::{Token, Tokenizer},
};
use weft_kit::ToolError;

mod bombs;
mod chains;
mod effect;
mod operators;
mod schema;
#[cfg(test)]
mod tests;
mod walk;
mod whole;

use super::names::Name;

/// The longest statement.
const LONGEST: usize = 64 << 10;
/// How deep it may be nested.
const DEEPEST: usize = 48;

/// Which SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
}

impl Dialect {
    /// Its name, which is also the scheme of its resources.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }

    pub(crate) fn grammar(self) -> &'static dyn dialect::Dialect {
        match self {
            Self::Postgres => &dialect::PostgreSqlDialect {},
            Self::Sqlite => &dialect::SQLiteDialect {},
        }
    }
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but looking.
    Read,
    Insert,
    Update,
    Delete,
    Merge,
    /// Changes tables, indexes or views.
    Schema,
}

/// A statement that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) kind: Kind,
    /// What is run.
    pub(crate) text: String,
    pub(crate) statement: Statement,
    /// Tables and views, as they were named.
    pub(crate) relations: Vec<Name>,
    /// Names of common table expressions.
    pub(crate) common: BTreeSet<String>,
    pub(crate) functions: BTreeSet<Name>,
    /// Operators by name, and the types that something is cast to, as they were written.
    pub(crate) operators: BTreeSet<String>,
    pub(crate) casts: BTreeSet<String>,
    /// Has an order that pages can follow.
    pub(crate) ordered: bool,
    /// Gives rows although it writes.
    pub(crate) returning: bool,
    /// Updates or deletes whatever is there.
    pub(crate) whole: bool,
    /// The list of migrations may be used, whatever the connection allows: the text is this program's, not a caller's.
    pub(crate) is_ours: bool,
}

impl Checked {
    /// The word for people.
    pub(crate) fn verb(&self) -> &'static str {
        match self.kind {
            Kind::Read => "select",
            Kind::Insert => "insert",
            Kind::Update => "update",
            Kind::Delete => "delete",
            Kind::Merge => "merge",
            Kind::Schema => "schema change",
        }
    }
}

/// Understands one statement of a caller.
pub(crate) fn check(dialect: Dialect, sql: &str) -> Result<Checked, ToolError> {
    one(dialect, sql).and_then(hidden)
}

/// Understands a statement that this program made to keep its list of migrations.
pub(crate) fn ours(dialect: Dialect, sql: &str) -> Result<Checked, ToolError> {
    Ok(Checked { is_ours: true, ..one(dialect, sql)? })
}

fn one(dialect: Dialect, sql: &str) -> Result<Checked, ToolError> {
    let mut all = parse(dialect, sql)?;
    match (all.pop(), all.is_empty()) {
        (Some(statement), true) => examine(dialect, statement),
        (Some(_), false) => Err(ToolError::refused("one statement at a time").hint("transaction takes several")),
        (None, _) => Err(ToolError::invalid("there is no statement")),
    }
}

/// One that must be a read.
pub(crate) fn check_read(dialect: Dialect, sql: &str) -> Result<Checked, ToolError> {
    let checked = check(dialect, sql)?;
    if checked.kind == Kind::Read {
        return Ok(checked);
    }
    let tool = if checked.kind == Kind::Schema { "migrate" } else { "execute" };
    Err(ToolError::refused(format!("this only reads, but the statement is a {}", checked.verb()))
        .hint(format!("where the connection allows it, {tool} changes something")))
}

/// Several, as a migration is written.
pub(crate) fn check_script(dialect: Dialect, sql: &str) -> Result<Vec<Checked>, ToolError> {
    let all = parse(dialect, sql)?;
    if all.is_empty() {
        return Err(ToolError::invalid("there is no statement"));
    }
    all.into_iter().map(|statement| examine(dialect, statement).and_then(hidden)).collect()
}

/// Keeps the list of migrations from callers: who could write into it would decide what an undone migration runs.
fn hidden(checked: Checked) -> Result<Checked, ToolError> {
    if checked.relations.iter().any(|name| name.name.eq_ignore_ascii_case(super::MIGRATIONS)) {
        return Err(ToolError::refused(format!("{} is kept by the server", super::MIGRATIONS))
            .hint("list_migrations tells what was applied; migrate and rollback_migration change it"));
    }
    Ok(checked)
}

fn parse(dialect: Dialect, sql: &str) -> Result<Vec<Statement>, ToolError> {
    if sql.len() > LONGEST {
        return Err(ToolError::too_large(format!("the statement is longer than {LONGEST} bytes"))
            .hint("give values as params, and many rows to import_rows"));
    }
    let grammar = dialect.grammar();
    let wrong =
        |error: &dyn std::fmt::Display| ToolError::invalid(format!("the statement cannot be understood: {error}"));
    let tokens = Tokenizer::new(grammar, sql).tokenize().map_err(|error| wrong(&error))?;
    tokens.iter().try_for_each(visible)?;
    chains::bounded(&tokens)?;
    let mut parser = Parser::new(grammar).with_recursion_limit(DEEPEST).with_tokens(tokens);
    parser.parse_statements().map_err(|error| wrong(&error))
}

/// Outside of strings and comments, nothing may stand that people cannot see.
fn visible(token: &Token) -> Result<(), ToolError> {
    let hidden = |text: &str| text.chars().any(is_hidden);
    let found = match token {
        Token::Word(word) => hidden(&word.value),
        Token::Char(letter) => is_hidden(*letter),
        Token::Placeholder(text) | Token::CustomBinaryOperator(text) => hidden(text),
        _ => false,
    };
    if found { Err(ToolError::refused("the statement holds invisible characters outside of strings")) } else { Ok(()) }
}

fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || (letter.is_whitespace() && !letter.is_ascii())
        || (letter.is_control() && !letter.is_ascii_whitespace())
}

fn examine(dialect: Dialect, statement: Statement) -> Result<Checked, ToolError> {
    let text = statement.to_string();
    // What the database reads must be what was checked: the text is read back, and must say the same.
    let again = parse(dialect, &text).map_err(|_| unclear())?;
    if again.as_slice() != std::slice::from_ref(&statement) {
        return Err(unclear());
    }
    let (kind, whole, returning) = kind(&statement)?;
    let mut seen = walk::Seen::new(dialect, kind);
    if let ControlFlow::Break(refusal) = look(&statement, &mut seen) {
        return Err(refusal);
    }
    let ordered = matches!(&statement, Statement::Query(query) if query.order_by.is_some());
    let relations = seen.relations();
    let walk::Seen { common, functions, operators, casts, .. } = seen;
    let is_ours = false;
    Ok(Checked {
        kind,
        text,
        statement,
        relations,
        common,
        functions,
        operators,
        casts,
        ordered,
        returning,
        whole,
        is_ours,
    })
}

/// Shows it every node of the statement, and the names that the parser does not tell of.
fn look(statement: &Statement, seen: &mut walk::Seen) -> ControlFlow<ToolError> {
    schema::names(statement).iter().try_for_each(|name| seen.relation(name))?;
    statement.visit(seen)
}

fn unclear() -> ToolError {
    ToolError::refused("the statement can be read in two ways").hint("write it more plainly")
}

/// What it does, whether it does that to all rows, and whether it gives rows back.
fn kind(statement: &Statement) -> Result<(Kind, bool, bool), ToolError> {
    match statement {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) => {
                kind(inner)
            }
            _ => Ok((Kind::Read, false, true)),
        },
        Statement::Insert(Insert { returning, .. }) => Ok((Kind::Insert, false, returning.is_some())),
        Statement::Update(Update { selection, returning, .. }) => {
            Ok((Kind::Update, whole::takes_all(selection.as_ref()), returning.is_some()))
        }
        Statement::Delete(Delete { selection, returning, .. }) => {
            Ok((Kind::Delete, whole::takes_all(selection.as_ref()), returning.is_some()))
        }
        Statement::Merge(merge) => Ok((Kind::Merge, whole::takes_all(Some(&merge.on)), merge.output.is_some())),
        other if schema::is_change(other) => Ok((Kind::Schema, false, false)),
        other => Err(refusal(other)),
    }
}

/// Why a statement that is neither read, write nor change of tables may not be run.
fn refusal(statement: &Statement) -> ToolError {
    let text = statement.to_string();
    let word = text.split_whitespace().next().unwrap_or_default().to_uppercase();
    let refused = ToolError::refused(format!("{word} statements are not run here"));
    match word.as_str() {
        "EXPLAIN" | "DESCRIBE" | "DESC" => refused.hint("use explain"),
        "SHOW" => refused.hint("read current_setting('…') instead"),
        "PRAGMA" => refused.hint("describe_object and check_health tell what pragmas would"),
        "COPY" => refused.hint("export_rows and import_rows move many rows"),
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" => {
            refused.hint("transaction runs several statements as one")
        }
        _ => refused,
    }
}

/// The table that a write changes.
pub(crate) fn target(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) => {
                target(inner)
            }
            _ => None,
        },
        Statement::Insert(Insert { table: TableObject::TableName(name), .. }) => Some(name.to_string()),
        Statement::Update(Update { table, .. }) => Some(table.to_string()),
        Statement::Delete(Delete { from, .. }) => {
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = from;
            tables.first().map(ToString::to_string)
        }
        Statement::Merge(merge) => Some(merge.table.to_string()),
        _ => None,
    }
}
