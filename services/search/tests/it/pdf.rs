//! PDF files, found by page; and those that were made to hurt who reads them. All are made here.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use serde_json::{Value, json};
use weft_search::{PdfLimits, RootSettings, Settings};

use crate::desk::{Desk, ids, refused};

/// More time than by default: a busy machine is no reason to give a file up.
fn limits() -> PdfLimits {
    PdfLimits { program: Some(env!("CARGO_BIN_EXE_weft-search").into()), seconds: 60, ..PdfLimits::default() }
}

fn desk(root: &Path, pdf: PdfLimits) -> Desk {
    let roots = vec![RootSettings { name: "r".to_owned(), path: root.to_owned() }];
    Desk::of(Settings { roots, pdf, ..Settings::default() })
}

async fn ingest(desk: &Desk) -> Value {
    desk.done("ingest_directory", json!({"index": "files", "root": "r"})).await
}

async fn found(desk: &Desk, query: &str) -> Vec<String> {
    ids(&desk.done("search", json!({"indices": ["files"], "query": query})).await)
}

/// A PDF with these commands on its pages.
fn pdf(pages: &[Vec<u8>]) -> Document {
    let mut document = Document::with_version("1.5");
    let tree = document.new_object_id();
    let font = document.add_object(
        dictionary! {"Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding"},
    );
    let form = Stream::new(
        dictionary! {"Type" => "XObject", "Subtype" => "Form", "BBox" => vec![0.into(), 0.into(), 9.into(), 9.into()]},
        b"BT /F1 9 Tf (letterhead) Tj ET".to_vec(),
    );
    let form = document.add_object(form);
    let resources = document
        .add_object(dictionary! {"Font" => dictionary! {"F1" => font}, "XObject" => dictionary! {"X1" => form}});
    let mut kids: Vec<Object> = Vec::new();
    for commands in pages {
        let mut stream = Stream::new(Dictionary::new(), commands.clone());
        stream.compress().unwrap();
        let content = document.add_object(stream);
        kids.push(document.add_object(dictionary! {"Type" => "Page", "Parent" => tree, "Contents" => content}).into());
    }
    let count = i64::try_from(kids.len()).unwrap();
    let root = dictionary! {"Type" => "Pages", "Kids" => kids, "Count" => count, "Resources" => resources, "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()]};
    document.objects.insert(tree, Object::Dictionary(root));
    let catalog = document.add_object(dictionary! {"Type" => "Catalog", "Pages" => tree});
    let info = document.add_object(dictionary! {"Title" => Object::string_literal("The loom")});
    document.trailer.set("Root", catalog);
    document.trailer.set("Info", info);
    document
}

fn bytes(mut document: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

fn said(text: &str) -> Vec<u8> {
    format!("BT /F1 12 Tf 10 700 Td ({text}) Tj ET").into_bytes()
}

#[tokio::test]
async fn a_hit_says_on_which_page_it_is() {
    let root = tempfile::tempdir().unwrap();
    let two = b"/X1 Do BT /F1 12 Tf 10 700 Td [(thre) 20 (ads) -300 (and)] TJ 0 -14 Td (r\xe9sum\xe9) Tj ET".to_vec();
    let pages = [said("shuttle"), two, Vec::new(), said("selvedge")];
    fs::write(root.path().join("loom.pdf"), bytes(pdf(&pages))).unwrap();
    let desk = desk(root.path(), limits());
    let told = ingest(&desk).await;
    assert_eq!((&told["added"], &told["passed_over"]), (&json!(1), &json!(0)));
    let hit = &desk.done("search", json!({"indices": ["files"], "query": "selvedge"})).await["hits"][0];
    assert_eq!(
        (&hit["id"], &hit["fields"]["page"], &hit["fields"]["pages"]),
        (&json!("r/loom.pdf#page=4"), &json!(4), &json!(4))
    );
    assert_eq!(hit["fields"]["title"], "The loom");
    assert_eq!(hit["fields"]["format"], "pdf");
    // Kerning parts no word, a gap and a line do; letters of the font's encoding and text of forms are read.
    let second = desk.done("get_documents", json!({"index": "files", "ids": ["r/loom.pdf#page=2"]})).await;
    assert_eq!(second["documents"][0]["fields"]["body"], "letterhead\nthreads and\nrésumé");
    assert_eq!(ingest(&desk).await["unchanged"], 1);
}

#[tokio::test]
async fn pages_that_a_file_has_no_more_are_gone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("loom.pdf");
    let pages = |count: usize| (0..count).map(|page| said(&format!("common word{page}"))).collect::<Vec<_>>();
    fs::write(&path, bytes(pdf(&pages(450)))).unwrap();
    let desk = desk(root.path(), limits());
    ingest(&desk).await;
    let count = async |desk: &Desk| desk.done("count", json!({"index": "files"})).await["count"].clone();
    assert_eq!(count(&desk).await, 450);
    assert_eq!(found(&desk, "word449").await, ["r/loom.pdf#page=450"]);
    fs::write(&path, bytes(pdf(&pages(3)))).unwrap();
    assert_eq!(ingest(&desk).await["updated"], 1);
    assert_eq!(count(&desk).await, 3);
    fs::remove_file(&path).unwrap();
    assert_eq!(ingest(&desk).await["removed"], 1);
    assert_eq!(count(&desk).await, 0);
}

/// Files that were made to hurt, and what is said of each; nothing if it is as good as empty.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = bytes(pdf(&[said("victim")]));
    let mut encrypted = pdf(&[said("victim")]);
    let standard = dictionary! {"Filter" => "Standard", "V" => 1, "R" => 2, "P" => -4,
    "O" => Object::string_literal(vec![1u8; 32]), "U" => Object::string_literal(vec![2u8; 32])};
    let standard = encrypted.add_object(standard);
    encrypted.trailer.set("Encrypt", standard);
    encrypted.trailer.set("ID", vec![Object::string_literal("a"), Object::string_literal("a")]);
    let mut looped = pdf(&[said("victim")]);
    let tree = looped.catalog().unwrap().get(b"Pages").unwrap().as_reference().unwrap();
    let kids = vec![Object::Reference(tree); 50];
    looped.get_object_mut(tree).and_then(Object::as_dict_mut).unwrap().set("Kids", kids);
    let mut drawn = pdf(&[b"/X1 Do".to_vec()]);
    let form = drawn.objects.iter().find(|(_, object)| {
        object
            .as_stream()
            .is_ok_and(|stream| stream.dict.get(b"Subtype").and_then(Object::as_name).ok() == Some(b"Form"))
    });
    let form = *form.unwrap().0;
    let own = dictionary! {"XObject" => dictionary! {"X1" => form}};
    let stream = drawn.get_object_mut(form).and_then(Object::as_stream_mut).unwrap();
    stream.dict.set("Resources", own);
    stream.set_content(b"/X1 Do ".repeat(1_000));
    let nested = b"[".repeat(3_000_000);
    let mut deep = b"%PDF-1.5\n1 0 obj\n".to_vec();
    deep.extend(&nested);
    deep.extend(b"\nendobj\ntrailer\n<</Root 1 0 R>>\nstartxref\n9\n%%EOF");
    let mut commands = b"BT /F1 9 Tf ".to_vec();
    commands.extend(&nested[..200_000]);
    vec![
        ("truncated.pdf", whole[..whole.len() / 3].to_vec(), "damaged"),
        ("encrypted.pdf", bytes(encrypted), "encrypted"),
        ("looped.pdf", bytes(looped), "damaged"),
        ("drawn.pdf", bytes(drawn), ""),
        ("deep.pdf", deep, "damaged"),
        ("commands.pdf", bytes(pdf(&[commands])), ""),
        ("bomb.pdf", bytes(pdf(&[vec![b' '; 12 << 20]])), ""),
        ("swollen.pdf", bytes(pdf(&[b"0 ".repeat(3 << 20)])), "damaged"),
        ("empty.pdf", Vec::new(), "damaged"),
        ("text.pdf", b"no PDF at all".to_vec(), "damaged"),
    ]
}

