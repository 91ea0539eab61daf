//! An address on the web → its content, without letting a caller reach what this machine alone can reach.
//!
//! Off unless the operator names hosts. Each step of the way (the address itself, every redirect) is checked alike: the host must be
//! allowed, its name is resolved once, every address it has must be one that may be reached, and the connection goes to exactly these
//! addresses, so that no second answer of a name server is ever asked for. No proxy, no cookies, no credentials, nothing unpacked.

use std::{
    error::Error as _,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use ipnet::IpNet;
use reqwest::{
    Certificate, Client, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header,
    redirect::Policy,
};
use weft_kit::{Call, ToolError};

use crate::{check, settings::FetchSettings};

mod address;
mod content;
mod hosts;
pub(crate) use content::Content;
use hosts::Hosts;

/// Bytes of an address.
const LONGEST: usize = 2_048;
const CONNECT: Duration = Duration::from_secs(5);

/// The addresses that were checked: the only answer that a connection gets, whatever name it asks for.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        // The port is the address's own.
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(async move { Ok(addresses) })
    }
}

/// What reads from the web.
#[derive(Debug)]
pub(crate) struct Fetcher {
    settings: FetchSettings,
    hosts: Hosts,
    private: Vec<IpNet>,
    authorities: Option<Vec<Certificate>>,
}

impl Fetcher {
    /// None if no host is allowed.
    pub(crate) fn open(settings: &FetchSettings) -> Result<Option<Self>, anyhow::Error> {
        if settings.hosts.is_empty() {
            return Ok(None);
        }
        let net = |text: &String| {
            text.parse().with_context(|| format!("`fetch.private` has {text:?}: give networks like 10.1.0.0/16"))
        };
        let private = settings.private.iter().map(net).collect::<Result<_, _>>()?;
        let authorities = settings.authorities.as_ref().map(|path| {
            let wrong = || format!("`fetch.authorities`: {} must be certificates in PEM", path.display());
            let pem = std::fs::read(path).with_context(wrong)?;
            Certificate::from_pem_bundle(&pem).with_context(wrong)
        });
        let hosts = Hosts::parse(&settings.hosts)?;
        Ok(Some(Self { settings: settings.clone(), hosts, private, authorities: authorities.transpose()? }))
    }

    /// The content of an address, or why it is not read; within the time that one may take.
    pub(crate) async fn get(&self, call: &Call, url: &str) -> Result<Content, ToolError> {
        let seconds = self.settings.seconds;
        let read = call.run(tokio::time::timeout(Duration::from_secs(seconds), self.follow(url))).await?;
        read.unwrap_or_else(|_| Err(ToolError::unavailable(format!("it was not read within {seconds} seconds"))))
    }

    async fn follow(&self, url: &str) -> Result<Content, ToolError> {
        let mut at = parse(url)?;
        for _ in 0..=self.settings.redirects {
            let response = self.ask(&at).await?;
            match led(&at, &response)? {
                Some(next) => at = next,
                None => return content::take(&at, response, self.settings.max_bytes).await,
            }
        }
        Err(ToolError::refused(format!("it leads on more than {} times", self.settings.redirects)))
    }

    /// One request; the answer's body is not read yet.
    async fn ask(&self, url: &Url) -> Result<Response, ToolError> {
        let host = url.host_str().unwrap_or_default();
        let addresses = self.addresses(url, host).await?;
        let mut client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .user_agent(concat!("weft-vectorstore/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .dns_resolver(Arc::new(Pinned(addresses)));
        if let Some(authorities) = &self.authorities {
            client = client.tls_certs_only(authorities.clone());
        }
        let client = client.build().map_err(|error| ToolError::internal(&error))?;
        let asked = client.get(url.clone()).header(header::ACCEPT, content::ACCEPTED);
        let response = asked.header(header::ACCEPT_ENCODING, "identity").send().await;
        response.map_err(|error| {
            let cause = error.source().map(ToString::to_string);
            tracing::info!(host, cause, "a page could not be read");
            ToolError::unavailable(format!("`{}` could not be reached", check::shorten(host)))
        })
    }

    /// The addresses of a host, each of which may be reached.
    async fn addresses(&self, url: &Url, host: &str) -> Result<Vec<SocketAddr>, ToolError> {
        let shown = check::shorten(host);
        if !self.hosts.permit(url) {
            return Err(ToolError::refused(format!("`{shown}` is no host that may be read from"))
                .hint(format!("allowed are: {}", self.settings.hosts.join(", "))));
        }
        let port = url.port_or_known_default().unwrap_or(80);
        let literal: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
        let found: Vec<SocketAddr> = match literal {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((host, port)).await.map(Iterator::collect).unwrap_or_default(),
        };
        if found.is_empty() {
            return Err(ToolError::unavailable(format!("`{shown}` has no address")));
        }
        if found.iter().any(|found| !address::may_reach(found.ip(), &self.private)) {
            return Err(ToolError::refused(format!("`{shown}` is at an address that may not be reached"))
                .hint("only public addresses may be; the operator can allow networks in `fetch.private`"));
        }
        Ok(found)
    }
}

fn parse(url: &str) -> Result<Url, ToolError> {
    let wrong = |what: &str| ToolError::invalid(format!("`{}` {what}", check::shorten(url)));
    if url.len() > LONGEST {
        return Err(wrong("has more than 2048 bytes"));
    }
    let url = Url::parse(url).map_err(|_| wrong("is no address: give one like https://docs.example/page"))?;
    plain(url)
}

/// An address without anything but a host, a path and a question.
fn plain(mut url: Url) -> Result<Url, ToolError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ToolError::refused(format!("{}: is not read; give http or https", check::shorten(url.scheme()))));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ToolError::refused("an address may not carry a name or a password"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Where an answer leads, if it does not answer itself.
fn led(at: &Url, response: &Response) -> Result<Option<Url>, ToolError> {
    let status = response.status();
    let leads = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !leads.contains(&status) {
        return Ok(None);
    }
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let next = location.filter(|location| location.len() <= LONGEST).and_then(|location| at.join(location).ok());
    let next = next.ok_or_else(|| ToolError::refused("it leads to what is no address"))?;
    if at.scheme() == "https" && next.scheme() == "http" {
        return Err(ToolError::refused("it leads from https to http"));
    }
    plain(next).map(Some)
}
