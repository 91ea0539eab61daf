//! The address of a registry, `scheme://rest?key=value&…`, into its parts. Apart, because every source over the network
//! is written this way and a misspelt key must be said by all of them.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, time::Duration};

/// Not the address of a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the registry {uri:?} is wrong: {why}")]
pub struct InvalidSource {
    /// As it was written.
    pub uri: String,
    /// What is wrong with it, and what to write.
    pub why: String,
}

/// The parts of an address.
#[derive(Debug)]
pub struct SourceUri {
    uri: String,
    /// Between `://` and `?`.
    pub rest: String,
    values: BTreeMap<String, String>,
}

impl SourceUri {
    /// Splits an address of `scheme`; any key that is not one of `keys`, and any that comes twice, is refused.
    pub fn split(uri: &str, scheme: &str, keys: &[&str]) -> Result<Self, InvalidSource> {
        let wrong = |why: String| InvalidSource { uri: uri.to_owned(), why };
        let rest = uri.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        let rest = rest.ok_or_else(|| wrong(format!("it must begin with {scheme}://")))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut values = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if !keys.contains(&key.as_ref()) {
                return Err(wrong(format!("{key:?} is not known; use one of {}", keys.join(", "))));
            }
            if values.insert(key.to_string(), value.into_owned()).is_some() {
                return Err(wrong(format!("{key:?} is given twice")));
            }
        }
        Ok(Self { uri: uri.to_owned(), rest: rest.to_owned(), values })
    }

    /// The value of a key.
    pub fn take<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>, InvalidSource> {
        let Some(value) = self.values.remove(key) else { return Ok(None) };
        value.parse().map(Some).map_err(|error| self.wrong(format!("{key}: {error}")))
    }

    /// The value of a key that is a number of seconds above zero.
    pub fn take_seconds(&mut self, key: &str) -> Result<Option<Duration>, InvalidSource> {
        match self.take::<f64>(key)? {
            Some(seconds) if seconds.is_finite() && seconds > 0.0 && seconds < 1e9 => {
                Ok(Some(Duration::from_secs_f64(seconds)))
            }
            Some(_) => Err(self.wrong(format!("{key} must be a number of seconds above 0"))),
            None => Ok(None),
        }
    }

    /// This address, and what is wrong with it.
    pub fn wrong(&self, why: impl Into<String>) -> InvalidSource {
        InvalidSource { uri: self.uri.clone(), why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found_and_what_is_misspelt_is_said() {
        let mut uri =
            SourceUri::split("x://a.b?port=1&who=spiffe://a/b&what=a%3Db", "x", &["port", "who", "what"]).unwrap();
        assert_eq!(uri.rest, "a.b");
        assert_eq!(uri.take::<u16>("port").unwrap(), Some(1));
        assert_eq!(uri.take::<u16>("port").unwrap(), None);
        assert_eq!(uri.take::<String>("who").unwrap().unwrap(), "spiffe://a/b");
        assert_eq!(uri.take::<String>("what").unwrap().unwrap(), "a=b");
        for (text, hint) in
            [("y://a", "x://"), ("x:a", "x://"), ("x://a?prt=1", "use one of port"), ("x://a?port=1&port=2", "twice")]
        {
            let error = SourceUri::split(text, "x", &["port"]).unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains(text), "{error}");
        }
        let error = SourceUri::split("x://a?port=many", "x", &["port"]).unwrap().take::<u16>("port").unwrap_err();
        assert!(error.to_string().contains("port: invalid digit"), "{error}");
    }
}
