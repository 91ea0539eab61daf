//! Recursive queries whose values grow by themselves: `s || s` is a gigabyte after thirty steps, while a path that gains one name with
//! each step stays small. Told apart by taking the steps.

use std::collections::BTreeMap;

use sqlparser::ast::{Cte, Expr, Ident, Select, SelectItem, SetExpr, TableFactor};

use super::size::Sizes;
use crate::sql::names::folded;

/// Steps that are taken; what doubles has grown a million times by the twentieth.
const STEPS: usize = 40;

/// Whether values of the recursive query outgrow `most` bytes within a few steps.
pub(super) fn explodes(query: &Cte, column: u128, most: u128) -> bool {
    let SetExpr::SetOperation { left, right, .. } = query.query.body.as_ref() else { return false };
    let (Some(first), Some(step)) = (select(left), select(right)) else { return false };
    let names: Vec<String> = if query.alias.columns.is_empty() {
        first.projection.iter().map(title).collect()
    } else {
        query.alias.columns.iter().map(|column| folded(&column.name)).collect()
    };
    let own = aliases(step, &folded(&query.alias.name));
    let mut sizes: BTreeMap<String, u128> = names.iter().map(|name| (name.clone(), column)).collect();
    for _ in 0..STEPS {
        let named = |parts: &[Ident]| {
            let (name, qualifiers) = parts.split_last()?;
            let is_own = qualifiers.last().is_none_or(|qualifier| own.contains(&folded(qualifier)));
            if is_own { sizes.get(&folded(name)).copied() } else { None }
        };
        let now = Sizes { column, made: false, named: Some(&named) };
        let next: BTreeMap<String, u128> = names
            .iter()
            .zip(&step.projection)
            .filter_map(|(name, item)| Some((name.clone(), now.of(expression(item)?))))
            .collect();
        if next.values().any(|size| *size > most) {
            return true;
        }
        sizes.extend(next);
    }
    false
}

fn select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => select(&query.body),
        SetExpr::SetOperation { left, .. } => select(left),
        _ => None,
    }
}

fn expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// What a column is called; empty if nobody can name it.
fn title(item: &SelectItem) -> String {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => folded(alias),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => folded(name),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(folded).unwrap_or_default(),
        _ => String::new(),
    }
}

/// What the query calls itself in its step.
fn aliases(step: &Select, name: &str) -> Vec<String> {
    let joined = step.from.iter().flat_map(|table| table.joins.iter().map(|join| &join.relation));
    let tables = step.from.iter().map(|table| &table.relation).chain(joined);
    let own = tables.filter_map(|table| match table {
        TableFactor::Table { name: of, alias, .. } if of.to_string().trim_matches('"').eq_ignore_ascii_case(name) => {
            alias.as_ref().map(|alias| folded(&alias.name))
        }
        _ => None,
    });
    own.chain([name.to_owned()]).collect()
}
