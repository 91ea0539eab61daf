//! Files and resources → documents of an index, again and again, with only what changed read.
//!
//! What a file was when it was indexed (size, time, hash) is kept in its document, so that there is no second state to lose: what was
//! committed is what is known. How files are found and read is `weft_extract`'s.

mod shape;
mod symbols;
pub(crate) use shape::{Source, meaning, of_pages, of_text, pages_of, schema};
