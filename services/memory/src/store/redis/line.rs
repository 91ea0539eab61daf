//! A connection to Redis, seen from outside: the same connection, each request a span in the trace of the call that asks for it.
//!
//! Around every connection that commands go out on, so that no command has to remember it. It shows the commands' names and never
//! a key or a value.

use std::borrow::Cow;

use redis::{Arg, Client, Cmd, ConnectionAddr, Pipeline, RedisError, RedisFuture, Value, aio::ConnectionLike};
use weft_kit::{
    database::Database,
    span::{About, backend},
};

/// A connection and whom it leads to.
#[derive(Debug, Clone)]
pub(super) struct Line<C> {
    connection: C,
    client: Client,
}

impl<C> Line<C> {
    pub(super) fn new(connection: C, client: &Client) -> Self {
        Self { connection, client: client.clone() }
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for Line<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let client = &self.client;
        Box::pin(backend(move || about(client, [cmd], false), kind, self.connection.req_packed_command(cmd)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let client = &self.client;
        let about = move || about(client, pipeline.cmd_iter(), pipeline.is_transaction());
        Box::pin(backend(about, kind, self.connection.req_packed_commands(pipeline, offset, count)))
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

fn about<'c>(client: &Client, commands: impl IntoIterator<Item = &'c Cmd>, atomic: bool) -> About {
    let info = client.get_connection_info();
    let (host, port) = match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.as_str(), *port),
        _ => ("", 0),
    };
    let namespace = info.redis_settings().db().to_string();
    let words = commands.into_iter().map(|command| match command.args_iter().next() {
        Some(Arg::Simple(word)) => word,
        _ => b"",
    });
    Database { system: "redis", host, port, namespace: &namespace }.commands(words, atomic)
}

/// What went wrong in a word: the server's own where it said no.
fn kind(error: &RedisError) -> Cow<'static, str> {
    match error.code() {
        Some(code) if code.bytes().all(|letter| letter.is_ascii_uppercase()) => code.to_owned().into(),
        _ if error.is_timeout() => "timeout".into(),
        _ if error.is_io_error() => "broken".into(),
        _ => "other".into(),
    }
}
