//! A service over scratch databases: SQLite always, PostgreSQL where one is installed.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use weft_database::{Access, PostgresSettings, Rights, Settings, SqliteSettings, service};
use weft_kit::{Called, Confirm, Direct, Reference, Rules};

/// A shop: customers, orders, and what can be done wrong.
pub(crate) const SHOP: &str = "CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, city text, rating double precision);\
    CREATE TABLE orders (id integer PRIMARY KEY, customer integer NOT NULL REFERENCES customers (id) ON DELETE CASCADE, day text, total double precision);\
    CREATE INDEX orders_by_customer ON orders (customer);\
    CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 100;\
    INSERT INTO customers VALUES (1, 'Ada', 'London', 4.5), (2, 'Bob', NULL, 3.0), (3, 'Cyd', 'Paris', NULL);\
    INSERT INTO orders VALUES (1, 1, '2026-01-01', 20.5), (2, 1, '2026-01-02', 120.0), (3, 2, '2026-01-03', 300.0)";

pub(crate) struct Desk {
    pub(crate) direct: Direct,
    pub(crate) folder: tempfile::TempDir,
    /// The database behind `main`, in PostgreSQL.
    url: Option<String>,
}

pub(crate) fn access(rights: Rights) -> Access {
    Access { rights, ..Access::default() }
}

pub(crate) fn sqlite(path: &std::path::Path, rights: Rights) -> SqliteSettings {
    SqliteSettings { access: access(rights), ..SqliteSettings::new("main".to_owned(), path.to_owned()) }
}

pub(crate) fn postgres(url: &str, rights: Rights) -> PostgresSettings {
    let mut own = PostgresSettings::new("main".to_owned(), Reference::Text(url.to_owned()), access(rights));
    // A pause of the whole machine is no reason to give up.
    (own.limits.acquire_ms, own.limits.statement_ms) = (60_000, 100_000);
    own
}

impl Desk {
    pub(crate) fn of(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = Rules { confirm: Confirm::AutoIfLowRisk, ..Rules::default() };
        let direct = Direct::new(service(settings, folder.path()).unwrap(), rules).unwrap();
        Self { direct, folder, url: None }
    }

    /// The embedded database with the shop in it.
    pub(crate) async fn sqlite() -> Self {
        let desk = Self::of(Settings::default());
        desk.migrate().await;
        desk
    }

    /// A database of its own in PostgreSQL, owned by a role that may do nothing special.
    pub(crate) async fn postgres() -> Option<Self> {
        let url = fresh().await?;
        let desk = Self::of(Settings { postgres: vec![postgres(&url, Rights::Migrate)], ..Settings::default() });
        desk.migrate().await;
        Some(Self { url: Some(url), ..desk })
    }

    /// Another service over the same database of PostgreSQL, with other settings of it.
    pub(crate) fn again(&self, change: impl FnOnce(&mut PostgresSettings)) -> Self {
        let mut own = postgres(self.url.as_deref().unwrap(), Rights::Migrate);
        change(&mut own);
        Self::of(Settings { postgres: vec![own], ..Settings::default() })
    }

    /// The superuser in its database.
    pub(crate) async fn admin(&self) -> Admin {
        let database = self.url.as_deref().unwrap().rsplit('/').next().unwrap().split('?').next().unwrap();
        Admin::of(&weft_testkit::postgres().unwrap().url(database)).await
    }

    async fn migrate(&self) {
        let called = self.call("migrate", json!({"name": "shop", "up": SHOP, "down": "DROP VIEW big_orders; DROP TABLE orders; DROP TABLE customers"})).await;
        let applied = ok(called).data()["applied"].as_bool();
        assert_eq!(applied, Some(true));
    }

    /// Calls a tool on the connection `main`.
    pub(crate) async fn call(&self, tool: &str, mut arguments: Value) -> Called {
        arguments["connection"] = json!("main");
        self.direct.call(tool, arguments).await
    }

    /// The rows of a query.
    pub(crate) async fn rows(&self, sql: &str) -> Value {
        ok(self.call("query", json!({"sql": sql})).await).data()["rows"].clone()
    }
}

/// The URL of a new database and role.
pub(crate) async fn fresh() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = weft_testkit::postgres()?;
    let name = format!("shop_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let admin = Admin::of(&server.url("postgres")).await;
    admin.run(&format!("CREATE ROLE {name} LOGIN")).await;
    admin.run(&format!("CREATE DATABASE {name} OWNER {name}")).await;
    Some(server.url_as(&name, &name))
}

/// A connection of the superuser, past the service.
pub(crate) struct Admin(sqlx::PgPool);

impl Admin {
    pub(crate) async fn of(url: &str) -> Self {
        Self(sqlx::PgPool::connect(url).await.unwrap())
    }

    pub(crate) async fn run(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&self.0)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&self.0).await.unwrap()
    }
}

#[track_caller]
pub(crate) fn ok(called: Called) -> Called {
    assert!(!called.is_error, "{}", called.structured);
    called
}

#[track_caller]
pub(crate) fn refused(called: &Called, codes: &[&str]) {
    assert!(called.is_error, "{}", called.structured);
    assert!(codes.contains(&called.code()), "{}", called.structured);
}
