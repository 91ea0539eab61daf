//! What the end-to-end tests need from outside, at the versions pinned in `infra/test`, installed once into a cache
//! folder, and told to the tests as environment variables. Nothing here is built by us and nothing is needed to use Weft.

mod chart;
pub(crate) mod containers;
mod crates;
mod debian;
mod llama;
mod node;
mod place;
mod postgres;
mod python;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use self::place::Cache;
use crate::command::find_program;
use crate::repo::Repo;

/// The pins, relative to the root.
const PINS: &str = "infra/test";

/// Where everything is.
pub(crate) struct Tools {
    variables: Vec<(&'static str, PathBuf)>,
}

impl Tools {
    /// Installs what is missing. Takes well under a second when nothing is.
    pub(crate) fn ensure(repo: &Repo) -> Result<Self> {
        let cache = Cache::open(&repo.root)?;
        let _alone = cache.lock()?;
        let pins = repo.root.join(PINS);
        programs()?;
        let mut variables = vec![("WEFT_NGINX", nginx(&cache, true)?), ("WEFT_CONSUL", consul(&cache, true)?)];
        variables.push(("WEFT_PROMETHEUS", prometheus(&cache, true)?));
        variables.extend(find_program("redis-server").map(|path| ("WEFT_REDIS_SERVER", path)));
        variables.push(("WEFT_BOLT_SERVER", crates::bolt(&cache, true)?));
        variables.extend(node::ensure(&cache, &pins)?);
        variables.extend(python::ensure(&cache, &pins)?);
        variables.extend(chart::ensure(&cache, &pins)?);
        variables.extend(postgres::ensure(&cache).map(|path| ("WEFT_POSTGRES", path)));
        variables.extend(llama::ensure(&cache).map(|path| ("WEFT_LLAMA_SERVER", path)));
        Ok(Self { variables: preferring_the_callers(variables) })
    }

    /// What is there already; the rest stays unset.
    pub(crate) fn installed(repo: &Repo) -> Result<Self> {
        let cache = Cache::open(&repo.root)?;
        let pins = repo.root.join(PINS);
        let mut variables = Vec::new();
        variables.extend(nginx(&cache, false).ok().map(|path| ("WEFT_NGINX", path)));
        variables.extend(find_program("redis-server").map(|path| ("WEFT_REDIS_SERVER", path)));
        variables.extend(crates::bolt(&cache, false).ok().map(|path| ("WEFT_BOLT_SERVER", path)));
        variables.extend(consul(&cache, false).ok().map(|path| ("WEFT_CONSUL", path)));
        variables.extend(prometheus(&cache, false).ok().map(|path| ("WEFT_PROMETHEUS", path)));
        variables.extend(node::installed(&cache, &pins)?.unwrap_or_default());
        variables.extend(python::installed(&cache, &pins)?);
        variables.extend(chart::installed(&cache, &pins));
        variables.extend(postgres::installed(&cache).map(|path| ("WEFT_POSTGRES", path)));
        variables.extend(llama::installed(&cache).map(|path| ("WEFT_LLAMA_SERVER", path)));
        Ok(Self { variables: preferring_the_callers(variables) })
    }

    /// Variable and path of each tool.
    pub(crate) fn variables(&self) -> &[(&'static str, PathBuf)] {
        &self.variables
    }
}

/// The nginx program alone, for the benchmark.
pub(crate) fn nginx_for_bench(repo: &Repo) -> Result<PathBuf> {
    let cache = Cache::open(&repo.root)?;
    let _alone = cache.lock()?;
    nginx(&cache, true)
}

/// The system's own, or a private copy of Debian's that starts no service and claims no port.
fn nginx(cache: &Cache, may_install: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WEFT_NGINX").map(PathBuf::from).or_else(|| find_program("nginx")) {
        return Ok(path);
    }
    let folder = cache.folder("nginx", "");
    let program = folder.path.join("usr/sbin/nginx");
    if folder.is_complete() {
        return Ok(program);
    }
    if !may_install {
        bail!("nginx is not installed");
    }
    folder.fill(|path| debian::unpack("nginx", path, Path::new("usr/sbin/nginx"), "-v"))?;
    Ok(program)
}

/// The system's own, or a private copy of Debian's; `promtool` lies beside it.
fn prometheus(cache: &Cache, may_install: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WEFT_PROMETHEUS").map(PathBuf::from).or_else(|| find_program("prometheus")) {
        return Ok(path);
    }
    let folder = cache.folder("prometheus", "");
    let program = folder.path.join("usr/bin/prometheus");
    if folder.is_complete() {
        return Ok(program);
    }
    if !may_install {
        bail!("Prometheus is not installed");
    }
    folder.fill(|path| debian::unpack("prometheus", path, Path::new("usr/bin/prometheus"), "--version"))?;
    Ok(program)
}

/// Small programs that tests use as they are, each with its package.
const PROGRAMS: [(&str, &str); 6] = [
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("chromium", "chromium"),
    ("redis-server", "redis-server"),
];

fn programs() -> Result<()> {
    let missing = PROGRAMS.into_iter().filter(|(program, _)| find_program(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| package).collect();
    if packages.is_empty() { Ok(()) } else { debian::install(&packages) }
}

/// The last Debian release that has Consul; the registry keeps to what this version and today's share.
const CONSUL_SUITE: &str = "bullseye";

/// The system's own, or a private copy from the last Debian release that has it.
fn consul(cache: &Cache, may_install: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WEFT_CONSUL").map(PathBuf::from).or_else(|| find_program("consul")) {
        return Ok(path);
    }
    let folder = cache.folder("consul", CONSUL_SUITE);
    let program = folder.path.join("usr/bin/consul");
    if folder.is_complete() {
        return Ok(program);
    }
    if !may_install {
        bail!("Consul is not installed");
    }
    folder.fill(|path| debian::unpack_from(CONSUL_SUITE, "consul", path, Path::new("usr/bin/consul"), "version"))?;
    Ok(program)
}

/// A variable that is already set wins over what was installed.
fn preferring_the_callers(variables: Vec<(&'static str, PathBuf)>) -> Vec<(&'static str, PathBuf)> {
    let chosen = |(name, path)| (name, std::env::var_os(name).map_or(path, PathBuf::from));
    variables.into_iter().map(chosen).collect()
}
