//! A tool's entry, as its server wrote it → the [`Text`] that is searched.
//!
//! Of the input schema only the names and descriptions of arguments count, wherever they stand in it; the rest of a schema
//! is structure, and its words would drown the others.

use serde_json::Value;

use super::Text;

/// A schema comes from a server and may be deep: what lies deeper than this is not searched.
const DEPTH: usize = 8;

impl Text {
    /// Reads the entry (a JSON object) of the tool that is shown as `name`. One that cannot be read is found by its names.
    pub(crate) fn read(name: &str, service: &str, entry: &str) -> Self {
        let entry: Value = serde_json::from_str(entry).unwrap_or_default();
        let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let title = match &entry["title"] {
            Value::String(title) => title.clone(),
            _ => string(&entry["annotations"]["title"]),
        };
        let mut arguments = String::new();
        gather(&entry["inputSchema"], &mut arguments, DEPTH);
        let own = name.strip_prefix(service).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name);
        Self {
            name: name.to_owned(),
            service: service.to_owned(),
            own: own.to_owned(),
            title,
            description: string(&entry["description"]),
            arguments,
        }
    }
}

fn gather(schema: &Value, out: &mut String, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    if let Value::Object(properties) = &schema["properties"] {
        for (name, property) in properties {
            out.push_str(name);
            out.push(' ');
            if let Value::String(said) = &property["description"] {
                out.push_str(said);
                out.push(' ');
            }
            gather(property, out, depth);
        }
    }
    gather_each(&schema["items"], out, depth);
}

/// The schema of an array's items.
fn gather_each(items: &Value, out: &mut String, depth: usize) {
    if items.is_object() {
        gather(items, out, depth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_descriptions_of_arguments_are_found_wherever_they_stand() {
        let entry = r#"{"name":"x","title":"Edit","description":"Changes.","inputSchema":{"type":"object","properties":{"path":{"type":"string","description":"Which file."},"edits":{"type":"array","items":{"type":"object","properties":{"oldText":{"description":"What stands there."}}}}}}}"#;
        let text = Text::read("fs_edit_file", "fs", entry);
        assert_eq!((text.own.as_str(), text.title.as_str()), ("edit_file", "Edit"));
        for word in ["path", "Which file.", "edits", "oldText", "What stands there."] {
            assert!(text.arguments.contains(word), "{word}: {}", text.arguments);
        }
        assert!(!text.arguments.contains("object"));
    }

    #[test]
    fn an_entry_that_is_no_json_has_a_name() {
        let text = Text::read("fs_read", "fs", "{");
        assert_eq!((text.own.as_str(), text.description.as_str()), ("read", ""));
    }
}
