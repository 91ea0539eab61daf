//! What is in the database, from its own catalogue. Every text here is ours; what callers give is bound.

use weft_kit::{Call, ToolError};

use super::{Mode, Session, Shared, ddl};
use crate::sql::{Described, Name, Object, ObjectKind, Relation, Wanted};

const TABLES: &str = "SELECT jsonb_build_object('kind', CASE WHEN c.relkind IN ('v','m') THEN 'view' ELSE 'table' END, \
    'schema', n.nspname, 'name', c.relname, 'rows', CASE WHEN c.reltuples >= 0 AND c.relkind <> 'v' THEN c.reltuples::bigint END, \
    'bytes', CASE WHEN c.relkind <> 'v' THEN pg_catalog.pg_total_relation_size(c.oid) END, \
    'comment', pg_catalog.obj_description(c.oid, 'pg_class'))::text \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = ANY(string_to_array($5, ',')::\"char\"[]) AND NOT c.relispartition AND c.relname ILIKE $1 \
    AND n.nspname = ANY(string_to_array($2, ',')) AND ($6::text IS NULL OR c.relname = $6) \
    AND ($7::text IS NULL OR c.oid = ANY(string_to_array($7, ',')::oid[])) \
    ORDER BY n.nspname, c.relname OFFSET $3::bigint LIMIT $4::bigint";
const COLUMNS: &str = "SELECT jsonb_build_object('kind', 'column', 'schema', n.nspname, 'table', c.relname, 'name', a.attname, \
    'definition', pg_catalog.format_type(a.atttypid, a.atttypmod), 'comment', pg_catalog.col_description(c.oid, a.attnum))::text \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = ANY(string_to_array($5, ',')::\"char\"[]) AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped \
    AND a.attname ILIKE $1 AND n.nspname = ANY(string_to_array($2, ',')) AND ($6::text IS NULL OR c.relname = $6) \
    AND ($7::text IS NULL OR c.oid = ANY(string_to_array($7, ',')::oid[])) \
    ORDER BY n.nspname, c.relname, a.attnum OFFSET $3::bigint LIMIT $4::bigint";
const INDEXES: &str = "SELECT jsonb_build_object('kind', 'index', 'schema', n.nspname, 'table', c.relname, 'name', i.relname, \
    'definition', pg_catalog.pg_get_indexdef(i.oid), 'bytes', pg_catalog.pg_relation_size(i.oid))::text \
    FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = ANY(string_to_array($5, ',')::\"char\"[]) AND i.relname ILIKE $1 AND n.nspname = ANY(string_to_array($2, ',')) \
    AND ($6::text IS NULL OR c.relname = $6) AND ($7::text IS NULL OR c.oid = ANY(string_to_array($7, ',')::oid[])) \
    ORDER BY n.nspname, c.relname, i.relname OFFSET $3::bigint LIMIT $4::bigint";
const FUNCTIONS: &str = "SELECT jsonb_build_object('kind', 'function', 'schema', n.nspname, 'name', p.proname, \
    'definition', p.proname || '(' || pg_catalog.pg_get_function_arguments(p.oid) || ')' || \
    coalesce(' returns ' || pg_catalog.pg_get_function_result(p.oid), ''), \
    'comment', pg_catalog.obj_description(p.oid, 'pg_proc'))::text \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    WHERE $5 <> '' AND $6::text IS NULL AND p.proname ILIKE $1 AND n.nspname = ANY(string_to_array($2, ',')) \
    ORDER BY n.nspname, p.proname, p.oid OFFSET $3::bigint LIMIT $4::bigint";
const SCHEMAS: &str = "SELECT jsonb_build_object('kind', 'schema', 'name', n.nspname, \
    'rows', (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r','p','v','m','f') AND NOT c.relispartition \
        AND ($7::text IS NULL OR c.oid = ANY(string_to_array($7, ',')::oid[]))), \
    'definition', 'rows counts its tables and views', 'comment', pg_catalog.obj_description(n.oid, 'pg_namespace'))::text \
    FROM pg_catalog.pg_namespace n WHERE $5 <> '' AND $6::text IS NULL AND n.nspname ILIKE $1 AND n.nspname = ANY(string_to_array($2, ',')) \
    ORDER BY n.nspname OFFSET $3::bigint LIMIT $4::bigint";

/// Objects by name, in the schemas that the connection allows.
pub(super) async fn objects(shared: &Shared, call: &Call, wanted: &Wanted) -> Result<Vec<Object>, ToolError> {
    let mut session = shared.begin(call, Mode::Read).await?;
    let found = find(&mut session, wanted).await;
    session.rollback().await;
    found
}

