//! Requests to a database → what a trace may show of them: server and operation, never a key or a value.
//!
//! Attributes and names are those of OpenTelemetry's database conventions. One place for all clients that speak a protocol of
//! their own, so that a trace reads alike whichever of them was asked.

use std::borrow::Cow;

use crate::span::{About, Value};

/// The longest name of an operation.
const LONGEST: usize = 32;

/// A server that is asked.
#[derive(Debug, Clone, Copy)]
pub struct Database<'a> {
    /// `db.system.name`.
    pub system: &'static str,
    /// Where it listens.
    pub host: &'a str,
    /// Where it listens.
    pub port: u16,
    /// The database within the server; empty where none was chosen.
    pub namespace: &'a str,
}

impl Database<'_> {
    /// One operation.
    pub fn operation(&self, operation: impl Into<Cow<'static, str>>) -> About {
        let operation = operation.into();
        let mut about: Vec<(&'static str, Value)> = vec![
            ("db.system.name", self.system.into()),
            ("server.address", self.host.to_owned().into()),
            ("server.port", i64::from(self.port).into()),
            ("db.operation.name", operation.clone().into()),
        ];
        if self.namespace.is_empty() {
            return (operation, about);
        }
        about.push(("db.namespace", self.namespace.to_owned().into()));
        (format!("{operation} {}", self.namespace).into(), about)
    }

    /// Commands that are sent together, by the first word of each; `atomic` where all are done or none.
    pub fn commands<'c>(&self, words: impl IntoIterator<Item = &'c [u8]>, atomic: bool) -> About {
        let words: Vec<&[u8]> = words.into_iter().collect();
        let first = words.first().copied().unwrap_or_default();
        let alike = words.iter().all(|word| word.eq_ignore_ascii_case(first));
        let operation = match words.len() {
            1 if !atomic => plain(first),
            _ if atomic => "MULTI".into(),
            _ if alike => format!("BATCH {}", plain(first)).into(),
            _ => "PIPELINE".into(),
        };
        let (name, mut about) = self.operation(operation);
        if words.len() > 1 {
            about.push(("db.operation.batch.size", i64::try_from(words.len()).unwrap_or(i64::MAX).into()));
        }
        (name, about)
    }
}

/// The word of a command. What is no such word is not shown: it may be anything.
fn plain(word: &[u8]) -> Cow<'static, str> {
    let fits = |letter: &u8| letter.is_ascii_alphabetic() || b"._".contains(letter);
    if word.is_empty() || word.len() > LONGEST || !word.iter().all(fits) {
        return "other".into();
    }
    String::from_utf8_lossy(word).to_ascii_uppercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: Database<'_> = Database { system: "redis", host: "db", port: 6379, namespace: "0" };

    fn named(words: &[&str], atomic: bool) -> String {
        let (name, about) = REDIS.commands(words.iter().map(|word| word.as_bytes()), atomic);
        let size = about.iter().find(|(key, _)| *key == "db.operation.batch.size");
        assert_eq!(
            size.map(|(_, size)| size.clone()),
            i64::try_from(words.len()).ok().filter(|size| *size > 1).map(Value::I64)
        );
        name.into_owned()
    }

    #[test]
    fn commands_are_named_as_the_conventions_name_them() {
        assert_eq!(named(&["get"], false), "GET 0");
        assert_eq!(named(&["GET", "get"], false), "BATCH GET 0");
        assert_eq!(named(&["GET", "SET"], false), "PIPELINE 0");
        assert_eq!(named(&["SET"], true), "MULTI 0");
        let (name, about) = Database { namespace: "", ..REDIS }.operation("MATCH");
        assert_eq!(name, "MATCH");
        assert!(about.iter().all(|(key, _)| *key != "db.namespace"));
    }

    #[test]
    fn what_is_no_word_of_a_command_is_not_shown() {
        assert_eq!(named(&["secret-1"], false), "other 0");
        assert_eq!(named(&[""], false), "other 0");
        assert_eq!(named(&[&"A".repeat(33)], false), "other 0");
    }
}
