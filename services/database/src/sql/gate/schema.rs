//! Which statements change tables and nothing beyond: what a migration may do.
//!
//! Roles, rights, functions, extensions, the server's settings and its files are the operator's, whatever a connection allows.
//! Temporary objects are nobody's: a pooled connection would show them to the next caller in the place of the real ones.

use sqlparser::ast::{
    AlterTableOperation, ColumnDef, ColumnOption, CommentObject, CreateTable, CreateTableLikeKind, ObjectName,
    ObjectType, RenameTableNameKind, Statement, TableConstraint,
};

/// Whether a statement makes, changes or drops what holds data.
pub(super) fn is_change(statement: &Statement) -> bool {
    match statement {
        Statement::CreateTable(table) => {
            let elsewhere = table.external || table.location.is_some() || table.file_format.is_some();
            !table.temporary && !elsewhere && table.clone.is_none()
        }
        Statement::CreateIndex(index) => !index.concurrently,
        Statement::CreateView(view) => !view.temporary && !view.secure && view.to.is_none(),
        Statement::CreateSequence { temporary, .. } => !temporary,
        Statement::CreateSchema { .. }
        | Statement::CreateType { .. }
        | Statement::CreateDomain { .. }
        | Statement::Comment { .. }
        | Statement::Truncate(_)
        | Statement::AlterIndex { .. }
        | Statement::AlterView { .. }
        | Statement::AlterType(_) => true,
        Statement::AlterTable(table) => table.location.is_none() && table.operations.iter().all(is_alteration),
        Statement::Drop { object_type, .. } => matches!(
            object_type,
            ObjectType::Table
                | ObjectType::View
                | ObjectType::MaterializedView
                | ObjectType::Index
                | ObjectType::Sequence
                | ObjectType::Type
                | ObjectType::Schema
        ),
        _ => false,
    }
}

fn is_alteration(operation: &AlterTableOperation) -> bool {
    matches!(
        operation,
        AlterTableOperation::AddConstraint { .. }
            | AlterTableOperation::AddColumn { .. }
            | AlterTableOperation::DropConstraint { .. }
            | AlterTableOperation::DropColumn { .. }
            | AlterTableOperation::RenameColumn { .. }
            | AlterTableOperation::RenameTable { .. }
            | AlterTableOperation::RenameConstraint { .. }
            | AlterTableOperation::AlterColumn { .. }
            | AlterTableOperation::ValidateConstraint { .. }
            | AlterTableOperation::EnableRowLevelSecurity
            | AlterTableOperation::ForceRowLevelSecurity
    )
}

/// What a change of tables names where the parser's visitor does not tell of it: relations, and types, which share their names.
pub(super) fn names(statement: &Statement) -> Vec<ObjectName> {
    match statement {
        Statement::CreateTable(table) => of_table(table),
        Statement::AlterTable(table) => {
            table.operations.iter().flat_map(|operation| of_alteration(&table.name, operation)).collect()
        }
        Statement::Drop { object_type, names, .. } if *object_type != ObjectType::Schema => names.clone(),
        Statement::CreateSequence { name, .. }
        | Statement::CreateType { name, .. }
        | Statement::AlterIndex { name, .. } => vec![name.clone()],
        Statement::CreateDomain(domain) => vec![domain.name.clone()],
        Statement::AlterType(altered) => vec![altered.name.clone()],
        Statement::Comment { object_type, object_name, .. } => commented(*object_type, object_name),
        _ => Vec::new(),
    }
}

fn of_table(table: &CreateTable) -> Vec<ObjectName> {
    let model = match &table.like {
        Some(CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like)) => Some(&like.name),
        None => None,
    };
    let parents = table.inherits.iter().flatten();
    let referred = table.columns.iter().flat_map(of_column).chain(table.constraints.iter().filter_map(of_constraint));
    model.into_iter().chain(parents).chain(referred).cloned().collect()
}

fn of_column(column: &ColumnDef) -> impl Iterator<Item = &ObjectName> {
    column.options.iter().filter_map(|option| match &option.option {
        ColumnOption::ForeignKey(key) => Some(&key.foreign_table),
        _ => None,
    })
}

fn of_constraint(constraint: &TableConstraint) -> Option<&ObjectName> {
    match constraint {
        TableConstraint::ForeignKey(key) => Some(&key.foreign_table),
        _ => None,
    }
}

fn of_alteration(table: &ObjectName, operation: &AlterTableOperation) -> Vec<ObjectName> {
    match operation {
        AlterTableOperation::AddConstraint { constraint, .. } => {
            of_constraint(constraint).into_iter().cloned().collect()
        }
        AlterTableOperation::AddColumn { column_def, .. } => of_column(column_def).cloned().collect(),
        AlterTableOperation::RenameTable {
            table_name: RenameTableNameKind::As(name) | RenameTableNameKind::To(name),
        } => {
            // It stays in its schema.
            let schema = table.0.iter().rev().skip(1).take(1).filter(|_| name.0.len() == 1);
            vec![ObjectName(schema.chain(&name.0).cloned().collect())]
        }
        _ => Vec::new(),
    }
}

/// The relation of a comment; a column's has the column behind it.
fn commented(object_type: CommentObject, name: &ObjectName) -> Vec<ObjectName> {
    match object_type {
        CommentObject::Column => vec![ObjectName(name.0.iter().take(name.0.len() - 1).cloned().collect())],
        CommentObject::Table
        | CommentObject::View
        | CommentObject::MaterializedView
        | CommentObject::Index
        | CommentObject::Sequence
        | CommentObject::Domain
        | CommentObject::Type => vec![name.clone()],
        _ => Vec::new(),
    }
}
