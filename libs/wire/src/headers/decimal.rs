//! Two ways of writing a number → whether they are the same number, exactly.
//!
//! A header may say `42.0` where the body says `42` (MCP 2026-07-28, server validation). Machine types would also take
//! 9007199254740993 for 9007199254740992, so the digits themselves are compared.

use crate::scanner::Scanner;

/// True when both are JSON numbers of the same value; what is no JSON number equals nothing.
pub(super) fn same(left: &str, right: &str) -> bool {
    matches!((Decimal::parse(left), Decimal::parse(right)), (Some(left), Some(right)) if left == right)
}

/// ± 0.d₁d₂…dₙ × 10^scale without zeros at either end of the digits; zero has none, no sign and no scale.
#[derive(PartialEq)]
struct Decimal {
    negative: bool,
    digits: String,
    scale: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text, 0);
        let number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if !number || scanner.value().ok()? != (0..text.len()) {
            return None;
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Self { negative: false, digits: String::new(), scale: 0 });
        }
        let leading = i64::try_from(all.len() - digits.len()).ok()?;
        let scale = i64::try_from(whole.len()).ok()?.checked_sub(leading)?.checked_add(exponent.parse().ok()?)?;
        Some(Self { negative: mantissa != unsigned, digits: digits.trim_end_matches('0').to_owned(), scale })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::same;

    #[test]
    fn numbers_are_compared_by_value_and_nothing_else_is_a_number() {
        let equal =
            [("42", "42.0"), ("-7", "-7"), ("1000", "1e3"), ("0", "-0.00e9"), ("120", "12E+1"), ("0.5", "5e-1")];
        for (left, right) in equal {
            assert!(same(left, right), "{left} {right}");
        }
        let different = [("42", "43"), ("7", "-7"), ("9007199254740993", "9007199254740992"), ("1", "10"), ("0", "1")];
        for (left, right) in different {
            assert!(!same(left, right), "{left} {right}");
        }
        for text in
            ["", "x", "042", "+1", "0x2a", "1 ", " 1", "1.", "NaN", "1_0", "1e99999999999999999999", "\"1\"", "true"]
        {
            assert!(!same(text, text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_are_equal_exactly_when_they_are(left in any::<i64>(), right in any::<i64>(), zeros in 0_usize..5) {
            let written = |number: i64| format!("{number}.{}0", "0".repeat(zeros));
            prop_assert!(same(&left.to_string(), &written(left)));
            prop_assert_eq!(same(&left.to_string(), &written(right)), left == right);
        }
    }
}
