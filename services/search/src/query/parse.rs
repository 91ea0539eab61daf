//! Text → tree, one character at a time, without going back.

use weft_kit::ToolError;

use super::{Atom, Node, Occur, Parsed, What};
use crate::names;

/// Bytes of one query.
const LONGEST: usize = 4_096;
/// Words and phrases of one query.
const ATOMS: usize = 64;
/// Levels of parentheses.
const DEEPEST: usize = 5;
/// Letters of a word that is not searched as it is.
pub(crate) const LETTERS: usize = 64;
/// Moves between the words of a phrase.
const SLOP: u32 = 20;

/// Reads a query.
pub(crate) fn parse(text: &str) -> Result<Parsed, ToolError> {
    if text.len() > LONGEST {
        return Err(ToolError::invalid(format!("a query has at most {LONGEST} bytes")).hint("name fewer words"));
    }
    if matches!(text.trim(), "" | "*" | "*:*") {
        return Ok(Parsed { query: None, warnings: Vec::new() });
    }
    let mut reader = Reader { left: text, atoms: 0, warnings: Vec::new() };
    let mut parts = reader.parts(0)?;
    while reader.left.starts_with(')') {
        reader.warn("a ) without ( was passed over");
        reader.left = &reader.left[1..];
        parts.append(&mut reader.parts(0)?);
    }
    let query = if parts.is_empty() { None } else { Some(Node::All(parts)) };
    if query.is_none() {
        return Err(ToolError::invalid("the query holds no words").hint("leave it out to get all documents"));
    }
    Ok(Parsed { query, warnings: reader.warnings })
}

struct Reader<'t> {
    left: &'t str,
    atoms: usize,
    warnings: Vec<String>,
}

impl<'t> Reader<'t> {
    fn warn(&mut self, text: &str) {
        if !self.warnings.iter().any(|warning| warning == text) {
            self.warnings.push(text.to_owned());
        }
    }

    /// Parts up to the end or a closing parenthesis, which stays.
    fn parts(&mut self, depth: usize) -> Result<Vec<(Occur, Node)>, ToolError> {
        if depth > DEEPEST {
            return Err(ToolError::invalid(format!("parentheses nest at most {DEEPEST} deep")));
        }
        let mut parts: Vec<(Occur, Node)> = Vec::new();
        let mut next = Occur::Should;
        loop {
            self.left = self.left.trim_start();
            if self.left.is_empty() || self.left.starts_with(')') {
                return Ok(parts);
            }
            match self.operator() {
                Some("AND") => {
                    if let Some((how @ Occur::Should, _)) = parts.last_mut() {
                        *how = Occur::Must;
                    }
                    next = Occur::Must;
                    continue;
                }
                Some("OR") => continue,
                Some("NOT") => {
                    next = Occur::Not;
                    continue;
                }
                _ => {}
            }
            let how = self.sign().unwrap_or(next);
            if let Some(node) = self.node(depth)? {
                parts.push((how, node));
            }
            next = Occur::Should;
        }
    }

