//! Which functions a statement may call: what the server's catalogue knows of each, and a list of those that lie.
//!
//! Allowed is what is in `pg_catalog` and not volatile, what comes with a well-known extension and is not volatile, a few harmless
//! volatile ones, and what the operator named. A name that also exists elsewhere is refused, so that nothing can be shadowed.

use serde::Deserialize;
use weft_kit::ToolError;

use super::{
    Session,
    known::{Called, Verdict},
    veil,
};
use crate::sql::{Checked, Kind, Name};

/// Volatile, and yet they change nothing and tell nothing.
const HARMLESS: [&str; 9] = [
    "random",
    "random_normal",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
    "clock_timestamp",
    "timeofday",
    "uuid_generate_v4",
    "isfinite",
];

/// In `pg_catalog`, and yet they run statements, read files or settings of others, wait, or change something.
const LYING: [&str; 24] = [
    "set_config",
    "setval",
    "nextval",
    "currval",
    "lastval",
    "setseed",
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xmlschema",
    "table_to_xml_and_xmlschema",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "schema_to_xml",
    "schema_to_xmlschema",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xmlschema",
    "database_to_xml_and_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "txid_current",
    "pg_current_xact_id",
];
const LYING_PREFIXES: [&str; 22] = [
    "lo_",
    "loread",
    "lowrite",
    "pg_read_",
    "pg_ls_",
    "pg_stat_file",
    "pg_sleep",
    "pg_terminate_",
    "pg_cancel_",
    "pg_notify",
    "pg_advisory_",
    "pg_try_advisory_",
    "pg_logical_",
    "pg_replication_",
    "pg_export_",
    "pg_import_",
    "pg_create_",
    "pg_drop_",
    "pg_file_",
    "pg_switch_",
    "pg_promote",
    "pg_reload_",
];

/// Extensions whose functions do what they say.
const TRUSTED: [&str; 16] = [
    "vector",
    "pg_trgm",
    "postgis",
    "unaccent",
    "fuzzystrmatch",
    "hstore",
    "ltree",
    "citext",
    "cube",
    "earthdistance",
    "intarray",
    "uuid-ossp",
    "pgcrypto",
    "btree_gin",
    "btree_gist",
    "isn",
];

/// What the grammar makes of a name before any function is looked for.
const GRAMMAR: [&str; 22] = [
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "grouping",
    "exists",
    "any",
    "all",
    "some",
    "row",
    "array",
    "xmlelement",
    "xmlforest",
    "xmlconcat",
    "xmlagg",
    "json_object",
    "json_array",
    "json_objectagg",
    "json_arrayagg",
    "merge_action",
    "unnest",
    "cast",
];

/// What the catalogue knows of a function.
#[derive(Deserialize)]
pub(super) struct Candidate {
    name: String,
    schema: String,
    volatility: String,
    extension: Option<String>,
}

const CANDIDATES: &str = "SELECT jsonb_build_object('name', p.proname, 'schema', n.nspname, 'volatility', p.provolatile, 'extension', e.extname)::text \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
    WHERE p.proname IN (SELECT jsonb_array_elements_text($1::jsonb))";

/// Fails if a function of the statement may not be called.
pub(super) async fn check(session: &mut Session<'_>, checked: &Checked) -> Result<(), ToolError> {
    let known = &session.shared.known;
    let mut asked = Vec::new();
    for name in &checked.functions {
        let called = Called::Function(name.clone());
        match known.of(&called) {
            Some(verdict) => verdict.map_err(|why| refused(&called, &why))?,
            None => asked.push(name.clone()),
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let names = serde_json::to_string(&asked.iter().map(|name| &name.name).collect::<Vec<_>>()).unwrap_or_default();
    let found: Vec<Candidate> = session.json(CANDIDATES, &[Some(names)]).await?;
    for name in asked {
        let verdict = judge(session, checked.kind, &name, &found);
        let called = Called::Function(name);
        // What a change of tables may call is not what a read may call.
        if checked.kind != Kind::Schema {
            known.keep(called.clone(), &verdict);
        }
        verdict.map_err(|why| refused(&called, &why))?;
    }
    Ok(())
}

fn judge(session: &Session<'_>, kind: Kind, name: &Name, found: &[Candidate]) -> Result<(), String> {
    let of_name = found.iter().filter(|candidate| candidate.name == name.name);
    let candidates: Vec<&Candidate> =
        of_name.filter(|candidate| name.schema.as_ref().is_none_or(|schema| *schema == candidate.schema)).collect();
    let short = name.name.as_str();
    if candidates.is_empty() {
        let is_grammar = name.schema.is_none() && GRAMMAR.contains(&short);
        // Unknown names are the server's to refuse; those of the deny list are never asked for.
        return if is_grammar || !lies(short) { Ok(()) } else { Err("it may not be called here".to_owned()) };
    }
    let numbers = kind == Kind::Schema && short == "nextval";
    let judged = candidates.into_iter().filter(|candidate| !(numbers && candidate.schema == "pg_catalog"));
    judged.into_iter().try_for_each(|candidate| candidate.judge(session))
}

impl Candidate {
    /// Whether it comes with an extension and promises to change nothing.
    pub(super) fn is_promised(&self) -> bool {
        self.extension.is_some() && self.volatility != "v"
    }

    pub(super) fn judge(&self, session: &Session<'_>) -> Verdict {
        let short = self.name.as_str();
        let full = format!("{}.{short}", self.schema);
        let builtin = self.schema == "pg_catalog";
        if !builtin && session.shared.functions.is_match(&full) {
            return Ok(());
        }
        let volatile = self.volatility == "v" && !HARMLESS.contains(&short);
        let trusted = self.extension.as_deref().is_some_and(|extension| TRUSTED.contains(&extension));
        if builtin && lies(short) {
            return Err("it may not be called here".to_owned());
        }
        if builtin && session.shared.restricted && veil::tells(short) {
            return Err("it tells of more than the connection allows".to_owned());
        }
        if builtin && volatile {
            return Err("it may change something or depend on more than its arguments".to_owned());
        }
        if builtin || (trusted && !volatile) {
            return Ok(());
        }
        Err(format!("{full} is a function of this database, and not among the `functions` of the connection"))
    }
}

fn lies(name: &str) -> bool {
    LYING.contains(&name) || LYING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What whoever used it is told.
pub(super) fn refused(called: &Called, why: &str) -> ToolError {
    ToolError::refused(format!("{called} is not called here: {why}"))
}
