//! The text of a Cypher statement to tokens. It reads as every server does, and refuses what servers read in different ways:
//! where two readings are possible, one of them hides something from whoever checks the other.

#[cfg(test)]
mod tests;

/// A piece of a statement. Comments and white space are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A bare word, in upper case.
    Word(String),
    /// A name in backticks, without them.
    Quoted(String),
    /// A text in quotes, or a number.
    Literal,
    /// `$name`
    Parameter,
    /// One character of anything else.
    Symbol(char),
}

/// Why a text is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("a text or a name in backticks does not end")]
    Open,
    #[error("a comment does not end, or holds another one")]
    Comment,
    #[error("write the character itself for \\u outside of texts, and for quotes, backslashes and line ends in them")]
    Escape,
    #[error("put spaces around the number, or write it in digits")]
    Number,
    #[error("the character {0:?} may stand in texts only")]
    Odd(char),
    #[error("the statement has more than {0} characters")]
    Long(usize),
}

/// The longest statement.
const LONGEST: usize = 64 << 10;

struct Cursor<'t> {
    rest: &'t str,
    tokens: Vec<Token>,
}

/// All tokens of `text`.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Unreadable> {
    if text.len() > LONGEST {
        return Err(Unreadable::Long(LONGEST));
    }
    let mut cursor = Cursor { rest: text, tokens: Vec::new() };
    while let Some(next) = cursor.rest.chars().next() {
        cursor.token(next)?;
    }
    Ok(cursor.tokens)
}

impl Cursor<'_> {
    fn token(&mut self, next: char) -> Result<(), Unreadable> {
        match next {
            ' ' | '\t' | '\n' => self.skip(1),
            '\r' if self.rest.starts_with("\r\n") => self.skip(2),
            '/' if self.rest.starts_with("//") => self.line()?,
            '/' if self.rest.starts_with("/*") => self.block()?,
            '\'' | '"' => self.text(next)?,
            '`' => self.quoted()?,
            // Some servers decode \u before they read anything.
            '\\' => return Err(Unreadable::Escape),
            '$' => self.parameter()?,
            _ if next.is_ascii_digit() => self.number()?,
            _ if is_word(next) => self.word(),
            _ if next.is_ascii_graphic() => {
                self.skip(1);
                self.tokens.push(Token::Symbol(next));
            }
            _ => return Err(Unreadable::Odd(next)),
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// To the end of the line: of what all take for one.
    fn line(&mut self) -> Result<(), Unreadable> {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let comment = self.rest.get(..end).unwrap_or_default();
        plain(comment.strip_suffix('\r').unwrap_or(comment))?;
        self.skip(end);
        Ok(())
    }

    fn block(&mut self) -> Result<(), Unreadable> {
        self.skip(2);
        let end = self.rest.find("*/").ok_or(Unreadable::Comment)?;
        let comment = self.rest.get(..end).unwrap_or_default();
        if comment.contains("/*") || comment.ends_with('/') {
            return Err(Unreadable::Comment);
        }
        for line in comment.split('\n') {
            plain(line.strip_suffix('\r').unwrap_or(line))?;
        }
        self.skip(end + 2);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Result<(), Unreadable> {
        self.skip(1);
        let mut chars = self.rest.char_indices();
        while let Some((at, next)) = chars.next() {
            if next == quote {
                self.skip(at + 1);
                self.tokens.push(Token::Literal);
                return Ok(());
            }
            if next == '\\' {
                let escaped = self.rest.get(at..).unwrap_or_default();
                harmless(escaped)?;
                chars.next();
            }
        }
        Err(Unreadable::Open)
    }

    fn quoted(&mut self) -> Result<(), Unreadable> {
        self.skip(1);
        let mut name = String::new();
        loop {
            let end = self.rest.find('`').ok_or(Unreadable::Open)?;
            let part = self.rest.get(..end).unwrap_or_default();
            plain(part)?;
            name.push_str(part);
            self.skip(end + 1);
            if !self.rest.starts_with('`') {
                self.tokens.push(Token::Quoted(name));
                return Ok(());
            }
            name.push('`');
            self.skip(1);
        }
    }

    fn parameter(&mut self) -> Result<(), Unreadable> {
        self.skip(1);
        match self.rest.chars().next() {
            Some('`') => {
                self.quoted()?;
                self.tokens.pop();
            }
            Some(digit) if digit.is_ascii_digit() => {
                self.number()?;
                self.tokens.pop();
            }
            _ => drop(self.run()),
        }
        self.tokens.push(Token::Parameter);
        Ok(())
    }

    /// A number must end where it seems to: to some servers `1CREATE` is a number and a clause. A dot belongs to it only
    /// before a digit: `1..3` is a range.
    fn number(&mut self) -> Result<(), Unreadable> {
        let start = self.run();
        let fraction = self.rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let last = if fraction && digits(&start) {
            self.skip(1);
            self.run()
        } else {
            start
        };
        let fine = match last.split_once(['e', 'E']) {
            _ if prefixed(&last) && !fraction => true,
            None => digits(&last),
            Some((before, "")) if digits(before) && self.rest.starts_with(['+', '-']) => {
                self.skip(1);
                digits(&self.run())
            }
            Some((before, exponent)) => digits(before) && digits(exponent),
        };
        self.tokens.push(Token::Literal);
        if fine { Ok(()) } else { Err(Unreadable::Number) }
    }

    fn word(&mut self) {
        let word = self.run();
        // Whatever case rules a server has: `ſ` is an S to some, the Kelvin sign a K.
        self.tokens.push(Token::Word(word.to_lowercase().to_uppercase()));
    }

    /// Takes letters, digits and what else is in words.
    fn run(&mut self) -> String {
        let end = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
        let run = self.rest.get(..end).unwrap_or_default().to_owned();
        self.skip(end);
        run
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_ascii_digit()
}

/// `0xFF` or `0o17`.
fn prefixed(text: &str) -> bool {
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).is_some_and(|digits| all(digits, 16));
    hex || text.strip_prefix("0o").or_else(|| text.strip_prefix("0O")).is_some_and(|digits| all(digits, 8))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit() || c == b'_')
}

/// No character that ends a line for some, cannot be seen, or begins an escape.
fn plain(text: &str) -> Result<(), Unreadable> {
    let odd = |c: &char| (c.is_control() && *c != '\t') || is_invisible(*c);
    match text.chars().find(odd) {
        Some(found) => Err(Unreadable::Odd(found)),
        None if text.contains("\\u") || text.contains("\\U") => Err(Unreadable::Escape),
        None => Ok(()),
    }
}

/// Line ends, zero-width, direction and tag characters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

/// An escape in a text changes nothing but the text, whether it is decoded before the text is read or after. What begins
/// with the second of two backslashes is judged too.
fn harmless(escaped: &str) -> Result<(), Unreadable> {
    let behind = escaped.trim_start_matches('\\');
    let digits = match behind.chars().next() {
        // Several u are as good as one to who decodes first.
        Some('u') => behind.trim_start_matches('u').get(..4),
        Some('U') => behind.get(1..9),
        _ => return Ok(()),
    };
    let code = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let decoded = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
    let structural = |c: char| c.is_control() || is_invisible(c) || "'\"`\\/*$".contains(c);
    if decoded.is_some_and(|c| !structural(c)) { Ok(()) } else { Err(Unreadable::Escape) }
}
