//! Arguments of a call and its `Mcp-Param-*` headers → whether they say the same.
//!
//! The arguments are searched where they stand, not parsed into a tree, and a key that stands twice on the way to a mirrored
//! argument is refused: which of the two a server takes cannot be known here.

use std::ops::Range;

use super::{HeaderFault, PARAM_PREFIX, ParamHeader, decimal, decode};
use crate::{
    object::{string, walk},
    scanner::{Fault, Scanner},
};

/// Checks the mirrored arguments of a call (`params.arguments`, raw JSON); `header` looks a header up by its full lower-case
/// name, which must not stand twice.
pub fn agree_params<'h>(
    declared: &[ParamHeader],
    header: impl Fn(&str) -> Option<&'h str>,
    arguments: Option<&str>,
) -> Result<(), HeaderFault> {
    if declared.is_empty() {
        return Ok(());
    }
    let values = arguments.map_or_else(|| Ok(vec![None; declared.len()]), |raw| find(declared, raw))?;
    for (param, value) in declared.iter().zip(values) {
        let name = format!("{PARAM_PREFIX}{}", param.header.to_ascii_lowercase());
        match (header(&name), value) {
            (None, None) => {}
            (None, Some(_)) => return Err(HeaderFault::Missing(name)),
            (Some(_), None) => return Err(HeaderFault::Mismatch(name)),
            (Some(raw), Some(value)) => {
                let text = decode(raw).map_err(|_| HeaderFault::Encoding(name.clone()))?;
                if !equal(&text, value)? {
                    return Err(HeaderFault::Mismatch(name));
                }
            }
        }
    }
    Ok(())
}

/// The raw value of each declared argument, where there is one that can be mirrored: a string, a number or a boolean.
fn find<'a>(declared: &[ParamHeader], raw: &'a str) -> Result<Vec<Option<&'a str>>, HeaderFault> {
    let mut values = vec![None; declared.len()];
    let mut open = vec![Part { raw, level: 0, wanted: (0..declared.len()).collect() }];
    while let Some(part) = open.pop() {
        let inside = part.search(declared, &mut values).map_err(|_| HeaderFault::Arguments("are not JSON"))?;
        open.extend(inside.ok_or(HeaderFault::Arguments("hold a mirrored argument's name twice; send it once"))?);
    }
    Ok(values)
}

/// An object on the way to some of the declared arguments.
struct Part<'a> {
    raw: &'a str,
    level: usize,
    wanted: Vec<usize>,
}

impl<'a> Part<'a> {
    /// Fills in what is found here and gives the objects in which to go on; none when a key is unclear.
    fn search(&self, declared: &[ParamHeader], values: &mut [Option<&'a str>]) -> Result<Option<Vec<Self>>, Fault> {
        let mut scanner = Scanner::new(self.raw, usize::MAX);
        if scanner.peek() != Some(b'{') {
            return Ok(Some(Vec::new()));
        }
        let mut inside = Vec::new();
        let unclear = walk(&mut scanner, |scanner, key| {
            let place: Range<usize> = scanner.value()?;
            let raw = scanner.raw(place);
            let here = |index: &usize| declared[*index].path.get(self.level).is_some_and(|name| name == key);
            let (last, further): (Vec<usize>, Vec<usize>) = self
                .wanted
                .iter()
                .copied()
                .filter(here)
                .partition(|&index| declared[index].path.len() == self.level + 1);
            let primitive = !raw.starts_with(['{', '[', 'n']);
            for index in last {
                values[index] = Some(raw).filter(|_| primitive);
            }
            if !further.is_empty() {
                inside.push(Part { raw, level: self.level + 1, wanted: further });
            }
            Ok(())
        })?;
        scanner.end()?;
        Ok(unclear.is_none().then_some(inside))
    }
}

fn equal(text: &str, raw: &str) -> Result<bool, HeaderFault> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            let own =
                string(raw).ok_or(HeaderFault::Arguments("hold half of a surrogate pair; escape whole characters"))?;
            Ok(own == text)
        }
        Some(b't' | b'f') => Ok(raw == text),
        _ => Ok(decimal::same(text, raw)),
    }
}

/// The headers that mirror a call's arguments (`params.arguments`, raw JSON): full lower-case name and encoded value.
pub fn mirror_params(declared: &[ParamHeader], arguments: Option<&str>) -> Result<Vec<(String, String)>, HeaderFault> {
    let (false, Some(raw)) = (declared.is_empty(), arguments) else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (param, value) in declared.iter().zip(find(declared, raw)?) {
        let Some(value) = value else { continue };
        let text = match value.as_bytes().first() {
            Some(b'"') => string(value).ok_or(HeaderFault::Arguments("hold half of a surrogate pair"))?,
            _ => value.into(),
        };
        let name = format!("{PARAM_PREFIX}{}", param.header.to_ascii_lowercase());
        headers.push((name, super::encode(&text).into_owned()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mirrored_agrees_with_its_arguments() {
        let declared = super::super::param_headers(
            r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"}}}"#,
        )
        .unwrap();
        let arguments = r#"{"region":"zürich","n":7,"other":1}"#;
        let headers = mirror_params(&declared, Some(arguments)).unwrap();
        assert_eq!(headers.len(), 2);
        let look = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        agree_params(&declared, look, Some(arguments)).unwrap();
        assert!(mirror_params(&declared, None).unwrap().is_empty());
        assert!(mirror_params(&declared, Some(r#"{"region":null}"#)).unwrap().is_empty());
    }
}