async fn find(session: &mut Session<'_>, wanted: &Wanted) -> Result<Vec<Object>, ToolError> {
    let (sql, kinds) = match wanted.kind {
        ObjectKind::Schema => (SCHEMAS, "r"),
        ObjectKind::Table => (TABLES, "r,p,f"),
        ObjectKind::View => (TABLES, "v,m"),
        ObjectKind::Column => (COLUMNS, "r,p,f,v,m"),
        ObjectKind::Index => (INDEXES, "r,p,m"),
        ObjectKind::Function => (FUNCTIONS, "r"),
    };
    let schemas = session.schemas(wanted.schema.as_deref()).await?;
    let allowed = session.allowed(&schemas).await?;
    let params = [
        Some(wanted.pattern.clone()),
        Some(schemas.join(",")),
        Some(wanted.skip.to_string()),
        Some(wanted.take.to_string()),
        Some(kinds.to_owned()),
        wanted.table.clone(),
        allowed,
    ];
    // Functions belong to no table.
    let used = if wanted.kind == ObjectKind::Function { &params[..6] } else { &params[..] };
    session.json(sql, used).await
}

impl Session<'_> {
    /// The relations that may be used, by their oids; `None` where all may. The server must know them: what is left out after a page
    /// was cut would leave holes in it.
    async fn allowed(&mut self, schemas: &[String]) -> Result<Option<String>, ToolError> {
        if self.shared.tables.is_empty() {
            return Ok(None);
        }
        let sql = "SELECT c.oid::text, n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
                   ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','f','v','m') AND n.nspname = ANY(string_to_array($1, ','))";
        let found: Vec<(String, String, String)> = sqlx::query_as(sql)
            .bind(schemas.join(","))
            .fetch_all(&mut *self.connection)
            .await
            .map_err(|error| self.wrong(&error))?;
        let allowed = found
            .into_iter()
            .filter(|(_, schema, name)| self.shared.may_use(&Name { schema: Some(schema.clone()), name: name.clone() }))
            .map(|(oid, ..)| oid);
        Ok(Some(allowed.collect::<Vec<_>>().join(",")))
    }

    /// The schemas to look in: the one that was asked for, all allowed ones, or all that are not the system's.
    async fn schemas(&mut self, asked: Option<&str>) -> Result<Vec<String>, ToolError> {
        if let Some(asked) = asked {
            let allowed = !self.shared.restricted || self.shared.schemas.iter().any(|schema| schema == asked);
            return Ok(if allowed { vec![asked.to_owned()] } else { Vec::new() });
        }
        if self.shared.restricted {
            return Ok(self.shared.schemas.clone());
        }
        let sql = "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%' \
                   AND nspname NOT LIKE '%,%'";
        sqlx::query_scalar(sql).fetch_all(&mut *self.connection).await.map_err(|error| self.wrong(&error))
    }
}

const TABLE: &str = "SELECT jsonb_build_object('schema', n.nspname, 'name', c.relname, \
    'kind', CASE WHEN c.relkind IN ('v','m') THEN 'view' ELSE 'table' END, 'comment', pg_catalog.obj_description(c.oid, 'pg_class'), \
    'rows', CASE WHEN c.reltuples >= 0 AND c.relkind <> 'v' THEN c.reltuples::bigint END, \
    'bytes', CASE WHEN c.relkind <> 'v' THEN pg_catalog.pg_total_relation_size(c.oid) END, \
    'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod), \
        'nullable', NOT a.attnotnull, 'default', CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
        'generated', CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
        'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END, \
        'comment', pg_catalog.col_description(c.oid, a.attnum), \
        'key', (SELECT array_position(k.conkey, a.attnum) FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')) \
        ORDER BY a.attnum), '[]') FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
    'indexes', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', i.relname, 'unique', x.indisunique, 'definition', pg_catalog.pg_get_indexdef(i.oid), \
        'bytes', pg_catalog.pg_relation_size(i.oid), 'columns', (SELECT jsonb_agg(pg_catalog.pg_get_indexdef(i.oid, g, true) ORDER BY g) \
        FROM generate_series(1, x.indnkeyatts) g)) ORDER BY i.relname), '[]') \
        FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), \
    'checks', (SELECT coalesce(jsonb_agg(pg_catalog.pg_get_constraintdef(k.oid) ORDER BY k.conname), '[]') FROM pg_catalog.pg_constraint k \
        WHERE k.conrelid = c.oid AND k.contype IN ('c', 'x')), \
    'references', '[]'::jsonb, 'referenced_by', '[]'::jsonb, \
    'ddl', CASE WHEN c.relkind = 'v' THEN 'CREATE VIEW ' || c.oid::regclass || ' AS ' || pg_catalog.pg_get_viewdef(c.oid, true) \
        WHEN c.relkind = 'm' THEN 'CREATE MATERIALIZED VIEW ' || c.oid::regclass || ' AS ' || pg_catalog.pg_get_viewdef(c.oid, true) ELSE '' END)::text \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r','p','v','m','f')";

