//! The way between replicas of one gateway: a handshake of its own through the door of clients, told by the protocol that its
//! first message asks for (RFC 7301), as ACME does to prove a name (RFC 8737).
//!
//! Both ends prove to be a replica: by the identity that all of them have in the mesh, or, where there is none, by the certificate
//! and the key that they share. What clients must show does not count here, and nothing else than this lets anybody in here.

use std::sync::Arc;

use rustls::server::ClientHello;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client, server};

use super::Served;
use crate::{
    IdentityError, Peers,
    handshake::{Begun, explain},
    same::Same,
};

/// The protocol: HTTP/1.1, from one replica to another.
pub(crate) const PROTOCOL: &[&[u8]] = &[b"weft-replica/1"];

pub(super) fn is_one(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut asked| asked.any(|protocol| PROTOCOL.contains(&protocol)))
}

impl Served {
    /// The client's side towards another replica of ours.
    pub async fn connect<S>(&self, stream: S) -> Result<client::TlsStream<S>, IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(identity) = &self.0.identity {
            // Replicas are one member of the mesh.
            return identity.connector().speaking(PROTOCOL).connect(&identity.spiffe_id(), stream).await;
        }
        let (config, name) = Same::client(&self.0.present.load().certified)?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| explain(&error, &Arc::default()))
    }

    pub(super) async fn accept_replica<S>(&self, begun: Begun<S>) -> Result<server::TlsStream<S>, IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(identity) = &self.0.identity {
            let acceptor = identity.acceptor(Peers::Only(vec![identity.spiffe_id()])).speaking(PROTOCOL);
            return Ok(acceptor.go_on(begun).await?.0);
        }
        let config = Same::server(&self.0.present.load().certified)?;
        begun.into_stream(config).await.map_err(|error| explain(&error, &Arc::default()))
    }
}
