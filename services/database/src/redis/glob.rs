//! Redis patterns (`*`, `?`, `[a-z]`, `[^a]`, `\x`) over bytes, as the server's own `stringmatchlen` reads them: to escape what
//! must be literal, and to judge a channel here before the server is asked.

/// Makes every byte stand for itself.
pub(crate) fn escape(literal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(literal.len());
    for byte in literal {
        if b"*?[]\\^-".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// Whether the text has a character that means more than itself.
pub(crate) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Whether `pattern` matches all of `text`. Remembers only the last star, so it takes at most `pattern × text` steps.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, seen));
            at += 1;
            continue;
        }
        if let Some(next) = one(&pattern[at..], text[seen]) {
            at += next;
            seen += 1;
            continue;
        }
        let Some((after, from)) = star else { return false };
        star = Some((after, from + 1));
        (at, seen) = (after, from + 1);
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

/// How many bytes of the pattern stand for this one byte; `None` if it is another.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (escaped == byte).then_some(2),
        [b'[', ref class @ ..] => {
            let (matched, length) = in_class(class, byte);
            matched.then_some(length + 1)
        }
        [literal, ..] => (literal == byte).then_some(1),
    }
}

/// Whether the class holds the byte, and how long it is with its bracket. One that does not end goes to the end.
fn in_class(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    while at < class.len() && class[at] != b']' {
        match class[at..] {
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            _ => {
                found |= class[at] == byte;
                at += 1;
            }
        }
    }
    (found != negated, (at + 1).min(class.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_the_server_matches_them() {
        let cases = [
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("news.*", "news.", true),
            ("news.*", "new", false),
            ("a*b*c", "aXbYbZc", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("", "", true),
            ("*", "", true),
            ("[", "[", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(200);
        assert!(!matches(format!("{pattern}b").as_bytes(), "a".repeat(2_000).as_bytes()));
    }

    proptest! {
        #[test]
        fn an_escaped_text_matches_itself_alone(one: Vec<u8>, other: Vec<u8>) {
            prop_assert!(matches(&escape(&one), &one));
            prop_assert_eq!(matches(&escape(&one), &other), one == other);
        }
    }
}