const RELATIONS: &str = "SELECT jsonb_build_object('name', k.conname, 'from', fn.nspname || '.' || f.relname, 'to', tn.nspname || '.' || t.relname, \
    'columns', (SELECT jsonb_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(c, n) JOIN pg_catalog.pg_attribute a ON a.attrelid = f.oid AND a.attnum = u.c), \
    'to_columns', (SELECT jsonb_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(c, n) JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.c), \
    'on_delete', CASE k.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'd' THEN 'set default' WHEN 'r' THEN 'restrict' ELSE 'no action' END)::text \
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class f ON f.oid = k.conrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace \
    JOIN pg_catalog.pg_class t ON t.oid = k.confrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
    WHERE k.contype = 'f' AND k.conparentid = 0 AND (fn.nspname = ANY(string_to_array($1, ',')) OR tn.nspname = ANY(string_to_array($1, ','))) \
    ORDER BY fn.nspname, f.relname, k.conname";

/// One table or view, with everything that belongs to it.
pub(super) async fn describe(shared: &Shared, call: &Call, name: &Name) -> Result<Described, ToolError> {
    let mut session = shared.begin(call, Mode::Read).await?;
    let found = async {
        let mut found: Vec<Described> = session.json(TABLE, &[Some(name.sql())]).await?;
        let missing =
            || ToolError::not_found(format!("there is no table or view {name}")).hint("search_objects finds names");
        let mut table = found.pop().ok_or_else(missing)?;
        let full = Name { schema: table.schema.clone(), name: table.name.clone() };
        if !shared.may_use(&full) {
            return Err(missing());
        }
        let all = session.relations(table.schema.as_deref()).await?;
        let own = full.to_string();
        table.references = all.iter().filter(|relation| relation.from == own).cloned().collect();
        table.referenced_by = all.into_iter().filter(|relation| relation.to == own).collect();
        match table.kind {
            ObjectKind::Table => table.ddl = ddl::of(&mut session, &full).await?,
            _ if !session.sources(&full).await?.iter().all(|source| shared.may_use(source)) => {
                crate::sql::HIDDEN.clone_into(&mut table.ddl);
            }
            _ => {}
        }
        Ok(table)
    };
    let found = found.await;
    session.rollback().await;
    found
}

/// All references between tables.
pub(super) async fn relations(shared: &Shared, call: &Call, schema: Option<&str>) -> Result<Vec<Relation>, ToolError> {
    let mut session = shared.begin(call, Mode::Read).await?;
    let found = session.relations(schema).await;
    session.rollback().await;
    found
}

impl Session<'_> {
    /// The relations that a view reads.
    async fn sources(&mut self, view: &Name) -> Result<Vec<Name>, ToolError> {
        let sql = "SELECT DISTINCT n.nspname::text, c.relname::text FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.objid = r.oid \
                   AND d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass \
                   JOIN pg_catalog.pg_class c ON c.oid = d.refobjid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE r.ev_class = pg_catalog.to_regclass($1) AND c.oid <> r.ev_class";
        let found: Vec<(String, String)> = sqlx::query_as(sql)
            .bind(view.sql())
            .fetch_all(&mut *self.connection)
            .await
            .map_err(|error| self.wrong(&error))?;
        Ok(found.into_iter().map(|(schema, name)| Name { schema: Some(schema), name }).collect())
    }

    async fn relations(&mut self, schema: Option<&str>) -> Result<Vec<Relation>, ToolError> {
        let schemas = self.schemas(schema).await?;
        let found: Vec<Relation> = self.json(RELATIONS, &[Some(schemas.join(","))]).await?;
        let visible = |name: &str| self.shared.may_use(&Name::of(None, name));
        Ok(found.into_iter().filter(|relation| visible(&relation.from) && visible(&relation.to)).collect())
    }
}
