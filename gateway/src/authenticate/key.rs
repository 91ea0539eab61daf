//! Callers by API key: `Authorization: Bearer KEY`, or `x-api-key: KEY` for clients that can set no other header.

use std::sync::Arc;

use http::{HeaderMap, header};

use super::{Arrival, Caller, Denied, Kind};
use crate::keys::live::Keys;

/// The other header.
const X_API_KEY: &str = "x-api-key";

#[derive(Debug)]
pub(super) struct Keyed(pub(super) Arc<Keys>);

impl Kind for Keyed {
    fn label(&self) -> &'static str {
        "key"
    }

    fn look(&self, arrival: &Arrival<'_>) -> Option<Result<Caller, Denied>> {
        Some(said(arrival.headers)?.and_then(|key| self.0.find(key)))
    }
}

/// The key of a request. Two of them say two things, and are refused.
fn said(headers: &HeaderMap) -> Option<Result<&str, Denied>> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let (scheme, key) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Denied::Scheme)?;
        if scheme.eq_ignore_ascii_case("bearer") { Ok(key.trim()) } else { Err(Denied::Scheme) }
    });
    let others =
        headers.get_all(X_API_KEY).iter().map(|value| value.to_str().map(str::trim).map_err(|_| Denied::Mistyped));
    let first = all.next();
    let mut rest = all.chain(others);
    let said = first.or_else(|| rest.next())?;
    Some(if rest.all(|other| other == said) { said } else { Err(Denied::Scheme) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Option<Result<String, Denied>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        said(&map).map(|said| said.map(str::to_owned))
    }

    #[test]
    fn a_key_comes_in_one_of_two_headers_and_only_once() {
        assert_eq!(of(&[]), None);
        for one in [("authorization", "Bearer k"), ("authorization", "bearer  k "), ("x-api-key", "k")] {
            assert_eq!(of(&[one]), Some(Ok("k".to_owned())), "{one:?}");
        }
        assert_eq!(of(&[("authorization", "Bearer k"), ("x-api-key", "k")]), Some(Ok("k".to_owned())));
        for other in ["Basic azp2", "k", "Bearer", ""] {
            assert_eq!(of(&[("authorization", other)]), Some(Err(Denied::Scheme)), "{other}");
        }
        assert_eq!(of(&[("authorization", "Bearer k"), ("x-api-key", "j")]), Some(Err(Denied::Scheme)));
        assert_eq!(of(&[("authorization", "Bearer k"), ("authorization", "Bearer j")]), Some(Err(Denied::Scheme)));
    }
}
