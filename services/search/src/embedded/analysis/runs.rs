//! Text → words, of any writing: those between spaces whole, and of writing that puts no spaces between words each character and each
//! pair of characters that follow each other.
//!
//! Pairs find words and parts of words without a dictionary (as Lucene's analyzer for Chinese, Japanese and Korean does); a character
//! alone is a word of its own often enough to be asked for. It stands at the position of the pair that it begins, so that phrases fit.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Whether this is a character of a writing without spaces: ideographs, kana, hangul (whose spaces stand between phrases), and the
/// writings of Thailand, Laos, Myanmar and Cambodia.
pub(crate) fn is_spaceless(letter: char) -> bool {
    // Most letters are below all of these.
    letter >= '\u{e00}'
        && matches!(letter,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{318f}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Whether a word is one such character or a pair of them.
pub(crate) fn is_piece(word: &str) -> bool {
    word.starts_with(is_spaceless) && word.chars().count() <= 2
}

/// The tokenizer.
#[derive(Clone)]
pub(super) struct Runs;

/// The words of one text.
pub(super) struct Cut<'t> {
    text: &'t str,
    /// Where to go on.
    at: usize,
    /// Where the pair ends that the character before `at` begins, if it was not told yet.
    pair: Option<usize>,
    is_pair: bool,
    token: Token,
}

impl<'t> Cut<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, at: 0, pair: None, is_pair: false, token: Token::default() }
    }

    /// Whether the last one told is a pair, at the position of the one before.
    pub(super) fn is_pair(&self) -> bool {
        self.is_pair
    }

    fn tell(&mut self, from: usize, to: usize) -> bool {
        (self.token.offset_from, self.token.offset_to) = (from, to);
        self.token.text.clear();
        self.token.text.push_str(&self.text[from..to]);
        true
    }
}

impl Tokenizer for Runs {
    type TokenStream<'a> = Cut<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Cut<'a> {
        Cut::of(text)
    }
}

impl TokenStream for Cut<'_> {
    fn advance(&mut self) -> bool {
        if let Some(end) = self.pair.take() {
            self.is_pair = true;
            return self.tell(self.token.offset_from, end);
        }
        self.is_pair = false;
        let mut left = self.text[self.at..].char_indices().skip_while(|(_, letter)| !letter.is_alphanumeric());
        let Some((start, first)) = left.next() else { return false };
        let start = self.at + start;
        self.token.position = self.token.position.wrapping_add(1);
        let after = start + first.len_utf8();
        if is_spaceless(first) {
            self.at = after;
            let next = self.text[after..].chars().next().filter(|next| next.is_alphanumeric() && is_spaceless(*next));
            self.pair = next.map(|next| after + next.len_utf8());
            return self.tell(start, after);
        }
        let ends = |letter: char| !letter.is_alphanumeric() || is_spaceless(letter);
        let end = self.text[after..].find(ends).map_or(self.text.len(), |end| after + end);
        self.at = end;
        self.tell(start, end)
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
