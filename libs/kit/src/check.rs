//! The rules that every declaration must keep, checked when a service is built and, for list size, in its tests.

use std::collections::HashSet;

use crate::budget::json_size;
use crate::offer::Prompt;
use crate::schema;
use crate::service::{Entry, Service};
use crate::wire_out;

/// Tokens that a service's tool list may cost. Counted at 4 bytes a token, which is pessimistic for JSON in English.
pub const LIST_TOKENS: usize = 8_000;

const NAME: usize = 48;
const DESCRIPTION: usize = 1_024;

/// Everything that is wrong, one line each.
pub(crate) fn declarations<'p>(tools: &[Entry], prompts: impl Iterator<Item = &'p Prompt>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for entry in tools {
        let name = entry.tool.name;
        check_name("tool", name, &mut faults);
        check_description("tool", name, entry.tool.description, &mut faults);
        if !seen.insert(name) {
            faults.push(format!("tool `{name}` is declared twice"));
        }
        if entry.tool.annotations.read_only && entry.tool.annotations.destructive {
            faults.push(format!("tool `{name}` cannot be read-only and destructive"));
        }
        if let Some(path) = schema::open_object(&entry.input) {
            faults.push(format!(
                "tool `{name}`: {path} takes unknown fields; add #[serde(deny_unknown_fields)] to its type"
            ));
        }
    }
    seen.clear();
    for prompt in prompts {
        check_name("prompt", prompt.name, &mut faults);
        check_description("prompt", prompt.name, prompt.description, &mut faults);
        if !seen.insert(prompt.name) {
            faults.push(format!("prompt `{}` is declared twice", prompt.name));
        }
    }
    faults
}

fn check_name(kind: &str, name: &str, faults: &mut Vec<String>) {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=NAME).contains(&name.len()) || !name.bytes().all(fits) {
        faults.push(format!("{kind} `{name}`: a name is 1 to {NAME} of a-z, 0-9 and _"));
    }
}

fn check_description(kind: &str, name: &str, description: &str, faults: &mut Vec<String>) {
    if description.trim().is_empty() || description.chars().count() > DESCRIPTION {
        faults.push(format!("{kind} `{name}`: a description has 1 to {DESCRIPTION} characters"));
    }
}

impl Service {
    /// What the tool list costs a model, in tokens (bytes / 4). Assert in the service's tests that it is under
    /// [`LIST_TOKENS`].
    pub fn list_tokens(&self) -> usize {
        self.tools.iter().map(|entry| json_size(&wire_out::tool(entry)) + 1).sum::<usize>().div_ceil(4)
    }

    /// The tool list as it goes over the wire, pretty-printed: for snapshots in the service's tests and for reference pages.
    pub fn list_json(&self) -> String {
        let tools: Vec<_> = self.tools.iter().map(wire_out::tool).collect();
        serde_json::to_string_pretty(&tools).unwrap_or_default()
    }
}
