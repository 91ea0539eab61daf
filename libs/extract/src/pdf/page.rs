//! The drawing commands of a page → its text, in the order in which it is drawn.
//!
//! The crate's own extraction joins lines that are moved to by offsets and leaves out forms (text that several pages share), so the
//! commands are followed here: a move to another height ends a line, a gap inside a line is a space.

use std::collections::BTreeMap;

use lopdf::{
    Dictionary, Document, Encoding, Object, ObjectId,
    content::{Content, Operation},
};

/// Forms inside of forms.
const DEEPEST: usize = 5;
/// Forms of one page.
const FORMS: usize = 200;
/// A gap in thousandths of the font's size that is a space; kerning is narrower.
const GAP: f32 = 200.0;

type Fonts<'d> = BTreeMap<Vec<u8>, Encoding<'d>>;

/// What follows the commands of one page.
pub(super) struct Texts<'d> {
    document: &'d Document,
    /// Bytes that a stream may inflate to.
    most: usize,
    /// Bytes of text.
    room: usize,
    text: String,
    forms: usize,
}

impl<'d> Texts<'d> {
    pub(super) fn new(document: &'d Document, most: usize, room: usize) -> Self {
        Self { document, most, room, text: String::new(), forms: 0 }
    }

    /// The text of a page; what cannot be read of it is left out.
    pub(super) fn page(mut self, id: ObjectId) -> String {
        let fonts = self.document.get_page_fonts(id).unwrap_or_default();
        let fonts = self.encodings(fonts);
        let mut resources = Vec::new();
        if let Ok((own, others)) = self.document.get_page_resources(id) {
            resources.extend(own);
            resources.extend(others.iter().filter_map(|id| self.document.get_dictionary(*id).ok()));
        }
        if let Ok(bytes) = self.document.get_page_content_with_limit(id, self.most) {
            self.commands(&bytes, &fonts, (&resources, 0));
        }
        tidy(&self.text, self.room)
    }

    fn encodings(&self, fonts: BTreeMap<Vec<u8>, &'d Dictionary>) -> Fonts<'d> {
        let encoding = |font: &'d Dictionary| font.get_font_encoding_with_limit(self.document, self.most).ok();
        fonts.into_iter().filter_map(|(name, font)| Some((name, encoding(font)?))).collect()
    }

    fn commands(&mut self, bytes: &[u8], fonts: &Fonts<'d>, (resources, depth): (&[&'d Dictionary], usize)) {
        let Ok(content) = Content::decode(bytes) else { return };
        let mut font = None;
        for command in &content.operations {
            if self.text.len() >= self.room {
                return;
            }
            match command.operator.as_str() {
                "Tf" => font = name(command).and_then(|name| fonts.get(name)),
                "Do" if depth < DEEPEST => self.form(name(command), (resources, depth)),
                _ => self.show(command, font),
            }
        }
    }

    fn show(&mut self, command: &Operation, font: Option<&Encoding<'d>>) {
        let operands = command.operands.as_slice();
        match command.operator.as_str() {
            "Tj" => operands.iter().for_each(|operand| self.write(operand, font)),
            "TJ" => operands.iter().filter_map(|operand| operand.as_array().ok()).flatten().for_each(|operand| {
                self.write(operand, font);
            }),
            "'" | "\"" => {
                self.text.push('\n');
                operands.iter().for_each(|operand| self.write(operand, font));
            }
            "Td" | "TD" => {
                let height = operands.get(1).and_then(|height| height.as_float().ok());
                let moved = height.is_some_and(|height| height.abs() > f32::EPSILON);
                self.text.push(if moved { '\n' } else { ' ' });
            }
            "Tm" | "T*" | "ET" => self.text.push('\n'),
            _ => {}
        }
    }

    /// A piece of text, or a gap between two.
    fn write(&mut self, operand: &Object, font: Option<&Encoding<'d>>) {
        match (operand, font) {
            (Object::String(bytes, _), Some(font)) => {
                self.text.push_str(&Document::decode_text(font, bytes).unwrap_or_default());
            }
            (Object::String(bytes, _), None) => self.text.extend(bytes.iter().map(|byte| char::from(*byte))),
            (number, _) if number.as_float().is_ok_and(|gap| gap < -GAP) => self.text.push(' '),
            _ => {}
        }
    }

    /// A form that is drawn here, with fonts of its own or those of the page.
    fn form(&mut self, name: Option<&[u8]>, (resources, depth): (&[&'d Dictionary], usize)) {
        self.forms += 1;
        let document = self.document;
        let found = name.filter(|_| self.forms <= FORMS).and_then(|name| {
            resources.iter().find_map(|resources| dictionary(document, resources, b"XObject")?.get(name).ok())
        });
        let Some(Ok((_, Object::Stream(form)))) = found.map(|form| document.dereference(form)) else { return };
        if form.dict.get(b"Subtype").and_then(Object::as_name).ok() != Some(b"Form") {
            return;
        }
        let Ok(bytes) = form.get_plain_content_with_limit(self.most) else { return };
        let own = dictionary(document, &form.dict, b"Resources");
        let resources: Vec<&Dictionary> = own.into_iter().chain(resources.iter().copied()).take(DEEPEST).collect();
        let mut fonts = BTreeMap::new();
        for (name, font) in resources.iter().rev().filter_map(|own| dictionary(document, own, b"Font")).flatten() {
            let font = document.dereference(font).ok().and_then(|(_, font)| font.as_dict().ok());
            fonts.extend(font.map(|font| (name.clone(), font)));
        }
        let fonts = self.encodings(fonts);
        self.commands(&bytes, &fonts, (&resources, depth + 1));
        self.text.push('\n');
    }
}

/// The dictionary under a key, directly or by reference.
fn dictionary<'d>(document: &'d Document, of: &'d Dictionary, key: &[u8]) -> Option<&'d Dictionary> {
    document.dereference(of.get(key).ok()?).ok()?.1.as_dict().ok()
}

fn name(command: &Operation) -> Option<&[u8]> {
    command.operands.first().and_then(|name| name.as_name().ok())
}

/// One space between words, one end of a line between lines, words that a hyphen parts at an end of line joined, and no more than
/// there is room for.
fn tidy(text: &str, room: usize) -> String {
    let mut tidy = String::with_capacity(text.len().min(room));
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            continue;
        }
        let parted = tidy.ends_with('-') && line.starts_with(char::is_lowercase);
        if parted {
            tidy.pop();
        } else if !tidy.is_empty() {
            tidy.push('\n');
        }
        tidy.push_str(&line);
    }
    let end = (0..=room.min(tidy.len())).rev().find(|at| tidy.is_char_boundary(*at)).unwrap_or(0);
    tidy.truncate(end);
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_where_a_word_was_parted() {
        assert_eq!(tidy("  one   two\n\n thr-\nee\nA-\nB ", 100), "one two\nthree\nA-\nB");
        assert_eq!(tidy("äöü", 3), "ä");
    }
}
