//! Text → the terms by which it is found, and the vector by which it is compared; nothing but arithmetic, the same everywhere.
//!
//! Letters that only look alike (Cyrillic а, Greek ο, full width Ａ) and marks that cannot be seen fold to one form, so that what
//! looks the same is found and counted as the same. The vector is lexical (words and their trigrams hashed into 256 places): it
//! knows spelling and inflection, not meaning. It needs no model, and every instance makes the same one.

use std::collections::BTreeMap;

/// Places of a vector.
pub(crate) const DIMENSIONS: usize = 256;
/// The longest term, in characters; what is longer is cut.
const TERM: usize = 40;
/// Words that say little by themselves.
const STOP: [&str; 40] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "do", "does", "for", "from", "has", "have", "he", "her",
    "his", "how", "i", "in", "is", "it", "its", "of", "on", "or", "she", "that", "the", "their", "they", "this", "to",
    "was", "we", "what", "who", "with", "you",
];

/// One form for all that looks the same: lower case, no accents, no invisible characters, Latin for what looks Latin.
pub(crate) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).filter(|letter| !is_invisible(*letter)).map(alike).collect()
}

/// Characters that cannot be seen: zero width, direction marks, combining accents, tags.
pub(crate) fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{00ad}' | '\u{0300}'..='\u{036f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The plain letter that this one looks like (after Unicode TR 39, the common cases).
fn alike(letter: char) -> char {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter).to_ascii_lowercase(),
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'а' | 'α' => 'a',
        'ç' | 'ć' | 'č' | 'с' => 'c',
        'è'..='ë' | 'ē' | 'ę' | 'ě' | 'е' | 'ё' | 'ε' => 'e',
        'ì'..='ï' | 'ī' | 'і' | 'ї' | 'ι' | 'ı' => 'i',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'о' | 'ο' | 'ő' => 'o',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'υ' => 'u',
        'ý' | 'ÿ' | 'у' | 'γ' => 'y',
        'š' | 'ś' | 'ѕ' => 's',
        'ž' | 'ź' | 'ż' => 'z',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'р' | 'ρ' => 'p',
        'т' | 'τ' => 't',
        'х' | 'χ' => 'x',
        'в' | 'β' => 'b',
        'н' | 'η' => 'h',
        'ν' => 'v',
        _ => letter,
    }
}

/// The terms of a text with how often each occurs.
pub(crate) fn terms(text: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let folded = fold(text);
    for word in folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if word.chars().any(is_ideograph) {
            let letters: Vec<char> = word.chars().collect();
            for pair in letters.windows(2.min(letters.len())) {
                *found.entry(pair.iter().collect()).or_default() += 1;
            }
        } else {
            *found.entry(stem(word)).or_default() += 1;
        }
    }
    found
}

/// Writing without spaces: pairs of characters stand for words.
fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// Cuts what is too long, and the plural of English.
fn stem(word: &str) -> String {
    let mut word: String = word.chars().take(TERM).collect();
    if word.len() > 4 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") {
        word.truncate(word.len() - 1);
    }
    word
}

/// Whether a term says little by itself.
pub(crate) fn is_stop(term: &str) -> bool {
    STOP.binary_search(&term).is_ok()
}

/// What an index keeps instead of a term: it has no letters that an index could read its own way, and does not tell the term.
pub(crate) fn token(term: &str) -> String {
    format!("t{:016x}", hash(term.bytes(), 0))
}

/// The tokens to look for. Words that say little are left out unless there is nothing else.
pub(crate) fn query_tokens(terms: &BTreeMap<String, u32>) -> Vec<String> {
    let telling: Vec<_> = terms.keys().filter(|term| !is_stop(term)).map(|term| token(term)).collect();
    if telling.is_empty() { terms.keys().map(|term| token(term)).collect() } else { telling }
}

/// The vector of a text, of length one; all zero if there is no word in it.
pub(crate) fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS];
    for (term, times) in terms(text) {
        let times = u16::try_from(times).map_or(f32::from(u16::MAX), f32::from);
        let weight = (1.0 + times.ln()) * if is_stop(&term) { 0.2 } else { 1.0 };
        add(&mut vector, hash(term.bytes(), 1), weight);
        let letters: Vec<char> = std::iter::once('^').chain(term.chars()).chain(std::iter::once('$')).collect();
        let pieces = letters.windows(3.min(letters.len()));
        let share = 0.6 * weight / u16::try_from(pieces.len()).map_or(1.0, f32::from).sqrt();
        for piece in pieces {
            let piece: String = piece.iter().collect();
            add(&mut vector, hash(piece.bytes(), 2), share);
        }
    }
    let length = vector.iter().map(|place| place * place).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|place| *place /= length);
    }
    vector
}

fn add(vector: &mut [f32], hash: u64, weight: f32) {
    let place = usize::try_from(hash % DIMENSIONS as u64).unwrap_or(0);
    vector[place] += if hash >> 63 == 0 { weight } else { -weight };
}

/// How alike two vectors of length one are, from 0 to 1.
pub(crate) fn similarity(left: &[f32], right: &[f32]) -> f64 {
    f64::from(dot(left.iter().copied(), right)).clamp(0.0, 1.0)
}

/// The same, with a vector as it is kept: little-endian bytes.
pub(crate) fn similarity_of_bytes(left: &[u8], right: &[f32]) -> f64 {
    let (places, _) = left.as_chunks::<4>();
    // One of another model: there is nothing to compare.
    if places.len() != right.len() {
        return 0.0;
    }
    let places = places.iter().map(|place| f32::from_le_bytes(*place));
    f64::from(dot(places, right)).clamp(0.0, 1.0)
}

/// The sum of products, in eight sums beside each other: that is much faster, and the same on every machine.
fn dot(mut left: impl Iterator<Item = f32>, right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for part in right.chunks(8) {
        for ((sum, right), left) in sums.iter_mut().zip(part).zip(left.by_ref()) {
            *sum += left * right;
        }
    }
    sums.iter().sum()
}

/// FNV-1a with a last stir, so that all bits count.
fn hash(bytes: impl Iterator<Item = u8>, seed: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = bytes.fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_folds_to_the_same() {
        assert_eq!(fold("Аda\u{200b} Ｌovelace"), fold("Ada Lovelace"));
        assert_eq!(terms("Müllers memories"), terms("muller MEMORY"));
    }

    #[test]
    fn a_vector_is_the_same_everywhere_and_knows_spelling() {
        let vector = embed("The deploy of the billing service failed");
        assert_eq!(vector.len(), DIMENSIONS);
        assert!((similarity(&vector, &vector) - 1.0).abs() < 1e-5);
        let near = similarity(&vector, &embed("billing services deployment fails"));
        let far = similarity(&vector, &embed("Ada likes green tea"));
        assert!(near > 0.4 && far < 0.2, "{near} {far}");
        assert!(embed(" ?! ").iter().all(|place| *place == 0.0));
    }

    #[test]
    fn the_list_of_small_words_is_sorted() {
        assert!(STOP.is_sorted());
    }
}
