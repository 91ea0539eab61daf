//! Operators and casts that somebody made, judged as the functions that they are: `1 <=> 2` may run what `f(1, 2)` would.
//!
//! Those of `pg_catalog` are the server's own and fine. An operator is asked for by its name alone, because the parser knows no types;
//! so a made one that would be refused takes all of its name with it. An extension's operators are let through where they promise to
//! change nothing: whoever installed it meant them to be used, and comparing its types needs `=`.

use serde::Deserialize;
use weft_kit::ToolError;

use super::{
    Session,
    functions::{self, Candidate},
    known::Called,
};
use crate::sql::Checked;

#[derive(Deserialize)]
struct Made {
    /// The operator's name, or the type as the statement writes it.
    used: String,
    #[serde(flatten)]
    function: Candidate,
}

/// Only what a name without a schema can mean: one that is hidden behind the server's own of the same types cannot be meant.
const OPERATORS: &str = "SELECT jsonb_build_object('used', o.oprname, 'name', p.proname, 'schema', n.nspname, 'volatility', p.provolatile, 'extension', e.extname)::text \
    FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e' \
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
    WHERE o.oprname IN (SELECT jsonb_array_elements_text($1::jsonb)) AND o.oprnamespace <> 'pg_catalog'::regnamespace \
    AND pg_catalog.pg_operator_is_visible(o.oid)";

/// Casts to a type, to the elements of an array and to what a domain is made of. Numbers below 16384 are the server's own.
const CASTS: &str = "SELECT jsonb_build_object('used', u.name, 'name', p.proname, 'schema', n.nspname, 'volatility', p.provolatile, 'extension', e.extname)::text \
    FROM (SELECT jsonb_array_elements_text($1::jsonb)) AS u(name) JOIN pg_catalog.pg_type t ON t.oid = pg_catalog.to_regtype(u.name) \
    JOIN pg_catalog.pg_cast c ON c.casttarget IN (t.oid, t.typelem, t.typbasetype) \
    JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'e' \
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
    WHERE c.oid >= 16384";

/// Fails if an operator or a cast of the statement may not be used.
pub(super) async fn check(session: &mut Session<'_>, checked: &Checked) -> Result<(), ToolError> {
    let operators = checked.operators.iter().cloned().map(Called::Operator).collect();
    judge(session, OPERATORS, operators).await?;
    casts(session, &checked.casts).await
}

/// Fails if a cast to one of these types may not be used.
pub(super) async fn casts<'t>(
    session: &mut Session<'_>,
    types: impl IntoIterator<Item = &'t String>,
) -> Result<(), ToolError> {
    judge(session, CASTS, types.into_iter().cloned().map(Called::CastTo).collect()).await
}

async fn judge(session: &mut Session<'_>, candidates: &'static str, called: Vec<Called>) -> Result<(), ToolError> {
    let mut asked = Vec::new();
    for one in called {
        match session.shared.known.of(&one) {
            Some(verdict) => verdict.map_err(|why| functions::refused(&one, &why))?,
            None => asked.push(one),
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let names = serde_json::to_string(&asked.iter().map(name).collect::<Vec<_>>()).unwrap_or_default();
    let found: Vec<Made> = session.json(candidates, &[Some(names)]).await?;
    for one in asked {
        let made = found.iter().filter(|made| made.used == name(&one)).map(|made| &made.function);
        let verdict = made.filter(|function| !function.is_promised()).try_for_each(|function| function.judge(session));
        session.shared.known.keep(one.clone(), &verdict);
        verdict.map_err(|why| functions::refused(&one, &why))?;
    }
    Ok(())
}

fn name(called: &Called) -> &str {
    match called {
        Called::Function(name) => &name.name,
        Called::Operator(name) | Called::CastTo(name) => name,
    }
}
