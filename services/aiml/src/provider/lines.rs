//! Bytes of a streamed answer → its lines, and lines of an event stream → the data of its events.
//!
//! Both APIs stream text, cut anywhere: Ollama one JSON per line, the OpenAI kind server-sent events (HTML standard, 9.2.6). No I/O
//! here, so that every way of cutting can be tried.

/// Bytes of one line.
const LINE: usize = 4 << 20;

/// A line is longer than any that a provider has reason to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Gathers bytes and gives lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Up to here there is no end of a line.
    seen: usize,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.bytes.len() + bytes.len() > LINE {
            return Err(TooLong);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next complete line without its end.
    pub(super) fn next(&mut self) -> Option<String> {
        let Some(end) = self.bytes[self.seen..].iter().position(|byte| *byte == b'\n') else {
            self.seen = self.bytes.len();
            return None;
        };
        let rest = self.bytes.split_off(self.seen + end + 1);
        let line = std::mem::replace(&mut self.bytes, rest);
        self.seen = 0;
        Some(text(&line))
    }

    /// What is left when the answer ended without the end of a line.
    pub(super) fn rest(&mut self) -> Option<String> {
        self.seen = 0;
        let rest = text(&std::mem::take(&mut self.bytes));
        (!rest.is_empty()).then_some(rest)
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned()
}

/// Gathers the lines of an event and gives its data.
#[derive(Debug, Default)]
pub(super) struct Events(Option<String>);

impl Events {
    /// Takes a line; gives the data of an event that it ends.
    pub(super) fn feed(&mut self, line: &str) -> Option<String> {
        if line.is_empty() {
            return self.0.take();
        }
        let data = line.strip_prefix("data:")?;
        let data = data.strip_prefix(' ').unwrap_or(data);
        match &mut self.0 {
            Some(before) => {
                before.push('\n');
                before.push_str(data);
            }
            None => self.0 = Some(data.to_owned()),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.push(piece).unwrap();
            out.extend(std::iter::from_fn(|| lines.next()));
        }
        out.extend(lines.rest());
        out
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_where_the_bytes_are_cut(text in "[aé\n\r]{0,40}", cuts in prop::collection::vec(0usize..60, 0..5)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(all(&pieces), all(&[bytes]));
        }
    }

    #[test]
    fn events_are_joined_and_everything_else_is_skipped() {
        let mut events = Events::default();
        let lines = [": alive", "event: x", "data: a", "data:b", "", "", "id: 1", "data: [DONE]", ""];
        let data: Vec<String> = lines.iter().filter_map(|line| events.feed(line)).collect();
        assert_eq!(data, ["a\nb", "[DONE]"]);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&vec![b'x'; LINE]), Ok(()));
        assert_eq!(lines.next(), None);
        assert_eq!(lines.push(b"x"), Err(TooLong));
    }
}
