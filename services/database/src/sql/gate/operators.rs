//! An expression → the operators that PostgreSQL will look up for it, by name: each is a function in disguise, and anybody who may make
//! functions may make operators. Many are not written as such: `IN` looks for `=`, `LIKE` for `~~`, `BETWEEN` for `>=` and `<=`.

use sqlparser::ast::{BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Select, UnaryOperator};

/// The operators of one node.
pub(super) fn of(expr: &Expr) -> Vec<String> {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match expr {
        Expr::BinaryOp { op, .. } | Expr::AnyOp { compare_op: op, .. } | Expr::AllOp { compare_op: op, .. } => {
            binary(op)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, .. } => Vec::new(),
        Expr::UnaryOp { op, .. } => vec![op.to_string()],
        Expr::Like { negated, .. } => named(if *negated { &["!~~"] } else { &["~~"] }),
        Expr::ILike { negated, .. } => named(if *negated { &["!~~*"] } else { &["~~*"] }),
        Expr::SimilarTo { negated, .. } => named(if *negated { &["!~"] } else { &["~"] }),
        Expr::Between { negated, .. } => named(if *negated { &["<", ">"] } else { &["<=", ">="] }),
        Expr::InList { negated, .. } | Expr::InSubquery { negated, .. } | Expr::InUnnest { negated, .. } => {
            named(if *negated { &["<>", "="] } else { &["="] })
        }
        Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) | Expr::Case { operand: Some(_), .. } => named(&["="]),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("nullif") => named(&["="]),
        _ => Vec::new(),
    }
}

fn binary(op: &BinaryOperator) -> Vec<String> {
    match op {
        BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor | BinaryOperator::Overlaps => Vec::new(),
        // Of `pg_catalog`: everything else was refused.
        BinaryOperator::PGCustomBinaryOperator(_) => Vec::new(),
        other => vec![other.to_string()],
    }
}

/// Whether a join compares columns without an expression that says so.
pub(super) fn compares(select: &Select) -> bool {
    let joins = select.from.iter().flat_map(|table| &table.joins);
    joins.filter_map(constraint).any(|by| matches!(by, JoinConstraint::Using(_) | JoinConstraint::Natural))
}

fn constraint(join: &Join) -> Option<&JoinConstraint> {
    match &join.join_operator {
        JoinOperator::Join(by)
        | JoinOperator::Inner(by)
        | JoinOperator::Left(by)
        | JoinOperator::LeftOuter(by)
        | JoinOperator::Right(by)
        | JoinOperator::RightOuter(by)
        | JoinOperator::FullOuter(by) => Some(by),
        _ => None,
    }
}
