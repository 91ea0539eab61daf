//! Commands on one connection to a server, each request a span in the trace of the call that asks for it.
//!
//! Whatever is sent to a server goes through here, so that a trace tells of every request: what was watched, what was tried again,
//! the sign of life. It shows the commands' names and never a key or a value.

use std::borrow::Cow;

use redis::{Client, Cmd, ConnectionAddr, Pipeline, RedisError, RedisResult, Value, aio::MultiplexedConnection};
use weft_kit::{
    database::Database,
    span::{About, backend},
};

/// A connection and whom it leads to.
#[derive(Clone)]
pub(super) struct Line {
    connection: MultiplexedConnection,
    client: Client,
}

impl Line {
    pub(super) fn new(connection: MultiplexedConnection, client: Client) -> Self {
        Self { connection, client }
    }

    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        let client = &self.client;
        let about = || about(client, [command]);
        backend(about, kind, command.query_async(&mut self.connection)).await
    }

    /// Every reply, errors among them.
    pub(super) async fn ask_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let client = &self.client;
        let about = || about(client, commands.cmd_iter());
        backend(about, kind, self.connection.send_packed_commands(commands, 0, commands.len())).await
    }
}

fn about<'c>(client: &Client, commands: impl IntoIterator<Item = &'c Cmd>) -> About {
    let info = client.get_connection_info();
    let (host, port) = match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.as_str(), *port),
        _ => ("", 0),
    };
    let namespace = info.redis_settings().db().to_string();
    let words = commands.into_iter().map(|command| match command.args_iter().next() {
        Some(redis::Arg::Simple(word)) => word,
        _ => b"",
    });
    Database { system: "redis", host, port, namespace: &namespace }.commands(words, false)
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
