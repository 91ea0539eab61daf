//! `base?key=value&…`: the form in which registries are written on a command line.

use std::time::Duration;

use crate::RegistryError;

/// A registry's address taken apart.
#[derive(Debug)]
pub struct Query {
    /// What stands before the question mark.
    pub base: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Takes `text` apart.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let (base, rest) = text.split_once('?').unwrap_or((text, ""));
        let pair = |text: &str| {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| RegistryError::Settings(format!("{text:?} is no option; write key=value")))?;
            Ok::<_, RegistryError>((key.to_owned(), value.to_owned()))
        };
        let pairs = rest.split('&').filter(|it| !it.is_empty()).map(pair).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), pairs })
    }

    /// Takes the value of `key`; the last one counts.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let mut found = None;
        self.pairs.retain(|(known, value)| {
            if known == key {
                found = Some(value.clone());
            }
            known != key
        });
        found
    }

    /// Takes a number of seconds.
    pub fn seconds(&mut self, key: &str) -> Result<Option<Duration>, RegistryError> {
        let Some(text) = self.take(key) else { return Ok(None) };
        let seconds = text.parse::<f64>().ok().filter(|it| it.is_finite() && *it > 0.0 && *it < 1e9);
        seconds
            .map(|it| Some(Duration::from_secs_f64(it)))
            .ok_or_else(|| RegistryError::Settings(format!("{key}={text} is not a number of seconds above 0")))
    }

    /// Refuses what nobody took.
    pub fn end(self) -> Result<(), RegistryError> {
        match self.pairs.first() {
            Some((key, _)) => Err(RegistryError::Settings(format!("there is no option {key:?}"))),
            None => Ok(()),
        }
    }
}
