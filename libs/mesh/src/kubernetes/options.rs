//! What is written of a cluster, `k8s://…`, into what is asked of its API. Apart, because it needs no cluster.

use std::{path::PathBuf, str::FromStr};

use crate::{InvalidSource, ServiceId, uri::SourceUri};

const KEYS: &[&str] = &["selector", "path", "identity", "kubeconfig", "context", "server"];

/// Which slices are watched when nothing else is written.
const SELECTOR: &str = "weft.dev/mcp=true";

/// Which namespaces are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// The one of this process, or of the kubeconfig's context.
    Own,
    /// All; needs a ClusterRole.
    All,
    /// One by its name.
    Named(String),
}

/// Which slices of which cluster.
///
/// `k8s://[namespace|*][?selector=weft.dev/mcp%3Dtrue&path=/mcp&identity=spiffe://…/{service}&kubeconfig=FILE&context=NAME&server=URL]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesOptions {
    /// Which namespaces.
    pub namespaces: Namespaces,
    /// The label selector.
    pub selector: String,
    /// The path of the MCP endpoint where a slice says none.
    pub path: String,
    /// The SPIFFE URI that instances prove where a slice says none, with `{service}` for the service; none means plain HTTP.
    pub identity: Option<String>,
    /// A kubeconfig; none means `KUBECONFIG`, `~/.kube/config`, or the service account of the pod, in this order.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; none means its current one.
    pub context: Option<String>,
    /// An API server without credentials (`kubectl proxy`) in the place of a configuration.
    pub server: Option<String>,
}

impl FromStr for KubernetesOptions {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, InvalidSource> {
        let mut uri = SourceUri::split(text, "k8s", KEYS)?;
        let namespaces = match uri.rest.as_str() {
            "" => Namespaces::Own,
            "*" => Namespaces::All,
            name if is_label(name) => Namespaces::Named(name.to_owned()),
            _ => return Err(uri.wrong("a namespace is 1 to 63 of a-z, 0-9 and -; use * for all")),
        };
        let options = Self {
            namespaces,
            selector: uri.take("selector")?.unwrap_or_else(|| SELECTOR.to_owned()),
            path: uri.take("path")?.unwrap_or_else(|| "/mcp".to_owned()),
            identity: uri.take("identity")?,
            kubeconfig: uri.take("kubeconfig")?,
            context: uri.take("context")?,
            server: uri.take("server")?,
        };
        if !options.path.starts_with('/') {
            return Err(uri.wrong("the path must begin with /"));
        }
        if options.server.is_some() && (options.kubeconfig.is_some() || options.context.is_some()) {
            return Err(uri.wrong("server stands for itself; leave kubeconfig and context out"));
        }
        Ok(options)
    }
}

impl KubernetesOptions {
    /// What an instance of a service proves where its slice says nothing.
    pub(crate) fn usual_identity(&self, service: &ServiceId) -> Option<String> {
        self.identity.as_ref().map(|identity| identity.replace("{service}", service.as_ref()))
    }
}

/// A label of RFC 1123, as the names of namespaces are.
fn is_label(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 63 && name.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_written_in_one_line() {
        let usual: KubernetesOptions = "k8s://".parse().unwrap();
        assert_eq!((usual.namespaces, usual.selector.as_str()), (Namespaces::Own, "weft.dev/mcp=true"));
        let all: KubernetesOptions = "k8s://*?selector=team=tools&identity=spiffe://w/svc/{service}".parse().unwrap();
        assert_eq!((&all.namespaces, all.selector.as_str()), (&Namespaces::All, "team=tools"));
        assert_eq!(all.usual_identity(&"echo".parse().unwrap()).as_deref(), Some("spiffe://w/svc/echo"));
        let one: KubernetesOptions = "k8s://tools?kubeconfig=/etc/k&context=c".parse().unwrap();
        assert_eq!((one.namespaces, one.context.as_deref()), (Namespaces::Named("tools".into()), Some("c")));
        for (uri, hint) in [
            ("k8s://a/b", "a namespace"),
            ("k8s://a?path=x", "begin with /"),
            ("k8s://a?labels=x", "use one of selector"),
            ("k8s://a?server=http://h&context=c", "leave kubeconfig"),
        ] {
            let error = uri.parse::<KubernetesOptions>().unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
