//! What a tool says when it cannot do what was asked: a stable code, one sentence, and a way out.
//!
//! A failed tool is an answer for the model (`isError: true`), not a protocol error, so it must help: `hint` says what to do
//! next and `retryable` whether the same call may work later. Nothing here may name host paths, connection strings,
//! tokens, or a way to lift a restriction; [`ToolError::internal`] logs the cause and tells the caller none of it.

use std::borrow::Cow;
use std::fmt::Display;

use serde::Serialize;

/// A failed call, as the caller sees it: `{code, message, hint?, retryable}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ToolError {
    code: Cow<'static, str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    retryable: bool,
}

impl ToolError {
    /// An error with a code of the service's own (`snake_case`, stable: callers match on it).
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: redact(message.into()), hint: None, retryable: false }
    }

    /// `invalid_arguments`: the arguments cannot mean anything; says which one and why.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid_arguments", message)
    }

    /// `not_found`: what was named does not exist, or the caller may not know that it does.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("not_found", message)
    }

    /// `conflict`: the state is not the one that the caller assumed.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("conflict", message)
    }

    /// `refused`: a rule forbids it. Never say how the rule could be lifted.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new("refused", message)
    }

    /// `too_large`: the input or the result is over a limit; the hint should say how to ask for less.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new("too_large", message)
    }

    /// `unavailable`: the backend is away; the same call may work later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new("unavailable", message).retryable()
    }

    /// `cancelled`: the caller gave up.
    pub fn cancelled() -> Self {
        Self::new("cancelled", "the call was cancelled before it finished")
    }

    /// `deadline_exceeded`: the time for this call is over.
    pub fn deadline() -> Self {
        Self::new("deadline_exceeded", "the call ran out of time")
            .hint("ask for less at once, or continue with the cursor of a smaller page")
            .retryable()
    }

    /// `internal`: our fault. The cause goes to the log under a reference; the caller gets only the reference.
    pub fn internal(cause: &dyn Display) -> Self {
        let reference = format!("{:08x}", fastrand::u32(..));
        tracing::error!(reference, cause = %cause, "a tool failed unexpectedly");
        Self::new("internal", format!("the service failed unexpectedly (reference {reference})")).retryable()
    }

    /// Says what the caller can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(redact(hint.into()));
        self
    }

    /// The same call may succeed later.
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// One compact line for clients that show only text.
    pub(crate) fn line(&self) -> String {
        let hint =
            self.hint.as_deref().map(|hint| format!(" Hint: {}.", hint.trim_end_matches('.'))).unwrap_or_default();
        let again = if self.retryable { " Retryable." } else { "" };
        format!("{}: {}.{hint}{again}", self.code, self.message.trim_end_matches('.'))
    }
}

/// An I/O error by its kind only: the text of the operating system names paths.
impl From<std::io::Error> for ToolError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::not_found("no such entry"),
            ErrorKind::PermissionDenied => Self::refused("the operating system does not permit this"),
            ErrorKind::AlreadyExists => Self::conflict("the entry exists already"),
            ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset => Self::unavailable("the backend did not answer"),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::new("storage_full", "no space is left for this"),
            _ => Self::internal(&error),
        }
    }
}

/// Blanks what must never leave: the credentials of `scheme://user:secret@host`, and the value after `Bearer ` or `Basic `.
fn redact(text: String) -> String {
    if !text.contains("://") && !text.contains("earer ") && !text.contains("asic ") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let previous = out.trim_end().rsplit(' ').next().unwrap_or_default();
        if index > 0 && (previous.ends_with("earer") || previous.ends_with("asic")) {
            out.push('…');
        } else {
            out.push_str(&redact_word(word));
        }
    }
    out
}

fn redact_word(word: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = word.split_once("://") else { return Cow::Borrowed(word) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rfind('@') {
        Some(at) => Cow::Owned(format!("{scheme}://…{}", &rest[at..])),
        None => Cow::Borrowed(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_reach_the_message() {
        let error = ToolError::unavailable("cannot reach postgres://weft:s3cret@db:5432/main with Bearer abc.def");
        assert_eq!(error.message(), "cannot reach postgres://…@db:5432/main with Bearer …");
    }

    #[test]
    fn an_operating_system_error_is_told_without_its_text() {
        let error = ToolError::from(std::io::Error::other("/etc/shadow: broken"));
        assert_eq!(error.code(), "internal");
        assert!(!error.line().contains("shadow"), "{}", error.line());
    }

    #[test]
    fn the_line_carries_code_hint_and_whether_to_retry() {
        let line = ToolError::unavailable("the index is being built").hint("try again in 5 s").line();
        assert_eq!(line, "unavailable: the index is being built. Hint: try again in 5 s. Retryable.");
    }
}
