//! Tokens → whether a chain of operators among them is too long: `1+1+1+…` needs no parentheses and becomes a tree as deep as it is
//! long, which whoever compares, copies or drops it walks down on the stack.
//!
//! It must be known before there is a tree, because dropping one that is too deep ends the process.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Word},
};
use weft_kit::ToolError;

/// How deep what stands between two commas or parentheses may be.
pub(super) const LONGEST: usize = 240;

/// Operators between two commas or parentheses.
#[derive(Default)]
struct Run {
    /// Those that bind least: what stands between them is a tree of its own.
    loose: usize,
    /// The others, since the last loose one.
    tight: usize,
    /// The most of them.
    tightest: usize,
}

impl Run {
    fn add(&mut self, token: &Token) {
        let loose = looseness(token);
        if loose > 0 {
            (self.loose, self.tight) = (self.loose + loose, 0);
        } else if joins(token) {
            self.tight += 1;
            self.tightest = self.tightest.max(self.tight);
        }
    }
}

/// Fails if more operators follow each other than a tree may be deep.
pub(super) fn bounded(tokens: &[Token]) -> Result<(), ToolError> {
    let mut open = vec![Run::default()];
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => open.push(Run::default()),
            Token::RParen | Token::RBracket | Token::RBrace if open.len() > 1 => {
                open.pop();
            }
            Token::Comma | Token::SemiColon => open.last_mut().into_iter().for_each(|run| *run = Run::default()),
            other => open.last_mut().into_iter().for_each(|run| run.add(other)),
        }
        if open.last().is_some_and(|run| run.loose + run.tightest > LONGEST) {
            return Err(ToolError::too_large(format!("more than {LONGEST} operators follow each other"))
                .hint("compare with a list: IN (…), = ANY($1)"));
        }
    }
    Ok(())
}

/// How much deeper it makes the tree, if what is on its sides are trees of their own: a query takes more of the stack than an expression.
fn looseness(token: &Token) -> usize {
    let Token::Word(Word { keyword, quote_style: None, .. }) = token else { return 0 };
    match keyword {
        Keyword::AND | Keyword::OR => 1,
        Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => 4,
        _ => 0,
    }
}

/// Whatever stands between two expressions or queries, or behind one. Words count that only may: too many is refused, never too few.
fn joins(token: &Token) -> bool {
    match token {
        Token::Word(Word { keyword, quote_style: None, .. }) => matches!(
            keyword,
            Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::NOTNULL
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::REGEXP
                | Keyword::RLIKE
                | Keyword::GLOB
                | Keyword::MATCH
                | Keyword::OPERATOR
                | Keyword::OVERLAPS
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::MINUS
                | Keyword::DIV
        ),
        Token::Word(_)
        | Token::Number(..)
        | Token::Whitespace(_)
        | Token::Placeholder(_)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::Period
        | Token::EOF => false,
        _ => true,
    }
}
