//! Servers outside of the mesh: known by host name and authority, spoken to with or without a named protocol.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use weft_identity::{IdentityError, Public};

/// A server for `localhost` that prefers HTTP/1.1, and its authority's PEM in `authority`.
fn server(authority: &Path) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(authority, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// The protocol that was agreed on.
async fn meet(acceptor: TlsAcceptor, client: &Public, host: &str) -> Result<Option<Vec<u8>>, IdentityError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await.map(drop) });
    let met = client.connect(host, TcpStream::connect(address).await.unwrap()).await;
    let agreed = met.map(|stream| stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec));
    let _ = serving.await.unwrap();
    agreed
}

#[tokio::test]
async fn a_protocol_is_named_only_where_it_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    let acceptor = server(&authority);
    let (http, plain) = (Public::new(Some(&authority)).unwrap(), Public::plain(Some(&authority)).unwrap());
    assert_eq!(meet(acceptor.clone(), &http, "localhost").await.unwrap().as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(meet(acceptor, &plain, "localhost").await.unwrap(), None);
}

#[tokio::test]
async fn another_host_or_an_unknown_authority_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    let acceptor = server(&authority);
    let (knows, does_not) = (Public::plain(Some(&authority)).unwrap(), Public::plain(None).unwrap());
    assert!(matches!(meet(acceptor.clone(), &knows, "other").await, Err(IdentityError::Handshake(_))));
    assert!(matches!(meet(acceptor, &does_not, "localhost").await, Err(IdentityError::Handshake(_))));
}
