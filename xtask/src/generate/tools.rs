//! The reference of the tools, from `weft tools --json`: each service with its tools as MCP lists them. The page appears
//! with that command.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{banner, cli};
use crate::command;

/// Service → its tools, as `weft tools --json` prints them.
type Services = BTreeMap<String, Vec<Tool>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    name: String,
    #[serde(default)]
    description: String,
    input_schema: Schema,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    properties: BTreeMap<String, Value>,
    #[serde(default)]
    required: Vec<String>,
}

/// `docs/reference/tools.md`, when this `weft` can list its tools.
pub(crate) fn page(weft: &Path) -> Result<Option<String>> {
    if !cli::commands(weft, &[])?.iter().any(|name| name == "tools") {
        return Ok(None);
    }
    let listing = command::output(Command::new(weft).args(["tools", "--json"]).env_clear().env("HOME", "~"))?;
    let services: Services = serde_json::from_str(&listing).context("cannot read what `weft tools --json` printed")?;
    Ok(Some(render(&services)))
}

fn render(services: &Services) -> String {
    let mut text = banner("`weft tools --json`");
    text.push_str("# Tools\n\nThrough `/mcp` a tool is called `<service>_<tool>`; through `/mcp/<service>` it has the name below.\n");
    for (service, tools) in services {
        let _ = writeln!(text, "\n## {service}");
        for tool in tools {
            let hints: Vec<&str> = tool
                .annotations
                .iter()
                .filter(|(_, value)| **value == Value::Bool(true))
                .map(|(name, _)| name.as_str())
                .collect();
            let hints = if hints.is_empty() { String::new() } else { format!("\n\n{}", hints.join(", ")) };
            let _ = writeln!(text, "\n### {}\n\n{}{hints}", tool.name, tool.description.trim());
            arguments(&tool.input_schema, &mut text);
        }
    }
    text
}

fn arguments(schema: &Schema, text: &mut String) {
    if schema.properties.is_empty() {
        return;
    }
    text.push_str("\n| argument | type | needed | says |\n|---|---|---|---|\n");
    for (name, property) in &schema.properties {
        let needed = if schema.required.contains(name) { "yes" } else { "" };
        let says = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let says = says.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let _ = writeln!(text, "| `{name}` | {} | {needed} | {says} |", kind(property));
    }
}

/// The JSON type, or all of them.
fn kind(property: &Value) -> String {
    match property.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_a_page() {
        let listing = r#"{"filesystem": [{"name": "read_file", "description": "Reads.\n", "annotations": {"readOnlyHint": true, "title": "Read"},
            "inputSchema": {"properties": {"path": {"type": "string", "description": "a | b"}, "head": {"type": ["integer", "null"]}}, "required": ["path"]}}]}"#;
        let page = render(&serde_json::from_str(listing).unwrap());
        let expected = "\n## filesystem\n\n### read_file\n\nReads.\n\nreadOnlyHint\n\n| argument | type | needed | says |\n|---|---|---|---|\n| `head` | integer or null |  |  |\n| `path` | string | yes | a \\| b |\n";
        assert!(page.ends_with(expected), "{page}");
    }
}
