//! The condition of a write → whether it keeps any row away: `WHERE true` is as good as no condition, and is shown like one.
//!
//! It errs on the side of asking: a condition that looks at no column is taken for one that every row fulfils, whatever its value.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Visit as _, Visitor};

/// Whether every row of the table may be meant.
pub(super) fn takes_all(condition: Option<&Expr>) -> bool {
    condition.is_none_or(is_constant)
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => is_constant(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => is_constant(left) && is_constant(right),
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => is_constant(left) || is_constant(right),
        // `id = id`
        Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::GtEq | BinaryOperator::LtEq, right }
            if left == right =>
        {
            true
        }
        other => other.visit(&mut Columns).is_continue(),
    }
}

/// Breaks at the first column.
struct Columns;

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, check};

    #[test]
    fn a_condition_that_looks_at_no_row_takes_all_rows() {
        for condition in [
            "true",
            "1 = 1",
            "(NOT false)",
            "$1 = 1",
            "id = id",
            "id = 1 OR 2 > 1",
            "true AND (1 <> 2)",
            "EXISTS (SELECT 1)",
            "'a' LIKE 'a'",
        ] {
            for write in ["DELETE FROM t", "UPDATE t SET a = 1"] {
                let sql = format!("{write} WHERE {condition}");
                assert!(check(Dialect::Postgres, &sql).unwrap().whole, "{sql}");
            }
        }
        let merge = "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE";
        assert!(check(Dialect::Postgres, merge).unwrap().whole);
    }

    #[test]
    fn a_condition_on_a_column_takes_some_rows() {
        for condition in
            ["id = 1", "true AND id > 3", "t.id IN (1, 2)", "EXISTS (SELECT 1 FROM u WHERE u.a = t.id)", "NOT done"]
        {
            let sql = format!("DELETE FROM t WHERE {condition}");
            assert!(!check(Dialect::Postgres, &sql).unwrap().whole, "{sql}");
        }
    }
}
