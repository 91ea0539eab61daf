//! What a model wrote → what is shown of it: without the letters that nobody sees and that some readers still obey.
//!
//! Only the rendering loses them; the structured result stays as the model wrote it.

/// A text without zero-width, direction and tag characters. The joiners of emoji and of some scripts stay.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|letter| !is_hidden(*letter)).collect()
}

fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_letters_are_not_shown_and_others_are() {
        assert_eq!(shown("a\u{200b}b\u{202e}c\u{e0041}\u{feff}"), "abc");
        for text in ["naïve 日本語 👩\u{200d}🔬", "line\n\tnext", "می\u{200c}خواهم"] {
            assert_eq!(shown(text), text);
        }
    }
}