#[tokio::test]
async fn hostile_files_hurt_nobody_else() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("good.pdf"), bytes(pdf(&[said("survivor")]))).unwrap();
    let hostile = hostile();
    for (name, bytes, _) in &hostile {
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let small = PdfLimits { memory_bytes: 64 << 20, ..limits() };
    let desk = desk(root.path(), small);
    let told = ingest(&desk).await;
    assert_eq!(found(&desk, "survivor").await, ["r/good.pdf#page=1"]);
    assert_eq!(found(&desk, "victim").await, [""; 0]);
    let remarks = told["remarks"].as_array().unwrap();
    for (name, _, why) in &hostile {
        let remark =
            remarks.iter().find(|remark| remark["path"] == *name).map(|remark| remark["why"].as_str().unwrap());
        match *why {
            "" => assert_eq!(remark, None, "{name}"),
            why => assert!(remark.is_some_and(|remark| remark.contains(why)), "{name}: {remark:?}"),
        }
    }
}

#[tokio::test]
async fn every_cut_of_a_file_is_read_or_refused() {
    let root = tempfile::tempdir().unwrap();
    let whole = bytes(pdf(&[said("one"), said("two")]));
    for part in 1..20 {
        fs::write(root.path().join(format!("{part}.pdf")), &whole[..whole.len() * part / 20]).unwrap();
    }
    let desk = desk(root.path(), limits());
    let told = ingest(&desk).await;
    let (added, passed) = (told["added"].as_u64().unwrap(), told["passed_over"].as_u64().unwrap());
    assert_eq!(added + passed, 19);
    assert!(passed > 0);
}

