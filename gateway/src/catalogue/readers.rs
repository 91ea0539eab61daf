//! A view, and the part of it that a caller may see who may change nothing.
//!
//! It is made with the view and not when somebody asks, and by the same rule that permits calls ([`authorize::reads`]), so that no
//! way in can list more than it lets be called. Names are those of the whole: what a reader does not see keeps its name taken.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use weft_mesh::ServiceId;

use super::{
    View,
    lean::{self, Lean},
    shape,
    shelf::{Entry, Shelf},
};
use crate::authorize;

/// Adds what readers see to a view that was made from `shelves`, with its own words to clients.
pub(super) fn add(view: &mut View, instructions: Option<&str>, shelves: &BTreeMap<ServiceId, Shelf>) {
    let exposed = |service: &ServiceId, entry: &Entry| {
        view.tools.get(&format!("{service}_{}", entry.key)).is_some_and(|tool| tool.service == *service)
    };
    let part = |(service, shelf): (&ServiceId, &Shelf)| {
        let mut part = readable(shelf)?;
        part.tools.retain(|entry| exposed(service, entry));
        Some((service.clone(), part))
    };
    let parts: BTreeMap<ServiceId, Shelf> = shelves.iter().filter_map(part).collect();
    let mut readers = View::build("", instructions, &parts, Some(view));
    readers.info.clone_from(&view.info);
    if view.lean.is_some() {
        let lean = Lean::new(&readers.tools, &parts);
        readers.lists[0] = Bytes::from_static(lean::tools().as_bytes());
        readers.instructions = Some(lean.instructions(instructions));
        readers.lean = Some(lean);
    }
    // Whose a URI is does not depend on who asks.
    readers.schemes.clone_from(&view.schemes);
    readers.lens.clone_from(&view.lens);
    view.readers = Some(Arc::new(readers));
}

/// What the endpoints of services show to readers, by their own names.
pub(super) fn own_views(shelves: &BTreeMap<ServiceId, Shelf>) -> HashMap<ServiceId, Arc<View>> {
    let own = |(service, shelf): (&ServiceId, &Shelf)| {
        let view = shape::own_view(service, &readable(shelf)?);
        Some((service.clone(), Arc::new(view)))
    };
    shelves.iter().filter_map(own).collect()
}

/// The part of a service that changes nothing; none of one whose word nobody stands for.
fn readable(shelf: &Shelf) -> Option<Shelf> {
    let tools = shelf.tools.iter().filter(|tool| authorize::reads(tool.hints)).cloned().collect();
    shelf.vouched.then(|| Shelf { tools, dropped: Vec::new(), ..shelf.clone() })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Kind, shelf::Page},
        *,
    };

    fn shelves() -> BTreeMap<ServiceId, Shelf> {
        let page = r#"{"tools":[{"name":"read","annotations":{"readOnlyHint":true}},{"name":"write"},
            {"name":"wri.te","annotations":{"readOnlyHint":true}},{"name":"none","annotations":{"readOnlyHint":false}}],
            "prompts":[{"name":"hello"}],"resources":[{"uri":"x://1"}]}"#;
        let page: Page<'_> = serde_json::from_str(page).unwrap();
        let shelf = |vouched| {
            let mut shelf = Shelf::default();
            shelf.add(&page);
            shelf.vouch(vouched);
            shelf
        };
        BTreeMap::from([("ours".parse().unwrap(), shelf(true)), ("theirs".parse().unwrap(), shelf(false))])
    }

    fn text(view: &View, kind: Kind) -> String {
        String::from_utf8(view.session_list(kind).whole()).unwrap()
    }

    #[test]
    fn a_reader_sees_what_reads_of_services_that_somebody_stands_for() {
        let shelves = shelves();
        let mut view = View::build("weft", None, &shelves, None);
        add(&mut view, None, &shelves);
        let readers = view.readers.as_ref().unwrap();
        let names: Vec<&str> = readers.tools.keys().map(String::as_str).collect();
        assert_eq!(names, ["ours_read", "ours_wri.te"]);
        for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
            assert!(text(&view, kind).contains("theirs"));
            let shown = text(readers, kind);
            assert!(shown.contains("ours") && !shown.contains("theirs") && !shown.contains("write"), "{shown}");
        }
        assert!(text(readers, Kind::Tools).len() < text(&view, Kind::Tools).len());
        let own = own_views(&shelves);
        assert_eq!(own.len(), 1);
        let tools: Vec<&String> = own[&"ours".parse::<ServiceId>().unwrap()].tools.keys().collect();
        assert_eq!(tools, ["read", "wri.te"]);
    }
}
