//! The names of the certificate that a listener shows: what clients may have called us, and what we tell them to call us.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// Host names and addresses (RFC 5280, section 4.2.1.6), the names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Names {
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Self {
        let parsed = chain.first().and_then(|it| x509_parser::parse_x509_certificate(it).ok());
        let alternative = parsed.as_ref().and_then(|(_, it)| it.subject_alternative_name().ok().flatten());
        let mut names = Self::default();
        for name in alternative.iter().flat_map(|it| &it.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.hosts.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        names
    }

    /// True when the certificate is for `host`: a name, or an address without brackets. A `*` stands for one label (RFC 9525, 6.3).
    pub(super) fn cover(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let host = host.to_ascii_lowercase();
        self.hosts.iter().any(|name| match name.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(label, behind)| !label.is_empty() && behind == rest),
            None => *name == host,
        })
    }

    /// The first that stands for one host.
    pub(super) fn first(&self) -> Option<String> {
        let named = self.hosts.iter().find(|name| !name.starts_with("*.")).cloned();
        named.or_else(|| self.addresses.first().map(IpAddr::to_string))
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
