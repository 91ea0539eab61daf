//! Text → the words that are indexed and searched, for each language and for program text.
//!
//! An index keeps the names of its tokenizers, and what it holds was cut by them: a tokenizer is never changed, the next one gets
//! another name. Those of the first edition took a run of Chinese or Japanese for one word; indexes of that time keep them until
//! they are made again.

use std::ops::Range;

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language as Stems, LowerCaser, RawTokenizer, RemoveLongFilter, SimpleTokenizer, Stemmer,
    TextAnalyzer, TokenizerManager,
};

use crate::model::Language;

mod code;
mod runs;

use code::Code;
use runs::Runs;
pub(crate) use runs::is_piece;

/// The tokenizer of program text, without its edition.
const CODE: &str = "code";
/// What stands behind the names of tokenizers of the second edition.
const EDITION: &str = ".2";
/// The tokenizer of suggestions: words as people write them.
pub(crate) const WORDS: &str = "words";
/// The tokenizer of keywords.
pub(crate) const KEYWORD: &str = "raw";
/// Longer words are no words.
const LONGEST: usize = 80;

/// All tokenizers that an index of ours can name.
pub(crate) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    manager.register(KEYWORD, RawTokenizer::default());
    manager.register(name(Language::Plain), plain());
    // The engine asks for this one even for fields that are only stored.
    manager.register("default", plain());
    manager.register(WORDS, words());
    manager.register(&current(CODE), code(Code::default()));
    manager.register(CODE, code(Code { runs_are_words: true }));
    manager.register(&current(name(Language::Plain)), cut_in_runs());
    manager.register(&current(name(Language::Cjk)), cut_in_runs());
    for (language, stems) in STEMMED {
        let analyzer = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(LONGEST))
            .filter(LowerCaser)
            .filter(Stemmer::new(stems))
            .filter(AsciiFoldingFilter);
        manager.register(name(language), analyzer.build());
        let analyzer = TextAnalyzer::builder(Runs)
            .filter(RemoveLongFilter::limit(LONGEST))
            .filter(LowerCaser)
            .filter(Stemmer::new(stems))
            .filter(AsciiFoldingFilter);
        manager.register(&current(name(language)), analyzer.build());
    }
    manager
}

/// The name of a tokenizer in its last edition.
fn current(name: &str) -> String {
    format!("{name}{EDITION}")
}

/// Whether a tokenizer is of the last edition.
pub(crate) fn is_current(name: &str) -> bool {
    name.ends_with(EDITION)
}

/// Words as they are, in small letters and without accents; a run of Chinese or Japanese is one.
pub(crate) fn plain() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build()
}

fn cut_in_runs() -> TextAnalyzer {
    TextAnalyzer::builder(Runs)
        .filter(RemoveLongFilter::limit(LONGEST))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build()
}

fn code(cutter: Code) -> TextAnalyzer {
    TextAnalyzer::builder(cutter).filter(RemoveLongFilter::limit(LONGEST)).filter(LowerCaser).build()
}

fn words() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default()).filter(RemoveLongFilter::limit(40)).filter(LowerCaser).build()
}

const STEMMED: [(Language, Stems); 17] = [
    (Language::Arabic, Stems::Arabic),
    (Language::Danish, Stems::Danish),
    (Language::Dutch, Stems::Dutch),
    (Language::English, Stems::English),
    (Language::Finnish, Stems::Finnish),
    (Language::French, Stems::French),
    (Language::German, Stems::German),
    (Language::Greek, Stems::Greek),
    (Language::Hungarian, Stems::Hungarian),
    (Language::Italian, Stems::Italian),
    (Language::Norwegian, Stems::Norwegian),
    (Language::Portuguese, Stems::Portuguese),
    (Language::Romanian, Stems::Romanian),
    (Language::Russian, Stems::Russian),
    (Language::Spanish, Stems::Spanish),
    (Language::Swedish, Stems::Swedish),
    (Language::Turkish, Stems::Turkish),
];

/// The tokenizer of a new index for prose of a language.
pub(crate) fn of_prose(language: Language) -> String {
    current(name(language))
}

/// The tokenizer of a new index for program text.
pub(crate) fn of_code() -> String {
    current(CODE)
}

