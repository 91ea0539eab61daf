//! PDF files, made here, and what reads them.

use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use weft_vectorstore::PdfLimits;

/// The program that reads them, with all the time that a slow machine needs.
pub(crate) fn patient_pdf() -> PdfLimits {
    let program = Some(env!("CARGO_BIN_EXE_weft-vectorstore").into());
    PdfLimits { program, seconds: 100, ..PdfLimits::default() }
}

/// A file called "The loom" with one line on each page.
pub(crate) fn pdf(lines: &[&str]) -> Vec<u8> {
    let mut document = Document::with_version("1.5");
    let tree = document.new_object_id();
    let font = document.add_object(
        dictionary! {"Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding"},
    );
    let resources = document.add_object(dictionary! {"Font" => dictionary! {"F1" => font}});
    let mut kids: Vec<Object> = Vec::new();
    for line in lines {
        let commands = format!("BT /F1 12 Tf 10 700 Td ({line}) Tj ET").into_bytes();
        let content = document.add_object(Stream::new(Dictionary::new(), commands));
        kids.push(document.add_object(dictionary! {"Type" => "Page", "Parent" => tree, "Contents" => content}).into());
    }
    let count = i64::try_from(kids.len()).unwrap();
    let root = dictionary! {"Type" => "Pages", "Kids" => kids, "Count" => count, "Resources" => resources, "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()]};
    document.objects.insert(tree, Object::Dictionary(root));
    let catalog = document.add_object(dictionary! {"Type" => "Catalog", "Pages" => tree});
    let info = document.add_object(dictionary! {"Title" => Object::string_literal("The loom")});
    document.trailer.set("Root", catalog);
    document.trailer.set("Info", info);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}
