//! One connection: requests out, answers in, in order. It knows at every moment whether it could be given to somebody else:
//! whatever is dropped half way leaves it torn, and a torn connection is closed.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::{
    address::Address,
    chunk,
    error::BoltError,
    handshake::Version,
    message::{Request, Response},
    packstream::{Limits, Malformed},
    value::{Map, Value},
};

mod work;

/// What a connection runs over: a socket, or TLS on one.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// The version of the protocol that was agreed on.
    pub version: Version,
    /// What it calls itself: `Neo4j/5.26.0`.
    pub agent: String,
}

/// A connection that is logged in.
pub struct Connection {
    stream: BufReader<Box<dyn Duplex>>,
    server: Server,
    limits: Limits,
    fetch: i64,
    /// Moments are in UTC.
    utc: bool,
    /// How long the server may be silent, if it promised to give signs of life.
    silence: Option<Duration>,
    buffer: Vec<u8>,
    /// Answers that have not come yet.
    owed: usize,
    /// A query's records are not all through.
    streaming: bool,
    in_transaction: bool,
    /// The database of the transaction that is open, if one was chosen.
    database: Option<String>,
    /// Something was left in the middle, or broke.
    torn: bool,
    /// The server said that it does not write: its role has changed.
    misplaced: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Connection").field("server", &self.server).field("torn", &self.torn).finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(stream: BufReader<Box<dyn Duplex>>, server: Server, limits: Limits, fetch: i64) -> Self {
        Self {
            stream,
            utc: server.version.major >= 5,
            server,
            limits,
            fetch,
            silence: None,
            buffer: Vec::new(),
            owed: 0,
            streaming: false,
            in_transaction: false,
            database: None,
            torn: false,
            misplaced: false,
        }
    }

    /// Who is at the other end.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Whether nothing is under way, so that somebody else may go on with it.
    pub(crate) fn is_clean(&self) -> bool {
        !self.torn && !self.streaming && !self.in_transaction && self.owed == 0
    }

    pub(crate) fn is_misplaced(&self) -> bool {
        self.misplaced
    }

    /// Takes to heart what the server says at the greeting.
    pub(crate) fn learn(&mut self, welcome: &Map) {
        if let Some(agent) = welcome.get("server").and_then(Value::as_str) {
            agent.clone_into(&mut self.server.agent);
        }
        let hints = welcome.get("hints").and_then(Value::as_map);
        let seconds = hints.and_then(|hints| hints.get("connection.recv_timeout_seconds")).and_then(Value::as_int);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        self.silence = seconds.map(Duration::from_secs);
        let patches = welcome.get("patch_bolt").and_then(Value::as_list).unwrap_or_default();
        self.utc |= patches.iter().any(|patch| patch.as_str() == Some("utc"));
    }

    /// Says all of `requests` at once.
    pub(crate) async fn send(&mut self, requests: &[Request<'_>]) -> Result<(), BoltError> {
        if self.torn {
            return Err(BoltError::Broken(io::ErrorKind::NotConnected.into()));
        }
        let mut bytes = Vec::new();
        for request in requests {
            let message = request.encode(self.server.version, self.utc)?;
            if message.len() > self.limits.bytes {
                return Err(Malformed::Large(self.limits.bytes).into());
            }
            chunk::write(&message, &mut bytes);
        }
        self.torn = true;
        self.stream.write_all(&bytes).await.map_err(BoltError::Broken)?;
        self.stream.flush().await.map_err(BoltError::Broken)?;
        self.owed += requests.len();
        self.torn = false;
        Ok(())
    }

    /// The next answer, or record.
    pub(crate) async fn receive(&mut self) -> Result<Response, BoltError> {
        if self.torn || self.owed == 0 {
            return Err(BoltError::Broken(io::ErrorKind::NotConnected.into()));
        }
        self.torn = true;
        let message = chunk::read(&mut self.stream, &self.limits, &mut self.buffer);
        match self.silence {
            None => message.await?,
            Some(silence) => {
                timeout(silence, message).await.map_err(|_| BoltError::Broken(io::ErrorKind::TimedOut.into()))??;
            }
        }
        let response = Response::decode(&self.buffer, &self.limits)?;
        if !matches!(response, Response::Record(_)) {
            self.owed -= 1;
        }
        self.torn = false;
        Ok(response)
    }

    /// The answer to a greeting. A server that refuses one closes: there is nothing to put in order.
    pub(crate) async fn greeted(&mut self) -> Result<Map, BoltError> {
        let answer = self.receive().await;
        self.torn |= !matches!(answer, Ok(Response::Success(_)));
        match answer? {
            Response::Success(about) => Ok(about),
            Response::Failure(failure) => Err(BoltError::Failure(failure)),
            _ => Err(Malformed::Message("a greeting is answered by success or failure").into()),
        }
    }

    /// The answer to a request that gives no records.
    pub(crate) async fn answer(&mut self) -> Result<Map, BoltError> {
        let answer = self.receive().await?;
        self.judge(answer).await
    }

    /// What an answer comes to. After a failure the connection is put in order again before that is told.
    async fn judge(&mut self, answer: Response) -> Result<Map, BoltError> {
        match answer {
            Response::Success(about) => Ok(about),
            Response::Failure(failure) => {
                self.misplaced |= failure.is_of_another_role();
                // The failure says more than what may go wrong now; then the connection is torn, and closed.
                let _ = self.reset().await;
                Err(BoltError::Failure(failure))
            }
            Response::Record(_) | Response::Ignored => {
                self.torn = true;
                Err(Malformed::Message("the server answers something that was not asked").into())
            }
        }
    }

    /// The next record of the query that runs; at its end, what the server says about it.
    pub(crate) async fn record(&mut self, more: Request<'_>) -> Result<Result<Vec<Value>, Map>, BoltError> {
        loop {
            let about = match self.receive().await? {
                Response::Record(values) => return Ok(Ok(values)),
                answer => self.judge(answer).await?,
            };
            if about.get("has_more").and_then(Value::as_bool) != Some(true) {
                self.streaming = false;
                return Ok(Err(about));
            }
            self.send(&[more]).await?;
        }
    }

    /// Skips what is left of the query that runs.
    pub(crate) async fn drain(&mut self) -> Result<Map, BoltError> {
        loop {
            if let Err(about) = self.record(Request::Discard).await? {
                return Ok(about);
            }
        }
    }

    pub(crate) fn next_batch(&self) -> Request<'static> {
        Request::Pull(self.fetch)
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Ends whatever is under way, and proves that the server answers.
    pub async fn reset(&mut self) -> Result<(), BoltError> {
        self.send(&[Request::Reset]).await?;
        let mut last = None;
        while self.owed > 0 {
            last = Some(self.receive().await?);
        }
        (self.streaming, self.in_transaction) = (false, false);
        if matches!(last, Some(Response::Success(_))) {
            return Ok(());
        }
        self.torn = true;
        Err(Malformed::Message("the server cannot put the connection in order").into())
    }

    /// Where the members of a cluster are.
    pub(crate) async fn route(&mut self, database: Option<&str>) -> Result<Map, BoltError> {
        let context = Map::from([("address".to_owned(), self.server.address.to_string().into())]);
        self.send(&[Request::Route { context: &context, database }]).await?;
        self.answer().await
    }

    /// Says goodbye and closes.
    pub async fn close(mut self) {
        // Who does not hear it sees the end of the connection.
        let _ = self.send(&[Request::Goodbye]).await;
        let _ = self.stream.shutdown().await;
    }
}
