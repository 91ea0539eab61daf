//! What the syntax means, and what it refuses.

use proptest::prelude::*;

use super::*;

fn told(text: &str) -> String {
    parse(text).unwrap().query.map_or_else(|| "everything".to_owned(), |node| node.to_string())
}

#[test]
fn words_phrases_signs_and_marks_are_understood() {
    for (text, tree) in [
        ("red car", "(red car)"),
        ("+red -car", "(+red -car)"),
        ("\"red car\"~3 x^2.5", "(\"red car\"~3 x^2.5)"),
        ("begin* typo~ tyop~2 configuration~", "(begin* typo~1 tyop~2 configuration~2)"),
        ("title:red body:\"a b\"", "(title:red body:\"a b\")"),
        ("a AND b OR c", "(+a +b c)"),
        ("a NOT b", "(a -b)"),
        ("(a b) AND (c OR d)", "(+(a b) +(c d))"),
        ("what is this?", "(what is this?)"),
        ("ANDROID ORDER", "(ANDROID ORDER)"),
        ("", "everything"),
        ("*", "everything"),
        ("*:*", "everything"),
        ("a --- b", "(a b)"),
        ("a: \"\" b", "(a: b)"),
        ("-\u{a0}sea", "(sea)"),
        ("+\u{3000}sea", "(sea)"),
        ("- \u{2003}red +\u{2003}\u{feff}", "(red)"),
        ("(red -) car", "((red) car)"),
    ] {
        assert_eq!(told(text), tree, "{text}");
    }
}

#[test]
fn what_is_open_is_closed_and_said_so() {
    for (text, tree, warning) in [
        ("\"red car", "(\"red car\")", "a quote was never closed"),
        ("(red car", "((red car))", "a ( was never closed"),
        ("red) car", "(red car)", "a ) without ( was passed over"),
    ] {
        assert_eq!(told(text), tree);
        assert_eq!(parse(text).unwrap().warnings, [warning]);
    }
}

#[test]
fn what_would_cost_much_is_refused() {
    let many = vec!["a"; 10_000].join(" OR ");
    let deep = format!("{}a{}", "(".repeat(50), ")".repeat(50));
    let words = vec!["a"; 65].join(" ");
    let (fuzzy, prefix) = (format!("{}~2", "a".repeat(65)), format!("{}*", "a".repeat(65)));
    for bad in [
        "*leading",
        "a*",
        "word^NaN",
        "title:(a b)",
        "word^inf",
        "word^-1",
        "word~9",
        "\"a b\"~999",
        &many,
        &deep,
        &words,
        &fuzzy,
        &prefix,
        "-",
    ] {
        assert_eq!(parse(bad).unwrap_err().code(), "invalid_arguments", "{}", &bad[..bad.len().min(20)]);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ a-z()\"*~^:+\\-é\u{a0}\u{3000}日\u{feff}\u{301}]{0,60}", any in "\\PC{0,80}|(?s:.{0,80})") {
        let _ = parse(&text);
        let _ = parse(&any);
    }

    #[test]
    fn what_is_told_is_read_the_same_again(text in "[ a-c()\"*~:+\\-]{0,40}") {
        let Ok(Parsed { query: Some(tree), .. }) = parse(&text) else { return Ok(()) };
        if let Ok(Parsed { query: Some(again), .. }) = parse(&tree.to_string()) {
            // Told trees are wrapped in one more pair of parentheses.
            prop_assert_eq!(format!("({tree})"), again.to_string());
        }
    }
}
