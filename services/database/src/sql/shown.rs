//! Statements → what a trace may show of them: their shape, never a value.
//!
//! What is shown is what was understood and is run (`gate.rs`), with a `?` in the place of every constant. Where even that cannot
//! be taken apart, nothing is shown.

use sqlparser::tokenizer::{Token, Tokenizer};
use weft_kit::span::Span;

use super::gate::{Checked, Dialect};

/// The longest text in a span.
const LONGEST: usize = 2_000;

/// Says in the span of the work on this connection what is run.
pub(crate) fn tell<'c>(dialect: Dialect, statements: impl IntoIterator<Item = &'c Checked>) {
    let span = Span::current();
    if !span.is_recording() {
        return;
    }
    let mut shown = Vec::new();
    for statement in statements.into_iter().take(10) {
        let Some(text) = shape(dialect, &statement.text) else { return };
        shown.push(text);
    }
    let text = shown.join("; ");
    span.set("db.query.text", text.chars().take(LONGEST).collect::<String>());
}

fn shape(dialect: Dialect, text: &str) -> Option<String> {
    let tokens = Tokenizer::new(dialect.grammar(), text).tokenize().ok()?;
    Some(tokens.iter().map(word).collect())
}

/// Names, operators and placeholders stay; whatever else may hold a value goes. Inclusive on purpose: a kind of token that is new
/// shows nothing.
fn word(token: &Token) -> String {
    match token {
        Token::Word(_)
        | Token::Placeholder(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::LBracket
        | Token::RBracket
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::DoubleColon
        | Token::Colon
        | Token::SemiColon
        | Token::Arrow
        | Token::LongArrow
        | Token::HashArrow
        | Token::HashLongArrow
        | Token::AtArrow
        | Token::Tilde
        | Token::Ampersand
        | Token::Pipe
        | Token::Caret => token.to_string(),
        Token::Whitespace(_) => " ".to_owned(),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_of_a_statement_is_shown() {
        let cases = [
            ("SELECT a FROM t WHERE name = 'it''s secret' AND n > 42.5", "SELECT a FROM t WHERE name = ? AND n > ?"),
            ("INSERT INTO t (a) VALUES ($1, E'x\\n', B'01', X'ff')", "INSERT INTO t (a) VALUES ($1, ?, ?, ?)"),
            ("SELECT $tag$secret$tag$, \"Name\" FROM t -- secret", "SELECT ?, \"Name\" FROM t  "),
        ];
        for (text, expected) in cases {
            let shown = shape(Dialect::Postgres, text).unwrap();
            assert_eq!(shown.trim_end(), expected.trim_end());
            assert!(!shown.contains("secret"));
        }
        assert_eq!(shape(Dialect::Sqlite, "SELECT x'ff', 'a' WHERE b = ?1").unwrap(), "SELECT ?, ? WHERE b = ?1");
    }
}
