//! The client against servers: a scripted one for what no real one does on demand, and a real one where one is installed, or
//! `WEFT_BOLT_URL` says where one runs (with `WEFT_BOLT_USER`, `WEFT_BOLT_PASSWORD`, `WEFT_BOLT_CA` if needed).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod live;
mod pooled;
mod routed;
mod scripted;

use std::time::Duration;

use weft_bolt::{Client, Config, Map, Value};

/// How long a client of these tests waits for a server: a pause of the whole machine is no reason to give up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of the real server; without one, says so.
fn live() -> Option<Client> {
    let url = weft_testkit::bolt()?;
    let mut config = Config::new(url);
    config.fetch = 7;
    config.patience = PATIENCE;
    config.authorities = std::env::var_os("WEFT_BOLT_CA").map(Into::into);
    if let (Ok(user), Ok(password)) = (std::env::var("WEFT_BOLT_USER"), std::env::var("WEFT_BOLT_PASSWORD")) {
        config = config.user(user, password);
    }
    Some(Client::new(config).unwrap())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
