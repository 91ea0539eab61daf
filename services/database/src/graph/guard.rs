//! The tokens of a statement to a verdict: what it may do, before a server sees it. A statement must begin as reading (or
//! writing) begins, must hold no clause of another kind, and may call only what is on the list. It is the first of three
//! guards: the access mode and the server's own plan are the others.

use super::cypher::{self, Token, Unreadable};

pub(crate) mod procedures;
#[cfg(test)]
mod tests;

pub(crate) use procedures::Procedures;

/// What a statement may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// Only read.
    Read,
    /// Change nodes and relationships, too.
    Write,
}

/// Why a statement is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forbidden {
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    #[error("there is no statement")]
    Empty,
    #[error("a statement cannot begin with {0}")]
    Begins(String),
    #[error("{0} is not allowed here; put it into backticks if it is a name")]
    Clause(String),
    #[error("one statement at a time: there is something behind the ;")]
    Stacked,
    #[error("{0} may not be called here")]
    Procedure(String),
    #[error("{0} may not be used here")]
    Function(String),
    #[error("CALL must be followed by the name of a procedure, or by a subquery in braces")]
    Call,
}

/// How reading begins.
const READS: [&str; 9] = ["MATCH", "OPTIONAL", "WITH", "UNWIND", "RETURN", "CALL", "FILTER", "LET", "FOR"];
/// How writing may begin besides.
const WRITES: [&str; 6] = ["CREATE", "MERGE", "INSERT", "FOREACH", "DETACH", "NODETACH"];
/// Clauses that change nodes and relationships.
const CHANGES: [&str; 9] = ["CREATE", "MERGE", "INSERT", "FOREACH", "DETACH", "NODETACH", "DELETE", "SET", "REMOVE"];
/// Clauses that leave the database's data: its schema, its users, its server, other databases, files and the network.
const BEYOND: [&str; 11] =
    ["DROP", "ALTER", "RENAME", "GRANT", "DENY", "REVOKE", "TERMINATE", "DRYRUN", "DEALLOCATE", "REALLOCATE", "USE"];
/// Words that are harmless alone, and not before one of the others.
const PAIRS: [(&str, &[&str]); 4] = [
    ("LOAD", &["CSV", "PARQUET", "JSONL", "FROM"]),
    ("START", &["DATABASE", "REPLICA", "SERVER"]),
    ("STOP", &["DATABASE", "REPLICA", "SERVER"]),
    ("ENABLE", &["SERVER"]),
];

/// Fails unless `text` is one statement that does no more than it may. Gives it without a `;` at its end.
pub(crate) fn check<'t>(text: &'t str, may: May, procedures: &Procedures) -> Result<&'t str, Forbidden> {
    let mut tokens = cypher::tokens(text)?;
    let mut trimmed = text;
    if tokens.last() == Some(&Token::Symbol(';')) {
        tokens.pop();
        // Comments behind it go with it; the last ; of the text may stand in one of them.
        trimmed = text.trim_end().strip_suffix(';').ok_or(Forbidden::Stacked)?;
    }
    if tokens.contains(&Token::Symbol(';')) {
        return Err(Forbidden::Stacked);
    }
    begins(&tokens, may)?;
    for at in 0..tokens.len() {
        if let Token::Word(word) = &tokens[at] {
            clause(&tokens, at, word, may)?;
        }
    }
    procedures.check(&tokens)?;
    Ok(trimmed)
}

fn begins(tokens: &[Token], may: May) -> Result<(), Forbidden> {
    match tokens.first() {
        None => Err(Forbidden::Empty),
        Some(Token::Word(word)) if READS.contains(&word.as_str()) => Ok(()),
        Some(Token::Word(word)) if may == May::Write && WRITES.contains(&word.as_str()) => Ok(()),
        Some(Token::Word(word)) => Err(Forbidden::Begins(word.clone())),
        Some(Token::Symbol(symbol)) => Err(Forbidden::Begins(symbol.to_string())),
        Some(_) => Err(Forbidden::Begins("a value".to_owned())),
    }
}

fn clause(tokens: &[Token], at: usize, word: &str, may: May) -> Result<(), Forbidden> {
    if is_name(tokens, at) {
        return Ok(());
    }
    let next = word_at(tokens, at + 1);
    let paired =
        PAIRS.iter().any(|(first, seconds)| *first == word && next.is_some_and(|next| seconds.contains(&next)));
    let refused = BEYOND.contains(&word)
        || paired
        || (may == May::Read && CHANGES.contains(&word))
        || (word == "CREATE" && !creates_a_pattern(tokens, at))
        || commits(tokens, at, word);
    if refused { Err(Forbidden::Clause(word.to_owned())) } else { Ok(()) }
}

fn word_at(tokens: &[Token], at: usize) -> Option<&str> {
    match tokens.get(at) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

fn symbol_at(tokens: &[Token], at: usize, symbol: char) -> bool {
    tokens.get(at) == Some(&Token::Symbol(symbol))
}

/// Whether the word can be nothing but a name: a property behind the dot of a value, a label or a value behind a colon, or
/// a key of a map. No clause of Cypher begins there.
fn is_name(tokens: &[Token], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|place| tokens.get(place));
    match before(1) {
        Some(Token::Symbol('.')) => match before(2) {
            Some(Token::Word(_) | Token::Quoted(_) | Token::Parameter) => true,
            Some(Token::Symbol(symbol)) => ")]}".contains(*symbol),
            _ => false,
        },
        Some(Token::Symbol(':')) => true,
        Some(Token::Symbol('{' | ',')) => symbol_at(tokens, at + 1, ':'),
        _ => false,
    }
}

/// `CREATE (…`, `CREATE path = …` or `ON CREATE SET`; anything else makes indexes, constraints, databases, users.
fn creates_a_pattern(tokens: &[Token], at: usize) -> bool {
    let on = at.checked_sub(1).and_then(|before| word_at(tokens, before)) == Some("ON");
    let set = on && word_at(tokens, at + 1) == Some("SET");
    set || symbol_at(tokens, at + 1, '(') || symbol_at(tokens, at + 2, '=')
}

/// `} IN TRANSACTIONS` and `} IN … CONCURRENT TRANSACTIONS`: what commits on its own cannot be taken back. A list may be
/// called `transactions`.
fn commits(tokens: &[Token], at: usize, word: &str) -> bool {
    let behind_braces = at.checked_sub(1).is_some_and(|before| symbol_at(tokens, before, '}'));
    let fits = word == "CONCURRENT" || (word == "IN" && behind_braces);
    fits && matches!(word_at(tokens, at + 1), Some("TRANSACTION" | "TRANSACTIONS"))
}
