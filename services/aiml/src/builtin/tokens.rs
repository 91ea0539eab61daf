//! How many tokens a text has, about: for limits and budgets where no tokenizer can be asked.
//!
//! Byte-pair tokenizers of today's models take a frequent word with the space before it as one token and cut rare words to
//! pieces of about four letters; CJK text is about a token per character. The estimate follows that; how far it is from a count
//! depends on the model, so whatever can be counted is counted by the provider.

use crate::model::{Role, Turn};

/// What a chat template adds to a message.
const PER_MESSAGE: u64 = 4;
/// What a picture costs, about: providers count between 85 and 1,600.
const PER_IMAGE: u64 = 800;

/// Tokens of a text.
pub(crate) fn estimate(text: &str) -> u64 {
    measure(text, u64::MAX).0
}

/// Where the longest beginning of a text ends that has at most so many tokens.
pub(crate) fn prefix(text: &str, most: u64) -> usize {
    measure(text, most).1
}

fn measure(text: &str, most: u64) -> (u64, usize) {
    let (mut tokens, mut run) = (0, Run::default());
    for (at, letter) in text.char_indices() {
        let kind = Kind::of(letter);
        if kind != run.kind || matches!(kind, Kind::Wide) {
            tokens += run.tokens();
            run = Run { kind, length: 0 };
        }
        run.length += 1;
        if tokens + run.tokens() > most {
            return (tokens, at);
        }
    }
    (tokens + run.tokens(), text.len())
}

/// Tokens of messages, with what a template adds.
pub(crate) fn of_turns(turns: &[Turn]) -> u64 {
    turns.iter().map(of_turn).sum()
}

/// Tokens of one message.
pub(crate) fn of_turn(turn: &Turn) -> u64 {
    let calls = turn.tool_calls.iter().map(|call| estimate(&call.name) + estimate(&call.arguments.to_string()));
    let images = turn.images.len() as u64 * PER_IMAGE;
    let role = if turn.role == Role::Tool { 2 } else { 0 };
    estimate(&turn.content) + calls.sum::<u64>() + images + PER_MESSAGE + role
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Space,
    Break,
    Word,
    Digit,
    Sign,
    /// Scripts of which every character is about a token.
    Wide,
}

impl Kind {
    fn of(letter: char) -> Self {
        match letter {
            '\n' | '\r' => Self::Break,
            _ if letter.is_whitespace() => Self::Space,
            _ if letter.is_ascii_digit() => Self::Digit,
            '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{1f000}'..='\u{3ffff}' => {
                Self::Wide
            }
            _ if letter.is_alphanumeric() => Self::Word,
            _ => Self::Sign,
        }
    }
}

/// Characters of one kind in a row.
#[derive(Debug, Default)]
struct Run {
    kind: Kind,
    length: u64,
}

impl Run {
    fn tokens(&self) -> u64 {
        match self.kind {
            _ if self.length == 0 => 0,
            // One space belongs to the word after it; more of them are one token.
            Kind::Space => u64::from(self.length > 1),
            Kind::Break | Kind::Wide => 1,
            Kind::Word if self.length <= 8 => 1,
            Kind::Word => self.length.div_ceil(5),
            Kind::Digit => self.length.div_ceil(3),
            Kind::Sign => self.length.div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Well-known counts of the tokenizer `cl100k_base`.
    const COUNTED: [(&str, u64); 3] =
        [("Hello, world!", 4), ("The quick brown fox jumps over the lazy dog.", 10), ("", 0)];

    #[test]
    fn estimates_stay_near_what_a_tokenizer_counts() {
        for (text, counted) in COUNTED {
            let estimate = estimate(text);
            assert!(estimate.abs_diff(counted) <= 1 + counted / 4, "{text:?}: {estimate}, counted {counted}");
        }
    }

    #[test]
    fn a_message_costs_more_than_its_text_and_cjk_a_token_a_character() {
        assert!(of_turns(&[Turn::new(Role::User, "hi")]) > estimate("hi"));
        assert_eq!(estimate("日本語"), 3);
    }
}