    /// `AND`, `OR` or `NOT` as a word of its own.
    fn operator(&mut self) -> Option<&'t str> {
        let word = self.left.split(|letter: char| letter.is_whitespace() || letter == '(').next()?;
        if !matches!(word, "AND" | "OR" | "NOT") {
            return None;
        }
        self.left = &self.left[word.len()..];
        Some(word)
    }

    fn sign(&mut self) -> Option<Occur> {
        let how = match self.left.as_bytes().first()? {
            b'+' => Occur::Must,
            b'-' => Occur::Not,
            _ => return None,
        };
        self.left = &self.left[1..];
        Some(how)
    }

    fn node(&mut self, depth: usize) -> Result<Option<Node>, ToolError> {
        if let Some(inner) = self.left.strip_prefix('(') {
            self.left = inner;
            let parts = self.parts(depth + 1)?;
            match self.left.strip_prefix(')') {
                Some(behind) => self.left = behind,
                None => self.warn("a ( was never closed"),
            }
            return Ok(if parts.is_empty() { None } else { Some(Node::All(parts)) });
        }
        let field = self.field()?;
        self.atoms += 1;
        if self.atoms > ATOMS {
            return Err(ToolError::invalid(format!("a query has at most {ATOMS} words and phrases"))
                .hint("for one of many exact values use a filter with op in"));
        }
        if self.left.starts_with('"') { self.phrase(field) } else { self.word(field) }
    }

    fn field(&mut self) -> Result<Option<String>, ToolError> {
        let Some((name, behind)) = self.left.split_once(':') else { return Ok(None) };
        if names::field(name).is_err() || behind.is_empty() || behind.starts_with(char::is_whitespace) {
            return Ok(None);
        }
        match behind.as_bytes() {
            [b'(', ..] => {
                Err(ToolError::invalid(format!("{name}: stands in front of one word or phrase, not of a group"))
                    .hint(format!("write ({name}:one {name}:two)")))
            }
            [b')', ..] => Ok(None),
            _ => {
                self.left = behind;
                Ok(Some(name.to_owned()))
            }
        }
    }

    fn phrase(&mut self, field: Option<String>) -> Result<Option<Node>, ToolError> {
        let inner = &self.left[1..];
        let (text, behind) = inner.split_once('"').unwrap_or_else(|| {
            self.warn("a quote was never closed");
            (inner, "")
        });
        self.left = behind;
        let end = self.left.find(|letter: char| letter.is_whitespace() || letter == ')').unwrap_or(self.left.len());
        let (marks, behind) = self.left.split_at(end);
        let (marks, boost) = boost(marks)?;
        let mut slop = 0;
        if let Some(number) = marks.strip_prefix('~') {
            slop = number
                .parse()
                .ok()
                .filter(|slop| *slop <= SLOP)
                .ok_or_else(|| ToolError::invalid(format!("behind a phrase, ~ is followed by 0 to {SLOP}")))?;
            self.left = behind;
        } else if marks.is_empty() {
            self.left = behind;
        }
        Ok(told(Atom { field, what: What::Phrase(text.to_owned(), slop), boost }))
    }

    fn word(&mut self, field: Option<String>) -> Result<Option<Node>, ToolError> {
        let end =
            self.left.find(|letter: char| letter.is_whitespace() || "()\"".contains(letter)).unwrap_or(self.left.len());
        // Behind a sign that stands alone there is none: what follows it is a part of its own.
        let (word, behind) = self.left.split_at(end);
        self.left = behind;
        let (word, boost) = boost(word)?;
        let what = what(word)?;
        Ok(told(Atom { field, what, boost }))
    }
}

/// Punctuation alone means nothing.
fn told(atom: Atom) -> Option<Node> {
    atom.text().chars().any(char::is_alphanumeric).then_some(Node::Atom(atom))
}

/// Text in front of `^`, and the number behind it.
fn boost(text: &str) -> Result<(&str, f32), ToolError> {
    let Some((text, number)) = text.rsplit_once('^').filter(|(_, number)| !number.is_empty()) else {
        return Ok((text.trim_end_matches('^'), 1.0));
    };
    let number: Option<f32> = number.parse().ok();
    match number.filter(|number| number.is_finite() && (0.01..=100.0).contains(number)) {
        Some(number) => Ok((text, number)),
        None => Err(ToolError::invalid("behind ^ stands a number between 0.01 and 100")
            .hint("put the word in quotes if the ^ belongs to it")),
    }
}

fn what(word: &str) -> Result<What, ToolError> {
    if word.starts_with('*') {
        return Err(ToolError::invalid("a star stands behind a word, never in front: begin*")
            .hint("put the word in quotes if the star belongs to it"));
    }
    if let Some(start) = word.strip_suffix('*') {
        let letters = start.chars().filter(|letter| letter.is_alphanumeric()).count();
        return match letters {
            0 | 1 => Err(ToolError::invalid("at least two letters stand in front of a star")),
            LETTERS.. => Err(ToolError::invalid(format!("at most {LETTERS} letters stand in front of a star"))),
            _ => Ok(What::Prefix(start.trim_end_matches('*').to_owned())),
        };
    }
    let marked = word.rsplit_once('~');
    if marked.is_some_and(|(word, _)| word.chars().count() > LETTERS) {
        // What finds words that are nearly this one grows with its length.
        return Err(ToolError::invalid(format!("a word in front of ~ has at most {LETTERS} letters")));
    }
    match marked {
        Some((word, "")) => Ok(What::Fuzzy(word.to_owned(), if word.chars().count() > 5 { 2 } else { 1 })),
        Some((word, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => match number {
            "0" => Ok(What::Word(word.to_owned())),
            "1" => Ok(What::Fuzzy(word.to_owned(), 1)),
            "2" => Ok(What::Fuzzy(word.to_owned(), 2)),
            _ => Err(ToolError::invalid("behind a word, ~ is followed by 1 or 2")),
        },
        _ => Ok(What::Word(word.to_owned())),
    }
}

#[cfg(test)]
mod tests;
