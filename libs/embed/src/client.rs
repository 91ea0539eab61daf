//! An address and what to trust → the HTTP client of one server.
//!
//! Address and key come from the operator alone; redirects are not followed, so that a key never goes elsewhere, and nobody's answer is
//! read further than the asker can use.

use std::{error::Error, path::Path, time::Duration};

use reqwest::{Certificate, Client, Response, Url, redirect::Policy};
use weft_settings::{InvalidReference, Reference};

use crate::error::OpenError;

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// Where requests go, and with what.
#[derive(Debug)]
pub(crate) struct Door {
    client: Client,
    url: Url,
    key: Option<Reference>,
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum Cut {
    /// The connection broke.
    Away(reqwest::Error),
    /// It is longer than the limit.
    Endless,
}

impl Door {
    /// The door of `of`, at an address and with a key.
    pub(crate) fn open(
        of: &str,
        (url, key): (&str, Option<&Reference>),
        authorities: Option<&Path>,
        timeout_ms: u64,
    ) -> Result<Self, OpenError> {
        let wrong = || OpenError::Address { of: of.to_owned() };
        let url = Url::parse(url).map_err(|_| wrong())?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(wrong());
        }
        let mut client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(Duration::from_millis(timeout_ms));
        if let Some(path) = authorities {
            let unread = |cause: Box<dyn Error + Send + Sync>| {
                let (of, path) = (of.to_owned(), path.to_owned());
                OpenError::Authorities { of, path, cause }
            };
            let pem = std::fs::read(path).map_err(|cause| unread(cause.into()))?;
            let roots = Certificate::from_pem_bundle(&pem).map_err(|cause| unread(cause.into()))?;
            client = client.tls_certs_only(roots);
        }
        let client = client.build().map_err(|cause| OpenError::Client { of: of.to_owned(), cause })?;
        Ok(Self { client, url, key: key.cloned() })
    }

    /// A request with its body and the key, as the key is now.
    pub(crate) fn post(&self, body: Vec<u8>) -> Result<reqwest::RequestBuilder, InvalidReference> {
        let request = self.client.post(self.url.clone()).header("content-type", "application/json").body(body);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key.value()?),
            None => request,
        })
    }
}

/// The body of a response, up to `most` bytes.
pub(crate) async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, Cut> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(Cut::Away)? {
        body.extend_from_slice(&part);
        if body.len() > most {
            return Err(Cut::Endless);
        }
    }
    Ok(body)
}
