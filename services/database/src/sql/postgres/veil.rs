//! What a connection with allowed schemas or tables keeps to itself, beside the rows of others: their names and definitions.
//!
//! The server tells these to every role, by functions that take an oid or a name (`pg_get_viewdef`), by types that are names
//! (`regclass`), and by the row types of tables. None of them is needed to work with the tables that are allowed.

use std::ops::ControlFlow;

use sqlparser::{
    ast::{ArrayElemTypeDef, DataType, Expr, ObjectName, TableFactor, Visit as _, Visitor},
    tokenizer::{Token, Tokenizer},
};
use weft_kit::ToolError;

use super::{Session, surface};
use crate::sql::{Checked, Dialect, Name};

/// Functions of the server that look at nothing but their arguments, among all that begin with `pg_`.
const BLIND: [&str; 10] = [
    "pg_typeof",
    "pg_size_pretty",
    "pg_size_bytes",
    "pg_column_size",
    "pg_column_compression",
    "pg_client_encoding",
    "pg_is_in_recovery",
    "pg_input_is_valid",
    "pg_char_to_encoding",
    "pg_encoding_to_char",
];

/// Types whose values are objects: each is written as a name, and read from an oid.
const NAMES: [&str; 8] =
    ["regclass", "regtype", "regproc", "regprocedure", "regoper", "regoperator", "regnamespace", "regrole"];

/// Whether a function of `pg_catalog` tells of objects by their oid or name.
pub(super) fn tells(function: &str) -> bool {
    (function.starts_with("pg_") && !BLIND.contains(&function))
        || function.starts_with("to_reg")
        || (function.starts_with("has_") && function.ends_with("_privilege"))
        || function.ends_with("obj_description")
        || ["col_description", "format_type", "row_security_active"].contains(&function)
}

/// Fails if a statement uses a type that tells of what is not allowed.
pub(super) async fn check(session: &mut Session<'_>, checked: &Checked) -> Result<(), ToolError> {
    let tokens = Tokenizer::new(Dialect::Postgres.grammar(), &checked.text)
        .tokenize()
        .map_err(|error| ToolError::invalid(format!("the statement cannot be understood: {error}")))?;
    for token in &tokens {
        if let Token::Word(word) = token
            && let Some(name) = NAMES.iter().find(|name| word.value.eq_ignore_ascii_case(name))
        {
            return Err(ToolError::refused(format!("{name} may not be used on a connection with a list of tables"))
                .hint("search_objects and describe_object tell of what may be used"));
        }
    }
    let mut types = Types(Vec::new());
    let _ = checked.statement.visit(&mut types);
    for name in types.0 {
        let name = Name::parsed(&name)?;
        if let Some(real) = surface::resolve(session, &name).await?
            && !session.shared.may_use(&real)
        {
            return Err(ToolError::refused(format!("{name} may not be used here, or is not there"))
                .hint("search_objects lists what may be used"));
        }
    }
    Ok(())
}

/// The types that are named in a statement and are not SQL's own.
struct Types(Vec<ObjectName>);

impl Types {
    fn note(&mut self, kind: &DataType) {
        match kind {
            DataType::Custom(name, _) => self.0.push(name.clone()),
            DataType::Array(
                ArrayElemTypeDef::AngleBracket(inner)
                | ArrayElemTypeDef::SquareBracket(inner, _)
                | ArrayElemTypeDef::Parenthesis(inner)
                | ArrayElemTypeDef::Qualified(inner, _),
            ) => self.note(inner),
            _ => {}
        }
    }
}

impl Visitor for Types {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { data_type, .. } => self.note(data_type),
            Expr::TypedString(text) => self.note(&text.data_type),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        let alias = match table {
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Derived { alias, .. } => alias.as_ref(),
            _ => None,
        };
        alias
            .into_iter()
            .flat_map(|alias| &alias.columns)
            .filter_map(|column| column.data_type.as_ref())
            .for_each(|kind| self.note(kind));
        ControlFlow::Continue(())
    }
}
