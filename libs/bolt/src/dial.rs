//! An address to a connection that is logged in: TCP, TLS, version, `HELLO`, and `LOGON` where that is said apart.

use std::{io, time::Duration};

use tokio::{io::BufReader, net::TcpStream, time::timeout};
use weft_identity::Public;

use crate::{
    address::Address,
    connection::{Connection, Duplex, Server},
    error::BoltError,
    handshake::{self, Version},
    message::Request,
    packstream::Limits,
    value::{Map, Value},
};

const AGENT: &str = concat!("weft-bolt/", env!("CARGO_PKG_VERSION"));

/// All that a new connection needs but the address.
pub(crate) struct Dialer {
    pub(crate) tls: Option<Public>,
    pub(crate) user: Option<(String, String)>,
    pub(crate) routed: bool,
    /// For everything up to the login, and for a sign of life later.
    pub(crate) patience: Duration,
    pub(crate) limits: Limits,
    pub(crate) fetch: i64,
}

impl Dialer {
    /// Connects and logs in, within the patience.
    pub(crate) async fn open(&self, address: &Address) -> Result<Connection, BoltError> {
        let late = |_| {
            let source = io::Error::new(io::ErrorKind::TimedOut, "the server took too long");
            BoltError::Connect { address: address.to_string(), source }
        };
        timeout(self.patience, self.attempt(address)).await.map_err(late)?
    }

    async fn attempt(&self, address: &Address) -> Result<Connection, BoltError> {
        let away = |source| BoltError::Connect { address: address.to_string(), source };
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(away)?;
        stream.set_nodelay(true).map_err(away)?;
        let stream: Box<dyn Duplex> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let proven = tls.connect(&address.host, stream).await;
                Box::new(proven.map_err(|source| BoltError::Tls { address: address.to_string(), source })?)
            }
        };
        let mut stream = BufReader::with_capacity(16 << 10, stream);
        let version = handshake::agree(&mut stream).await.map_err(away)?;
        let version = version.ok_or_else(|| BoltError::Version { address: address.to_string() })?;
        let server = Server { address: address.clone(), version, agent: String::new() };
        let mut connection = Connection::new(stream, server, self.limits, self.fetch);
        self.log_in(&mut connection, version).await?;
        Ok(connection)
    }

    async fn log_in(&self, connection: &mut Connection, version: Version) -> Result<(), BoltError> {
        let mut hello = self.hello(version, connection.server());
        let auth = self.auth();
        if version < (Version { major: 5, minor: 1 }) {
            hello.extend(auth);
            connection.send(&[Request::Hello(&hello)]).await?;
            let welcome = connection.greeted().await?;
            connection.learn(&welcome);
        } else {
            connection.send(&[Request::Hello(&hello), Request::Logon(&auth)]).await?;
            let welcome = connection.greeted().await?;
            connection.learn(&welcome);
            connection.greeted().await?;
        }
        Ok(())
    }

    fn hello(&self, version: Version, server: &Server) -> Map {
        let mut hello = Map::from([("user_agent".to_owned(), AGENT.into())]);
        if self.routed {
            let context = Map::from([("address".to_owned(), server.address.to_string().into())]);
            hello.insert("routing".to_owned(), context.into());
        }
        if version.major == 4 {
            hello.insert("patch_bolt".to_owned(), vec!["utc"].into());
        }
        if version >= (Version { major: 5, minor: 3 }) {
            let product = Map::from([("product".to_owned(), AGENT.into())]);
            hello.insert("bolt_agent".to_owned(), product.into());
        }
        hello
    }

    fn auth(&self) -> Map {
        let pairs: Vec<(&str, Value)> = match &self.user {
            None => vec![("scheme", "none".into())],
            Some((user, password)) => {
                let (user, password) = (user.as_str().into(), password.as_str().into());
                vec![("scheme", "basic".into()), ("principal", user), ("credentials", password)]
            }
        };
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}