/// Makes a program of these commands. Another process writes it: if this one did, a child that another test starts just then could hold
/// the file open for writing, and what is being written cannot be run.
fn script(path: &Path, body: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut writing = shell.spawn().unwrap();
    let text = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n");
    writing.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writing.wait().unwrap().success());
}

#[tokio::test]
async fn a_reader_that_dies_hangs_or_babbles_costs_one_file() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a.pdf"), bytes(pdf(&[said("a")]))).unwrap();
    fs::write(root.path().join("notes.txt"), "threads").unwrap();
    let programs = tempfile::tempdir().unwrap();
    // Only the one that hangs is given up when its time is over; the others end long before.
    for (name, body, seconds, why) in [
        ("dies", "kill -SEGV $$", 90, "damaged"),
        ("hangs", "exec sleep 600", 1, "within 1 seconds"),
        ("babbles", "exec cat /dev/zero", 90, "more text"),
        ("lies", "echo '{\"Read\":{\"pages\":[\"x\"],\"cut\":false}}'; exit 1", 90, "damaged"),
    ] {
        let program = programs.path().join(name);
        script(&program, body);
        let desk = desk(root.path(), PdfLimits { program: Some(program), seconds, ..PdfLimits::default() });
        let start = Instant::now();
        let told = ingest(&desk).await;
        assert!(start.elapsed().as_secs() < 60, "{name}");
        assert_eq!((&told["added"], &told["passed_over"]), (&json!(1), &json!(1)), "{name}");
        assert!(told["remarks"][0]["why"].as_str().unwrap().contains(why), "{name}: {}", told["remarks"]);
    }
}

#[tokio::test]
async fn a_resource_is_indexed_by_what_it_is_and_again_when_it_changed() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let root = tempfile::tempdir().unwrap();
    let desk = desk(root.path(), limits());
    let page = json!({"index": "files", "uri": "https://example.org/a?b=1", "mime": "text/html; charset=utf-8", "text": "<title>Guide</title><p>weaving"});
    assert_eq!(desk.done("ingest_resource", page.clone()).await["documents"], 1);
    assert_eq!(found(&desk, "title:guide").await, ["resource/https://example.org/a?b=1"]);
    assert_eq!(desk.done("ingest_resource", page.clone()).await["unchanged"], true);
    let mut changed = page;
    changed["text"] = json!("<p>knitting");
    desk.done("ingest_resource", changed).await;
    assert_eq!(found(&desk, "weaving").await, [""; 0]);
    let blob = |pages: &[Vec<u8>]| BASE64_STANDARD.encode(bytes(pdf(pages)));
    let mut loom = json!({"index": "files", "uri": "file:///loom.pdf", "blob": blob(&[said("warp"), said("weft")])});
    assert_eq!(desk.done("ingest_resource", loom.clone()).await["documents"], 2);
    assert_eq!(found(&desk, "weft").await, ["resource/file:///loom.pdf#page=2"]);
    loom["blob"] = json!(blob(&[said("warp")]));
    assert_eq!(desk.done("ingest_resource", loom.clone()).await["documents"], 1);
    assert_eq!(found(&desk, "weft").await, [""; 0]);
    loom["blob"] = json!(BASE64_STANDARD.encode(b"no PDF"));
    for bad in
        [loom, json!({"index": "files", "uri": "a.txt"}), json!({"index": "files", "uri": "a.txt", "blob": "&&"})]
    {
        refused(&desk.call("ingest_resource", bad).await, &["invalid_arguments"]);
    }
}
