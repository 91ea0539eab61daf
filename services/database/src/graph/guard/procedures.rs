//! Which procedures and functions may be called. A name of one part is the language's own function; a name of several
//! is looked up, because what stands behind it can read files and ask the network while it passes for reading.

use super::{Forbidden, Token};

/// The server's own procedures that only look: always allowed.
const LOOKING: [&str; 10] = [
    "db.labels",
    "db.relationshipTypes",
    "db.propertyKeys",
    "db.schema.visualization",
    "db.schema.nodeTypeProperties",
    "db.schema.relTypeProperties",
    "db.index.fulltext.queryNodes",
    "db.index.fulltext.queryRelationships",
    "db.index.vector.queryNodes",
    "db.index.vector.queryRelationships",
];

/// The language's own functions with a name of several parts.
const COMPUTING: [&str; 8] =
    ["date.", "datetime.", "duration.", "localdatetime.", "localtime.", "point.", "time.", "vector.similarity."];

/// The list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Procedures(Vec<String>);

impl Procedures {
    /// Names, or beginnings of names that end with `*`.
    pub(crate) fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|pattern| pattern.to_lowercase()).collect())
    }

    /// Whether a procedure may be called. Case makes no difference: no two procedures differ by it alone.
    pub(crate) fn allows_call(&self, name: &str) -> bool {
        LOOKING.iter().any(|own| own.eq_ignore_ascii_case(name)) || self.lists(name)
    }

    fn allows_function(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        COMPUTING.iter().any(|own| lower.starts_with(own)) || self.lists(name)
    }

    fn lists(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => *pattern == name,
        })
    }

    /// Fails on the first call of what is not on the list.
    pub(super) fn check(&self, tokens: &[Token]) -> Result<(), Forbidden> {
        for (at, token) in tokens.iter().enumerate() {
            match token {
                Token::Word(word) if word == "CALL" && !super::is_name(tokens, at) => self.call(tokens, at + 1)?,
                Token::Symbol('(') => self.function(tokens, at)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn call(&self, tokens: &[Token], at: usize) -> Result<(), Forbidden> {
        // A subquery; its clauses are looked at like all others.
        if matches!(tokens.get(at), Some(Token::Symbol('{' | '('))) {
            return Ok(());
        }
        let (name, _) = name_from(tokens, at).ok_or(Forbidden::Call)?;
        if self.allows_call(&name) { Ok(()) } else { Err(Forbidden::Procedure(name.to_lowercase())) }
    }

    /// The name that ends before the bracket at `at`, if it has several parts.
    fn function(&self, tokens: &[Token], at: usize) -> Result<(), Forbidden> {
        let mut start = at;
        while start > 0 && matches!(tokens[start - 1], Token::Word(_) | Token::Quoted(_) | Token::Symbol('.')) {
            let name = !matches!(tokens[start - 1], Token::Symbol('.'));
            // Two names side by side are two things.
            if name && start < at && !matches!(tokens[start], Token::Symbol('.')) {
                break;
            }
            start -= 1;
        }
        let Some((name, end)) = name_from(tokens, start) else { return Ok(()) };
        if end != at || !name.contains('.') {
            return Ok(());
        }
        let called = start.checked_sub(1).filter(|before| !super::is_name(tokens, *before));
        let called = called.and_then(|before| super::word_at(tokens, before)) == Some("CALL");
        if called || self.allows_function(&name) {
            return Ok(());
        }
        Err(Forbidden::Function(name.to_lowercase()))
    }
}

/// A dotted name from `at` on, and where it ends.
fn name_from(tokens: &[Token], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    loop {
        match tokens.get(at)? {
            Token::Word(part) | Token::Quoted(part) => name.push_str(part),
            _ => return None,
        }
        at += 1;
        if tokens.get(at) != Some(&Token::Symbol('.')) {
            return Some((name, at));
        }
        name.push('.');
        at += 1;
    }
}
