//! The Redis tools against real servers: started here on free ports with data that is thrown away, killed when the test ends.
//!
//! `WEFT_REDIS_SERVER` names the `redis-server` program; without it these tests say so and pass.

mod attacks;
mod many;
mod more;
mod plain;
mod servers;

use serde_json::{Value, json};
use servers::Server;
use weft_kit::{Called, Caller, Direct, Reference, Rules};

use super::RedisSettings;
use crate::{Access, Rights, Settings};

/// The user of the tests' access list: what an operator would give this service, and no more.
const ACL: &str = "user default off\n\
    user admin on >admin-secret ~* &* +@all\n\
    user app on >app-secret ~app:* &app:* &app:local:* -@all +@read +@write +@connection +@pubsub +@transaction -@dangerous\n";

/// How long a command may take: a pause of the whole machine is no reason to give up.
const PATIENCE_MS: u64 = 60_000;

/// A server with the access list, if there is the program for one.
fn guarded() -> Option<Server> {
    Server::start(|dir| {
        let path = dir.join("users.acl");
        std::fs::write(&path, ACL).unwrap();
        vec!["--aclfile".to_owned(), path.display().to_string()]
    })
}

/// The settings of the user `app` on it, named `cache`.
fn app(server: &Server) -> RedisSettings {
    RedisSettings {
        user: Some("app".to_owned()),
        password: Some(Reference::Text("app-secret".to_owned())),
        prefix: "app:{tenant}:".to_owned(),
        timeout_ms: PATIENCE_MS,
        ..RedisSettings::new("cache", server.url())
    }
}

/// The settings of the user who may do everything, without a prefix.
fn admin(server: &Server) -> RedisSettings {
    RedisSettings {
        user: Some("admin".to_owned()),
        password: Some(Reference::Text("admin-secret".to_owned())),
        timeout_ms: PATIENCE_MS,
        ..RedisSettings::new("all", server.url())
    }
}

/// The tools over these connections.
fn desk(redis: impl IntoIterator<Item = RedisSettings>) -> Direct {
    let with_rights = |own: RedisSettings| {
        let rights = if own.read_only { Rights::ReadOnly } else { Rights::ReadWrite };
        RedisSettings { access: Access { rights, ..Access::default() }, ..own }
    };
    let settings = Settings { redis: redis.into_iter().map(with_rights).collect(), ..Settings::default() };
    let service = crate::service(settings, std::path::Path::new("/nowhere")).unwrap();
    Direct::new(service, Rules::default()).unwrap()
}

/// A caller of this tenant.
fn tenant(name: &str) -> Caller {
    Caller { id: format!("someone of {name}"), namespace: name.to_owned(), roles: Vec::new() }
}

/// Calls a tool on `cache` and gives its data, which it must have.
async fn data(desk: &Direct, tool: &str, arguments: Value) -> Value {
    done(call(desk, tool, arguments).await).data().clone()
}

/// Calls a tool on `cache`, unless the arguments name another connection.
async fn call(desk: &Direct, tool: &str, mut arguments: Value) -> Called {
    let fields = arguments.as_object_mut().unwrap();
    fields.entry("connection").or_insert_with(|| json!("cache"));
    desk.call(tool, arguments).await
}

/// A call that must have worked.
fn done(called: Called) -> Called {
    assert!(!called.is_error, "{}", called.text);
    called
}

/// The whole of a paged answer: what `pick` takes from each page.
async fn all(desk: &Direct, tool: &str, arguments: Value, pick: fn(&Value) -> &Value) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), Value::Null);
    for _ in 0..10_000 {
        let mut arguments = arguments.clone();
        arguments["cursor"] = cursor;
        let page = done(call(desk, tool, arguments).await);
        found.extend(pick(page.data()).as_array().unwrap().iter().cloned());
        cursor = page.structured["page"]["cursor"].clone();
        if cursor.is_null() {
            return found;
        }
    }
    panic!("the pages do not end");
}

/// Fails if the answer tells anything of the way to the server.
fn tells_nothing(called: &Called, server: &Server) {
    let told = format!("{} {}", called.text, called.structured);
    for secret in ["app-secret", "admin-secret", "127.0.0.1"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(!has_port(&told, server.port), "{} in {told}", server.port);
}

/// Whether a port is told. Among hundreds of facts some digits are the port's by chance: a part of a longer number is none, nor is the
/// value of a field that is not called a port.
fn has_port(told: &str, port: u16) -> bool {
    let port = port.to_string();
    told.match_indices(&port).any(|(at, _)| {
        let (before, after) = (&told[..at], &told[at + port.len()..]);
        let field = before.trim_end_matches(['"', ' ']);
        let is_part = before.ends_with(|end: char| end.is_ascii_digit() || end == '.')
            || after.starts_with(|next: char| next.is_ascii_digit());
        !is_part && (!field.ends_with("\":") || field.ends_with("port\":"))
    })
}
