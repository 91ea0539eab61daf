//! The settings' URL → the servers to start from and how each is spoken to. Credentials go only to servers of the connection's
//! own view, and to Sentinels never.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, TlsCertificates,
};

use super::settings::{RedisFault, RedisSettings};

/// How many servers there are, and who knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// One server.
    Single,
    /// All of them know the cluster.
    Cluster,
    /// Sentinels that know this master.
    Sentinel(String),
}

/// Host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) layout: Layout,
    pub(super) tls: bool,
    pub(super) seeds: Vec<Address>,
}

impl Place {
    /// `None` when the URL has none of the known forms.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (tls, layout) = match scheme.strip_prefix("rediss") {
            Some(layout) => (true, layout),
            None => (false, scheme.strip_prefix("redis")?),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let standard = if layout == "-sentinel" { 26_379 } else { 6_379 };
        let seeds = hosts.split(',').map(|host| address(host, standard)).collect::<Option<Vec<_>>>()?;
        let layout = match (layout, path) {
            ("", "") if seeds.len() == 1 => Layout::Single,
            ("-cluster", "") => Layout::Cluster,
            ("-sentinel", master) if is_name(master) => Layout::Sentinel(master.to_owned()),
            _ => return None,
        };
        Some(Self { layout, tls, seeds })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

fn address(text: &str, standard: u16) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let fits = |letter: char| letter.is_ascii_alphanumeric() || ".:-_%".contains(letter);
    let port = port.map_or(Some(standard), |port| port.parse().ok())?;
    (!host.is_empty() && host.chars().all(fits)).then(|| Address { host: host.to_owned(), port })
}

/// What is said to every server when it is connected to.
#[derive(Debug)]
pub(super) struct Greeting {
    user: Option<String>,
    password: Option<String>,
    database: u16,
    tls: Option<TlsCertificates>,
}

impl Greeting {
    /// Reads password and authorities, once.
    pub(super) fn new(settings: &RedisSettings, tls: bool) -> Result<Self, RedisFault> {
        let password = settings.password.as_ref().map(weft_kit::Reference::value).transpose()?;
        let root_cert = match &settings.authorities {
            Some(path) => Some(std::fs::read(path).map_err(|_| RedisFault::Authorities(path.clone()))?),
            None => None,
        };
        let tls = tls.then_some(TlsCertificates { client_tls: None, root_cert });
        let greeting = Self { user: settings.user.clone(), password, database: settings.database, tls };
        let nowhere = Address { host: "localhost".to_owned(), port: 1 };
        match (greeting.client(&nowhere), &settings.authorities) {
            (Err(_), Some(path)) => Err(RedisFault::Authorities(path.clone())),
            (Err(_), None) => Err(RedisFault::Url),
            (Ok(_), _) => Ok(greeting),
        }
    }

    /// A client of one server.
    pub(super) fn client(&self, address: &Address) -> redis::RedisResult<Client> {
        let mut hello = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name()
            .set_db(self.database.into());
        if let Some(user) = &self.user {
            hello = hello.set_username(user);
        }
        if let Some(password) = &self.password {
            hello = hello.set_password(password);
        }
        self.open(self.info(address)?.set_redis_settings(hello))
    }

    /// A client of a Sentinel, which is told no credentials.
    pub(super) fn sentinel(&self, address: &Address) -> redis::RedisResult<Client> {
        let hello = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        self.open(self.info(address)?.set_redis_settings(hello))
    }

    fn info(&self, address: &Address) -> redis::RedisResult<ConnectionInfo> {
        let (host, port) = (address.host.clone(), address.port);
        let place = match &self.tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        };
        place.into_connection_info()
    }

    fn open(&self, info: ConnectionInfo) -> redis::RedisResult<Client> {
        match &self.tls {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn the_three_layouts_are_told_apart() {
        let single = Place::parse("redis://db").unwrap();
        assert_eq!((single.layout, single.tls, single.seeds), (Layout::Single, false, vec![at("db", 6379)]));
        let cluster = Place::parse("rediss-cluster://a:1,[::1]:2").unwrap();
        assert_eq!(
            (cluster.layout, cluster.tls, cluster.seeds),
            (Layout::Cluster, true, vec![at("a", 1), at("::1", 2)])
        );
        let sentinel = Place::parse("redis-sentinel://a,b:3/main").unwrap();
        assert_eq!(sentinel.layout, Layout::Sentinel("main".to_owned()));
        assert_eq!(sentinel.seeds, [at("a", 26379), at("b", 3)]);
    }

    #[test]
    fn a_url_with_credentials_or_of_another_form_is_refused() {
        let wrong = [
            "redis://user:pw@db",
            "redis://a,b",
            "redis://",
            "redis-sentinel://a",
            "redis://db/0",
            "http://db",
            "redis-cluster://a,",
            "redis://db:x",
            "redis-sentinel://a/b c",
            "redis://db?x=1",
        ];
        for url in wrong {
            assert!(Place::parse(url).is_none(), "{url}");
        }
    }
}
