//! A table of PostgreSQL → the statements that would make it again, as the server's own functions write each part.
//!
//! It stands apart from the rest of the catalogue because every name in it must be full: the parts are asked for without any search
//! path. Left out is who may do what with the table: its owner, rights and row security.

use serde::Deserialize;
use weft_kit::ToolError;

use super::Session;
use crate::sql::{Name, literal};

/// The parts of one table.
#[derive(Debug, Deserialize)]
struct Parts {
    name: String,
    /// What stands behind `CREATE`, as `UNLOGGED TABLE`.
    what: String,
    columns: Vec<String>,
    constraints: Vec<Constraint>,
    /// What stands behind the closing bracket.
    tail: String,
    /// Whose partition it is, and with which bounds.
    partition: Option<String>,
    /// Sequences that give columns their defaults: what makes each, and what ties it to its column.
    sequences: Vec<[String; 2]>,
    /// Indexes and triggers.
    more: Vec<String>,
    comment: Option<String>,
    comments: Vec<[String; 2]>,
}

#[derive(Debug, Deserialize)]
struct Constraint {
    text: String,
    /// The table that it refers to.
    schema: Option<String>,
    table: Option<String>,
}

const PARTS: &str = "SELECT jsonb_build_object('name', c.oid::regclass::text, \
    'what', CASE WHEN c.relkind = 'f' THEN 'FOREIGN TABLE' WHEN c.relpersistence = 'u' THEN 'UNLOGGED TABLE' ELSE 'TABLE' END, \
    'columns', (SELECT coalesce(jsonb_agg(quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod) || \
        coalesce((SELECT ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname) FROM pg_catalog.pg_collation l \
            JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
            WHERE l.oid = a.attcollation AND t.typcollation <> a.attcollation), '') || \
        CASE WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ')' || \
                CASE a.attgenerated WHEN 's' THEN ' STORED' ELSE ' VIRTUAL' END \
            WHEN a.attidentity <> '' THEN ' GENERATED ' || CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END || ' AS IDENTITY' || \
                coalesce((SELECT ' (START WITH ' || s.seqstart || ' INCREMENT BY ' || s.seqincrement || ')' FROM pg_catalog.pg_depend o \
                    JOIN pg_catalog.pg_sequence s ON s.seqrelid = o.objid WHERE o.classid = 'pg_catalog.pg_class'::regclass \
                    AND o.refclassid = o.classid AND o.refobjid = c.oid AND o.refobjsubid = a.attnum AND o.deptype = 'i' \
                    AND (s.seqstart, s.seqincrement) <> (1, 1)), '') \
            WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) ELSE '' END || \
        CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END ORDER BY a.attnum), '[]') FROM pg_catalog.pg_attribute a \
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attislocal), \
    'constraints', (SELECT coalesce(jsonb_agg(jsonb_build_object('text', 'CONSTRAINT ' || quote_ident(k.conname) || ' ' || \
        pg_catalog.pg_get_constraintdef(k.oid), 'schema', tn.nspname, 'table', t.relname) \
        ORDER BY array_position('{p,u,x,c,f}'::text[], k.contype::text), k.conname), '[]') \
        FROM pg_catalog.pg_constraint k LEFT JOIN pg_catalog.pg_class t ON t.oid = k.confrelid \
        LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
        WHERE k.conrelid = c.oid AND k.contype IN ('p','u','x','c','f') AND k.conislocal), \
    'tail', coalesce((SELECT ' INHERITS (' || string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno) || ')' \
            FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid AND NOT c.relispartition), '') || \
        CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_catalog.pg_get_partkeydef(c.oid) ELSE '' END || \
        coalesce((SELECT ' SERVER ' || quote_ident(v.srvname) FROM pg_catalog.pg_foreign_table ft \
            JOIN pg_catalog.pg_foreign_server v ON v.oid = ft.ftserver WHERE ft.ftrelid = c.oid), '') || \
        coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', ''), \
    'partition', (SELECT h.inhparent::regclass || ' ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid) \
        FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid AND c.relispartition), \
    'sequences', (SELECT coalesce(jsonb_agg(jsonb_build_array('CREATE SEQUENCE ' || s.seqrelid::regclass || ' AS ' || \
        pg_catalog.format_type(s.seqtypid, NULL) || CASE WHEN (s.seqstart, s.seqincrement) <> (1, 1) \
        THEN ' START WITH ' || s.seqstart || ' INCREMENT BY ' || s.seqincrement ELSE '' END, \
        'ALTER SEQUENCE ' || s.seqrelid::regclass || ' OWNED BY ' || c.oid::regclass || '.' || quote_ident(a.attname)) ORDER BY a.attnum), '[]') \
        FROM pg_catalog.pg_depend o JOIN pg_catalog.pg_sequence s ON s.seqrelid = o.objid \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.refobjsubid \
        WHERE o.classid = 'pg_catalog.pg_class'::regclass AND o.refclassid = o.classid AND o.refobjid = c.oid AND o.deptype = 'a'), \
    'more', (SELECT coalesce(jsonb_agg(m.text ORDER BY m.text), '[]') FROM (SELECT pg_catalog.pg_get_indexdef(x.indexrelid) AS text \
            FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k \
            WHERE k.conindid = x.indexrelid AND k.conrelid = c.oid AND k.contype IN ('p','u','x')) \
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = x.indexrelid) \
        UNION ALL SELECT pg_catalog.pg_get_triggerdef(g.oid) FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal) m), \
    'comment', pg_catalog.obj_description(c.oid, 'pg_class'), \
    'comments', (SELECT coalesce(jsonb_agg(jsonb_build_array(quote_ident(a.attname), pg_catalog.col_description(c.oid, a.attnum)) ORDER BY a.attnum), '[]') \
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        AND pg_catalog.col_description(c.oid, a.attnum) IS NOT NULL))::text \
    FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

