//! What is read as what, and what is not read at all.

use proptest::prelude::*;

use super::*;

fn words(text: &str) -> Vec<String> {
    let word = |token| match token {
        Token::Word(word) => Some(word),
        _ => None,
    };
    tokens(text).unwrap().into_iter().filter_map(word).collect()
}

#[test]
fn words_in_texts_names_parameters_and_comments_are_no_words() {
    let text = "MATCH (n) // DELETE\r\n WHERE n.x = 'SET \\' MERGE' /* CREATE \n */ AND n.`DROP ``me`` x` = $CALL RETURN \"\\\"FOREACH\"";
    assert_eq!(words(text), ["MATCH", "N", "WHERE", "N", "X", "AND", "N", "RETURN"]);
}

#[test]
fn a_number_ends_before_a_range_and_before_a_word() {
    assert_eq!(words("RETURN 1..3, 1.5e10, 1e-5, 1_000, 0xFF, $1, 1. create"), ["RETURN", "CREATE"]);
    for text in ["1CREATE", "1e5CREATE", "1e-5CREATE", "1.5CREATE", "0x1SET", "0o7SET", ".5SET", "$1CREATE", "1e", "0x"]
    {
        assert_eq!(tokens(text), Err(Unreadable::Number), "{text}");
    }
    let dots = tokens("*1..3").unwrap().into_iter().filter(|token| *token == Token::Symbol('.')).count();
    assert_eq!(dots, 2);
}

#[test]
fn words_are_compared_in_every_case_that_a_server_may_know() {
    assert_eq!(
        words("create ſet mıssing \u{212A}ill GRÖSSE größe"),
        ["CREATE", "SET", "MISSING", "KILL", "GRÖSSE", "GRÖSSE"]
    );
}

#[test]
fn an_escape_that_could_end_a_text_or_a_name_or_a_comment_is_refused() {
    for text in [
        "RETURN '\\u0027 CREATE (n) //'",
        "RETURN '\\u005c' CREATE (n) //'",
        "RETURN '\\\\u0027 CREATE (n) //'",
        "RETURN '\\uu0027'",
        "RETURN '\\U00000027'",
        "RETURN '\\u000a'",
        "RETURN '\\u00'",
        "RETURN '\\uD800'",
        "RETURN n.`x\\u0060`",
        "/* \\u002a\\u002f CREATE (n) */ RETURN 1",
        "// \\u000a CREATE (n)",
        "\\u0043REATE (n)",
        "RETURN $`a\\u0060`",
    ] {
        assert_eq!(tokens(text), Err(Unreadable::Escape), "{text}");
    }
    assert_eq!(words("RETURN 'caf\\u00e9 \\n \\t \\\\ \\' x'"), ["RETURN"]);
}

#[test]
fn what_ends_a_line_for_some_is_refused() {
    for text in [
        "// a \r CREATE (n)",
        "// \u{2028} CREATE (n)",
        "// \u{85} x",
        "RETURN\u{A0}1",
        "RETURN\u{200B} 1",
        "\u{FEFF}RETURN 1",
        "RETURN 1\r",
        "`a\nb`",
    ] {
        assert!(matches!(tokens(text), Err(Unreadable::Odd(_))), "{text:?}");
    }
}

#[test]
fn what_does_not_end_or_nests_is_refused() {
    assert_eq!(tokens("RETURN 'x"), Err(Unreadable::Open));
    assert_eq!(tokens("RETURN 'x\\'"), Err(Unreadable::Open));
    assert_eq!(tokens("RETURN `x``"), Err(Unreadable::Open));
    for text in ["/* x", "/* /* */ CREATE */", "/*/ CREATE (n) /*/", "/* x /*/"] {
        assert_eq!(tokens(text), Err(Unreadable::Comment), "{text}");
    }
    assert_eq!(tokens(&"x".repeat(LONGEST + 1)), Err(Unreadable::Long(LONGEST)));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = tokens(&text);
    }

    #[test]
    fn any_mix_of_what_has_a_meaning_is_read_or_refused(parts in proptest::collection::vec(
        prop_oneof!["[a-z]{1,3}", Just("'".to_owned()), Just("`".to_owned()), Just("\\".to_owned()), Just("/*".to_owned()),
            Just("*/".to_owned()), Just("//".to_owned()), Just("\n".to_owned()), Just("\"".to_owned()), Just("\\u0027".to_owned())], 0..20))
    {
        let _ = tokens(&parts.concat());
    }
}
