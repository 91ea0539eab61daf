//! Text → words: lower case, split at whatever is neither letter nor digit.
//!
//! One rule for the lexical embedder and for whoever indexes or filters by words beside it, so that they never disagree about what a
//! word is.

/// The longest word that is kept; longer ones are cut, so that no text can make a key that is too long.
const LONGEST: usize = 64;

/// The words of a text, in order, repeated ones too.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(lower)
}

fn lower(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for letter in word.chars().flat_map(char::to_lowercase) {
        if out.len() + letter.len_utf8() > LONGEST {
            break;
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_and_never_too_long() {
        assert_eq!(words("Grüße, WELT-2 (α)").collect::<Vec<_>>(), ["grüße", "welt", "2", "α"]);
        assert_eq!(words(&"x".repeat(500)).next().unwrap().len(), LONGEST);
        assert_eq!(words(" .,; ").count(), 0);
    }
}