/// The statements, with `;` behind each. They end the use of the search path in this transaction.
pub(super) async fn of(session: &mut Session<'_>, name: &Name) -> Result<String, ToolError> {
    session.run("SET LOCAL search_path = ''").await?;
    let found: Vec<Parts> = session.json(PARTS, &[Some(name.sql())]).await?;
    let shared = session.shared;
    // A reference to a table that may not be used would tell its name.
    let visible = |constraint: &Constraint| match &constraint.table {
        Some(table) => shared.may_use(&Name { schema: constraint.schema.clone(), name: table.clone() }),
        None => true,
    };
    Ok(found.first().map(|parts| written(parts, visible)).unwrap_or_default())
}

fn written(parts: &Parts, visible: impl Fn(&Constraint) -> bool) -> String {
    let name = &parts.name;
    let mut all: Vec<String> = parts.sequences.iter().map(|[make, _]| make.clone()).collect();
    let constraints = parts.constraints.iter().filter(|one| visible(one)).map(|one| &one.text);
    let lines: Vec<String> = parts.columns.iter().chain(constraints).map(|line| format!("  {line}")).collect();
    let body = if lines.is_empty() { " ()".to_owned() } else { format!(" (\n{}\n)", lines.join(",\n")) };
    all.push(match &parts.partition {
        Some(of) => format!("CREATE {} {name} PARTITION OF {of}{}", parts.what, parts.tail),
        None => format!("CREATE {} {name}{body}{}", parts.what, parts.tail),
    });
    all.extend(parts.sequences.iter().map(|[_, tie]| tie.clone()));
    all.extend(parts.more.iter().cloned());
    all.extend(parts.comment.iter().map(|text| format!("COMMENT ON TABLE {name} IS {}", literal(text))));
    let comment = |[column, text]: &[String; 2]| format!("COMMENT ON COLUMN {name}.{column} IS {}", literal(text));
    all.extend(parts.comments.iter().map(comment));
    all.iter().map(|statement| format!("{statement};")).collect::<Vec<_>>().join("\n")
}
