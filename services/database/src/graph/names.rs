//! Names of labels, types and properties as they stand in a statement. A name is never trusted: it is put in backticks, and
//! what cannot stand there safely on every server is refused.

use weft_kit::ToolError;

/// The longest name.
const LONGEST: usize = 200;

/// A name in backticks.
pub(crate) fn quoted(name: &str) -> Result<String, ToolError> {
    let odd = |c: char| c.is_control() || c == '\\';
    if name.is_empty() || name.len() > LONGEST || name.contains(odd) {
        return Err(ToolError::invalid(format!("not the name of a label, type or property: {name:?}"))
            .hint("graph_schema lists the names"));
    }
    Ok(format!("`{}`", name.replace('`', "``")))
}

/// `:A|B` for types of relationships; nothing for none.
pub(crate) fn types(names: &[String]) -> Result<String, ToolError> {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect::<Result<_, _>>()?;
    Ok(if names.is_empty() { String::new() } else { format!(":{}", names.join("|")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_backticks() {
        assert_eq!(quoted("a`) DELETE (n").unwrap(), "`a``) DELETE (n`");
        assert_eq!(types(&["A".to_owned(), "B C".to_owned()]).unwrap(), ":`A`|`B C`");
        assert_eq!(types(&[]).unwrap(), "");
        for name in ["", "a\\u0060 DELETE n", "a\nb", &"x".repeat(201)] {
            assert!(quoted(name).is_err(), "{name:?}");
        }
    }
}
