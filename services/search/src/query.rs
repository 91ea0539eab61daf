//! The simple query syntax → a tree that every store can translate.
//!
//! `word "a phrase" "near words"~3 typo~ begin* field:word +must -not (one two) a AND b, a OR b, word^2`. It is read leniently
//! (an open quote ends with the text, and a warning says so), but what would cost much is refused: a star in front, too many
//! words, deep nesting. Parsed by us and not by the stores, so that a query means the same in each of them and none of their
//! own syntax gets through.

use std::fmt;

use weft_kit::ToolError;

mod parse;
pub(crate) use parse::{LETTERS, parse};

/// How a part of a query counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occur {
    /// It must be there.
    Must,
    /// It may be there, and counts; if nothing must be there, one of these must.
    Should,
    /// It must not be there.
    Not,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Parts together.
    All(Vec<(Occur, Node)>),
    /// One word or phrase.
    Atom(Atom),
}

/// A word or phrase to find.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Atom {
    /// Where; in all prose if not said.
    pub(crate) field: Option<String>,
    pub(crate) what: What,
    /// How much it counts.
    pub(crate) boost: f32,
}

/// How it is written in the documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// A word. If it is cut into several, they must follow each other.
    Word(String),
    /// Words that follow each other, with so many moves allowed.
    Phrase(String, u32),
    /// The beginning of a word.
    Prefix(String),
    /// A word that may differ by so many letters.
    Fuzzy(String, u8),
}

/// A query and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parsed {
    /// All documents if there is none.
    pub(crate) query: Option<Node>,
    pub(crate) warnings: Vec<String>,
}

impl Node {
    /// At least one of these.
    pub(crate) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::All(parts.into_iter().map(|part| (Occur::Should, part)).collect())
    }

    /// All atoms, in the order of the text.
    pub(crate) fn atoms(&self) -> Vec<&Atom> {
        match self {
            Self::Atom(atom) => vec![atom],
            Self::All(parts) => parts.iter().flat_map(|(_, part)| part.atoms()).collect(),
        }
    }

    /// The same, with all parts of the first level asked for instead of any.
    pub(crate) fn requiring_all(self) -> Self {
        let must = |(how, part)| (if how == Occur::Should { Occur::Must } else { how }, part);
        match self {
            Self::All(parts) => Self::All(parts.into_iter().map(must).collect()),
            atom @ Self::Atom(_) => atom,
        }
    }

    /// Whether all fields that it names are there.
    pub(crate) fn check(&self, schema: &crate::model::Schema) -> Result<(), ToolError> {
        for field in self.atoms().iter().filter_map(|atom| atom.field.as_deref()) {
            schema.field(field).map_err(|error| {
                error.hint(format!(
                    "fields: {}; put the whole in quotes to search for it as text",
                    schema.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
                ))
            })?;
        }
        Ok(())
    }
}

impl Atom {
    /// The word or phrase in small letters, if synonyms could stand for it.
    pub(crate) fn plain(&self) -> Option<String> {
        match &self.what {
            What::Word(text) | What::Phrase(text, 0) => Some(text.to_lowercase()),
            _ => None,
        }
    }

    /// Another word or phrase in its place.
    pub(crate) fn instead(&self, text: &str, weight: f32) -> Self {
        let what = if text.contains(char::is_whitespace) {
            What::Phrase(text.to_owned(), 0)
        } else {
            What::Word(text.to_owned())
        };
        Self { field: self.field.clone(), what, boost: self.boost * weight }
    }

    /// Its text.
    pub(crate) fn text(&self) -> &str {
        match &self.what {
            What::Word(text) | What::Phrase(text, _) | What::Prefix(text) | What::Fuzzy(text, _) => text,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(atom) => atom.fmt(f),
            Self::All(parts) => {
                f.write_str("(")?;
                for (place, (how, part)) in parts.iter().enumerate() {
                    let sign = match how {
                        Occur::Must => "+",
                        Occur::Should => "",
                        Occur::Not => "-",
                    };
                    write!(f, "{}{sign}{part}", if place > 0 { " " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}:")?;
        }
        match &self.what {
            What::Word(text) => f.write_str(text)?,
            What::Phrase(text, 0) => write!(f, "\"{text}\"")?,
            What::Phrase(text, slop) => write!(f, "\"{text}\"~{slop}")?,
            What::Prefix(text) => write!(f, "{text}*")?,
            What::Fuzzy(text, distance) => write!(f, "{text}~{distance}")?,
        }
        if (self.boost - 1.0).abs() > f32::EPSILON { write!(f, "^{}", self.boost) } else { Ok(()) }
    }
}
