//! Program text → names and their words. It stands apart because a name is two things at once, a whole and its parts.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::runs::{self, Cut};

/// Cuts program text into names, and names into their words: `parseHttpHeader` gives `parseHttpHeader`, `parse`, `Http`, `Header`.
/// The name and its first word stand at one position, so that phrases of words and of names both fit.
#[derive(Clone, Default)]
pub(super) struct Code {
    /// As in the first edition, a run of Chinese or Japanese is one word.
    pub(super) runs_are_words: bool,
}

pub(super) struct Pieces {
    tokens: std::vec::IntoIter<Token>,
    token: Token,
}

impl Tokenizer for Code {
    type TokenStream<'a> = Pieces;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Pieces {
        let mut tokens = Vec::new();
        let mut position = 0;
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut start = None;
        for (at, letter) in text.char_indices().chain(std::iter::once((text.len(), ' '))) {
            match (start, is_name(letter)) {
                (None, true) => start = Some(at),
                (Some(from), false) => {
                    position = self.name(&text[from..at], from, position, &mut tokens);
                    start = None;
                }
                _ => {}
            }
        }
        Pieces { tokens: tokens.into_iter(), token: Token::default() }
    }
}

impl Code {
    /// The tokens of one name, and of what in it is written without spaces; gives the position behind it.
    fn name(&self, text: &str, from: usize, position: usize, tokens: &mut Vec<Token>) -> usize {
        if self.runs_are_words || !text.contains(runs::is_spaceless) {
            return name_of(text, from, position, tokens);
        }
        let mut next = position;
        let mut stream = Cut::of(text);
        while stream.advance() {
            let token = stream.token();
            let at = from + token.offset_from;
            if token.text.starts_with(runs::is_spaceless) {
                let own = Token { offset_from: at, offset_to: from + token.offset_to, ..token.clone() };
                // A pair stands where its first character does.
                let follows = !stream.is_pair();
                tokens.push(Token { position: if follows { next } else { next - 1 }, ..own });
                next += usize::from(follows);
            } else {
                next = name_of(&token.text, at, next, tokens);
            }
        }
        next
    }
}

/// The tokens of one name; gives the position behind it.
fn name_of(name: &str, from: usize, position: usize, tokens: &mut Vec<Token>) -> usize {
    let token = |start: usize, end: usize, position: usize| Token {
        offset_from: from + start,
        offset_to: from + end,
        position,
        text: name[start..end].to_owned(),
        position_length: 1,
    };
    let parts = parts(name);
    if parts.is_empty() {
        return position;
    }
    if parts.len() > 1 {
        tokens.push(token(0, name.len(), position));
    }
    for (place, (start, end)) in parts.iter().enumerate() {
        tokens.push(token(*start, *end, position + place));
    }
    position + parts.len()
}

/// Where the words of a name begin and end.
fn parts(name: &str) -> Vec<(usize, usize)> {
    let letters: Vec<(usize, char)> = name.char_indices().collect();
    let mut cuts = Vec::new();
    let mut start = None;
    for (place, (at, letter)) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| letters[place].1);
        let after = letters.get(place + 1).map(|(_, letter)| *letter);
        if *letter == '_' {
            cuts.extend(start.take().map(|from| (from, *at)));
            continue;
        }
        let rises = before.is_some_and(|before| !before.is_uppercase()) && letter.is_uppercase();
        let ends_capitals =
            before.is_some_and(char::is_uppercase) && letter.is_uppercase() && after.is_some_and(char::is_lowercase);
        match start {
            Some(from) if rises || ends_capitals => {
                cuts.push((from, *at));
                start = Some(*at);
            }
            None => start = Some(*at),
            Some(_) => {}
        }
    }
    cuts.extend(start.map(|from| (from, name.len())));
    cuts
}

impl TokenStream for Pieces {
    fn advance(&mut self) -> bool {
        match self.tokens.next() {
            Some(token) => {
                self.token = token;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
