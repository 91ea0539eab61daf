//! What goes to a service besides the call: headers that the operator names by reference, and the certificates that vouch for a
//! server outside of the mesh.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use weft_identity::Public;

use crate::settings::{Reference, ServiceSettings};

/// What one service gets besides its calls.
#[derive(Debug)]
pub(crate) struct Outward {
    references: BTreeMap<String, Reference>,
    headers: ArcSwap<HeaderMap>,
    /// For its instances that are no members of the mesh.
    pub(crate) public: Public,
}

impl Outward {
    /// Reads everything that the settings name; all that cannot be read is said at once.
    pub(crate) fn new(settings: &ServiceSettings) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let headers = headers(&settings.headers, &mut wrong);
        let public = Public::new(settings.ca.as_deref()).map_err(|error| wrong.push(error.to_string()));
        match public {
            Ok(public) if wrong.is_empty() => {
                Ok(Self { references: settings.headers.clone(), headers: ArcSwap::from_pointee(headers), public })
            }
            _ => Err(wrong.into_iter().map(|why| format!("service {:?}: {why}", settings.name)).collect()),
        }
    }

    pub(crate) fn headers(&self) -> arc_swap::Guard<Arc<HeaderMap>> {
        self.headers.load()
    }

    /// Reads files again: tokens are renewed in place. What cannot be read now stays as it was.
    pub(crate) fn refresh(&self) {
        if !self.references.values().any(|reference| matches!(reference, Reference::File(_))) {
            return;
        }
        let mut wrong = Vec::new();
        let headers = headers(&self.references, &mut wrong);
        match wrong.first() {
            None => self.headers.store(Arc::new(headers)),
            Some(why) => tracing::warn!(why, "a header is not renewed"),
        }
    }
}

fn headers(references: &BTreeMap<String, Reference>, wrong: &mut Vec<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, reference) in references {
        let value = match reference.value() {
            Ok(value) => value,
            Err(error) => {
                wrong.push(format!("the header {name}: {error}"));
                continue;
            }
        };
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                // Kept out of every debug output.
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => wrong.push(format!(
                "the value of the header {name} cannot be one: it holds a line break or a control character"
            )),
        }
    }
    headers
}
