//! What a service offers besides tools: prompts, resources, templates and completions, as plain values.
//!
//! They are our own types so that authors write against this crate alone and a new SDK version is felt in one place.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::reply::Link;

/// The declaration of a prompt.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) arguments: Vec<PromptArgument>,
}

#[derive(Debug, Clone)]
pub(crate) struct PromptArgument {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) required: bool,
}

impl Prompt {
    /// A prompt without arguments; the rules for names are those of tools.
    pub fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description, arguments: Vec::new() }
    }

    /// An argument that must be given.
    pub fn required(mut self, name: &'static str, description: &'static str) -> Self {
        self.arguments.push(PromptArgument { name, description, required: true });
        self
    }

    /// An argument that may be given.
    pub fn optional(mut self, name: &'static str, description: &'static str) -> Self {
        self.arguments.push(PromptArgument { name, description, required: false });
        self
    }

    /// The arguments if they are what was declared, otherwise what is wrong.
    pub(crate) fn accept(&self, given: Map<String, Value>) -> Result<PromptArguments, String> {
        let mut arguments = PromptArguments::new();
        for (name, value) in given {
            let Value::String(value) = value else { return Err(format!("argument `{name}` must be a string")) };
            if !self.arguments.iter().any(|argument| argument.name == name) {
                return Err(format!("unknown argument `{name}`"));
            }
            arguments.insert(name, value);
        }
        match self.arguments.iter().find(|argument| argument.required && !arguments.contains_key(argument.name)) {
            Some(missing) => Err(format!("missing argument `{}`", missing.name)),
            None => Ok(arguments),
        }
    }
}

/// A prompt's arguments by name. Those declared as required are present.
pub type PromptArguments = BTreeMap<String, String>;

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Said by the user.
    User(String),
    /// Said by the model.
    Assistant(String),
}

/// One page of `resources/list`.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// The entries, in a stable order.
    pub items: Vec<Link>,
    /// From [`Call::cursor`](crate::Call::cursor), when there is more.
    pub cursor: Option<String>,
}

/// The content of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The URI that was asked for, or of a part of it.
    pub uri: String,
    /// The media type, when known.
    pub mime: Option<String>,
    /// The bytes.
    pub body: Body,
}

/// Text or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// As it is.
    Text(String),
    /// Encoded when it is sent.
    Bytes(Vec<u8>),
}

/// A family of resources.
#[derive(Debug, Clone)]
pub struct Template {
    /// RFC 6570, e.g. `file:///{+path}`.
    pub uri: String,
    /// A short name.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// The media type, when all have the same.
    pub mime: Option<String>,
}

/// What a client wants completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completing {
    /// The prompt or template.
    pub of: CompletionOf,
    /// The argument's name.
    pub argument: String,
    /// What was typed so far.
    pub value: String,
    /// Arguments that are settled already.
    pub settled: BTreeMap<String, String>,
}

/// Whose argument is completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionOf {
    /// A prompt, by name.
    Prompt(String),
    /// A resource template, by its URI template.
    Template(String),
}
