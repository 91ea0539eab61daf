//! Every node of a statement, looked at once: what it names is collected, what may not be there is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visitor};
use weft_kit::ToolError;

use super::{Dialect, Kind, bombs::Bombs, operators};
use crate::sql::names::{Name, folded};

/// What was seen so far.
pub(super) struct Seen {
    dialect: Dialect,
    kind: Kind,
    statements: usize,
    /// How often each was named as a relation; calls in `FROM` are named like relations and are taken off again.
    relations: BTreeMap<Name, i32>,
    pub(super) common: BTreeSet<String>,
    pub(super) functions: BTreeSet<Name>,
    pub(super) operators: BTreeSet<String>,
    pub(super) casts: BTreeSet<String>,
    bombs: Bombs,
}

type Go = ControlFlow<ToolError>;

fn refuse(message: &str) -> Go {
    ControlFlow::Break(ToolError::refused(message))
}

impl Seen {
    pub(super) fn new(dialect: Dialect, kind: Kind) -> Self {
        let (relations, common, functions) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let (operators, casts) = (BTreeSet::new(), BTreeSet::new());
        Self { dialect, kind, statements: 0, relations, common, functions, operators, casts, bombs: Bombs::new() }
    }

    /// The tables and views that were named.
    pub(super) fn relations(&self) -> Vec<Name> {
        self.relations.iter().filter(|(_, times)| **times > 0).map(|(name, _)| name.clone()).collect()
    }

    fn function(&mut self, name: &ObjectName) -> Go {
        match Name::parsed(name) {
            Ok(name) => {
                self.functions.insert(name);
                ControlFlow::Continue(())
            }
            Err(refusal) => ControlFlow::Break(refusal),
        }
    }

    /// A table, view, index or sequence that is named.
    pub(super) fn relation(&mut self, relation: &ObjectName) -> Go {
        let name = match Name::parsed(relation) {
            Ok(name) => name,
            Err(refusal) => return ControlFlow::Break(refusal),
        };
        let schema = name.schema.as_deref().unwrap_or_default();
        if schema.eq_ignore_ascii_case("temp") || schema.starts_with("pg_temp") {
            return refuse("temporary objects would be seen by whoever gets the connection next: use another schema");
        }
        *self.relations.entry(name).or_default() += 1;
        ControlFlow::Continue(())
    }

    /// A call where a table could stand.
    fn table_function(&mut self, name: &ObjectName, counted: bool) -> Go {
        if let (true, Ok(name)) = (counted, Name::parsed(name)) {
            *self.relations.entry(name).or_default() -= 1;
        }
        self.function(name)
    }

    /// The parts of a query that are no queries of their own.
    fn body(&self, body: &SetExpr) -> Go {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left)?;
                self.body(right)
            }
            SetExpr::Table(_) => refuse("write SELECT * FROM … instead of TABLE …"),
            // The write itself was classified; one inside of another statement is counted as a second statement.
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
                if self.kind != Kind::Read =>
            {
                ControlFlow::Continue(())
            }
            _ => refuse("a query that reads may hold no statement that writes"),
        }
    }
}

impl Visitor for Seen {
    type Break = ToolError;

    fn pre_visit_statement(&mut self, statement: &Statement) -> Go {
        self.statements += 1;
        // `WITH … INSERT …` is a query around the statement that writes.
        let wrapped = matches!(statement, Statement::Query(query) if self.kind != Kind::Read && !matches!(query.body.as_ref(), SetExpr::Select(_)));
        if wrapped {
            self.statements -= 1;
        }
        if self.statements > 1 {
            return refuse("a statement that writes may not stand inside of another");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> Go {
        if !query.locks.is_empty() {
            return refuse("FOR UPDATE and FOR SHARE lock rows and are not run");
        }
        let odd = query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some();
        if odd || !query.pipe_operators.is_empty() {
            return refuse("the query holds a clause of another database");
        }
        if let Err(refusal) = self.bombs.enter(query) {
            return ControlFlow::Break(refusal);
        }
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.common.insert(folded(&table.alias.name));
        }
        self.body(&query.body)
    }

    fn post_visit_query(&mut self, query: &Query) -> Go {
        self.bombs.leave(query).map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    fn post_visit_statement(&mut self, _: &Statement) -> Go {
        self.bombs.judge().map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Go {
        if select.into.is_some() {
            return refuse("SELECT … INTO makes a table; use migrate");
        }
        let odd = !select.optimizer_hints.is_empty()
            || select.top.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.select_modifiers.is_some()
            || select.exclude.is_some()
            || select.value_table_mode.is_some();
        if operators::compares(select) {
            self.operators.insert("=".to_owned());
        }
        if odd { refuse("the query holds a clause of another database") } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Go {
        self.relation(relation)
    }

    fn post_visit_table_factor(&mut self, table: &TableFactor) -> Go {
        self.bombs.leave_table(table);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Go {
        self.bombs.enter_table(table);
        match table {
            TableFactor::Table { name, args: Some(_), .. } => self.table_function(name, true),
            TableFactor::Function { name, .. } => self.table_function(name, false),
            TableFactor::Table { version: None, json_path: None, index_hints, with_hints, partitions, .. }
                if index_hints.is_empty() && with_hints.is_empty() && partitions.is_empty() =>
            {
                ControlFlow::Continue(())
            }
            TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::XmlTable { .. } => ControlFlow::Continue(()),
            // `TABLE(f())`: the expression is visited.
            TableFactor::TableFunction { .. } => ControlFlow::Continue(()),
            _ => refuse("the query reads from something that cannot be checked"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Go {
        self.operators.extend(operators::of(expr));
        match expr {
            Expr::Cast { data_type, .. } => {
                self.casts.insert(data_type.to_string());
                ControlFlow::Continue(())
            }
            Expr::Function(call) => {
                self.bombs.call(call);
                self.function(&call.name)
            }
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(parts), .. }
                if parts.first().is_none_or(|schema| schema != "pg_catalog") || parts.len() != 2 =>
            {
                refuse("operators of other schemas than pg_catalog are not run")
            }
            Expr::TypedString(_) if self.dialect == Dialect::Sqlite => refuse("SQLite has no typed strings"),
            _ => ControlFlow::Continue(()),
        }
    }
}