/// The tokenizer of a language, without its edition; kept with an index for as long as it lives.
fn name(language: Language) -> &'static str {
    match language {
        Language::Plain => "plain",
        Language::Cjk => "cjk",
        Language::Arabic => "arabic",
        Language::Danish => "danish",
        Language::Dutch => "dutch",
        Language::English => "english",
        Language::Finnish => "finnish",
        Language::French => "french",
        Language::German => "german",
        Language::Greek => "greek",
        Language::Hungarian => "hungarian",
        Language::Italian => "italian",
        Language::Norwegian => "norwegian",
        Language::Portuguese => "portuguese",
        Language::Romanian => "romanian",
        Language::Russian => "russian",
        Language::Spanish => "spanish",
        Language::Swedish => "swedish",
        Language::Turkish => "turkish",
    }
}

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) position: usize,
    /// Its bytes in the text.
    pub(crate) place: Range<usize>,
    pub(crate) text: String,
}

/// The words of a text.
pub(crate) fn cut(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut stream = analyzer.token_stream(text);
    while stream.advance() {
        let token = stream.token();
        let place = token.offset_from..token.offset_to;
        found.push(Word { position: token.position, place, text: token.text.clone() });
    }
    found
}

/// The words to ask for: one for each position (of a name that is there whole and in parts, its parts), and none that lies within
/// the one before it (the characters of a pair).
pub(crate) fn asked(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for word in cut(analyzer, text) {
        match words.last_mut() {
            Some(last) if last.position == word.position => *last = word,
            Some(last) if word.place.end <= last.place.end => {}
            _ => words.push(word),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(tokenizer: &str, text: &str) -> Vec<String> {
        let mut analyzer = tokenizers().get(tokenizer).unwrap();
        cut(&mut analyzer, text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn names_in_programs_are_found_whole_and_by_their_words() {
        assert_eq!(words_of("code.2", "parseHTTPHeader(x)"), ["parsehttpheader", "parse", "http", "header", "x"]);
        assert_eq!(words_of("code.2", "max_retry_count = 3"), ["max_retry_count", "max", "retry", "count", "3"]);
        assert_eq!(words_of("code.2", "__init__ größe"), ["init", "größe"]);
    }

    #[test]
    fn languages_meet_in_their_stems_and_without_accents() {
        assert_eq!(words_of("english.2", "Running connections"), words_of("english.2", "run connection"));
        assert_eq!(words_of("plain.2", "Café ÉCLAIR"), ["cafe", "eclair"]);
        assert_eq!(words_of("german.2", "Häuser"), words_of("german.2", "Häusern"));
    }

    #[test]
    fn writing_without_spaces_is_cut_into_characters_and_pairs() {
        for tokenizer in ["plain.2", "english.2", "cjk.2", "code.2"] {
            let cut = words_of(tokenizer, "日本語のmemo猫");
            assert_eq!(cut, ["日", "日本", "本", "本語", "語", "語の", "の", "memo", "猫"], "{tokenizer}");
            assert_eq!(words_of(tokenizer, "한국어"), ["한", "한국", "국", "국어", "어"], "{tokenizer}");
        }
        assert_eq!(words_of("plain", "日本語のmemo猫"), ["日本語のmemo猫"]);
        assert_eq!(words_of("code", "日本語のmemo猫"), ["日本語のmemo猫"]);
        assert_eq!(words_of("plain.2", &"漢字".repeat(100)).len(), 399);
    }

    #[test]
    fn what_is_asked_has_one_word_at_each_position() {
        let asked_for = |tokenizer: &str, text: &str| {
            let mut analyzer = tokenizers().get(tokenizer).unwrap();
            asked(&mut analyzer, text).into_iter().map(|word| (word.position, word.text)).collect::<Vec<_>>()
        };
        let own = |words: &[(usize, &str)]| {
            words.iter().map(|(place, word)| (*place, (*word).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(asked_for("plain.2", "日本語 no"), own(&[(0, "日本"), (1, "本語"), (3, "no")]));
        assert_eq!(asked_for("plain.2", "猫"), own(&[(0, "猫")]));
        assert_eq!(asked_for("code.2", "parseHeader x"), own(&[(0, "parse"), (1, "header"), (2, "x")]));
    }
}
