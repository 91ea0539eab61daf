//! What a statement does to what is there already: whether it only adds, or may destroy something.

use sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, Insert, OnConflict, OnConflictAction, OnInsert, SetExpr,
    SqliteOnConflict, Statement,
};

use super::{Checked, Kind};

impl Checked {
    /// Whether nothing that is there is changed. An insert that overwrites what it collides with is no addition.
    pub(crate) fn only_adds(&self) -> bool {
        match self.kind {
            Kind::Read => true,
            Kind::Insert => inserts_only(&self.statement),
            Kind::Update | Kind::Delete | Kind::Merge | Kind::Schema => false,
        }
    }

    /// Whether rows, columns or tables may be lost or overwritten.
    pub(crate) fn destroys(&self) -> bool {
        match self.kind {
            Kind::Schema => destroys(&self.statement),
            _ => !self.only_adds(),
        }
    }
}

fn inserts_only(statement: &Statement) -> bool {
    match statement {
        Statement::Query(query) => matches!(query.body.as_ref(), SetExpr::Insert(inner) if inserts_only(inner)),
        Statement::Insert(Insert { on, or, replace_into: false, overwrite: false, .. }) => {
            let keeps = match on {
                None => true,
                Some(OnInsert::OnConflict(OnConflict { action, .. })) => *action == OnConflictAction::DoNothing,
                Some(_) => false,
            };
            keeps && *or != Some(SqliteOnConflict::Replace)
        }
        _ => false,
    }
}

fn destroys(statement: &Statement) -> bool {
    match statement {
        Statement::Drop { .. } | Statement::Truncate(_) => true,
        Statement::AlterTable(table) => table.operations.iter().any(|operation| {
            matches!(
                operation,
                AlterTableOperation::DropColumn { .. }
                    | AlterTableOperation::AlterColumn { op: AlterColumnOperation::SetDataType { .. }, .. }
            )
        }),
        _ => false,
    }
}
