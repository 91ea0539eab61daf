//! What callers may have read into a store → its text.
//!
//! [`Roots`] are the folders that the operator names, and the only files that can be read. [`html`] and [`pdf`] give the text of
//! pages; PDF in a process of its own, as reading one is running somebody else's program. It is a library so that the servers that
//! take files in do it alike: what is dangerous in it is written, and tested, once. What becomes of the text is theirs.

pub mod html;
mod kind;
mod letters;
pub mod pdf;
mod roots;

pub use crate::{
    kind::{ending, ending_of_type, ending_of_uri, hash, heading, is_pdf},
    letters::{named_in_html, text},
    pdf::{PdfLimits, run as read_pdf},
    roots::{Bounds, Root, RootSettings, Roots, Seen, Walked, below},
};
