//! A virtual server's [`Lens`]: the whole catalogue → the part of it that one endpoint shows.
//!
//! What is chosen are exposed names, after clashes have been decided for the whole mesh, so that a thing has the same name
//! on every endpoint that shows it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use globset::GlobSet;
use weft_mesh::ServiceId;
use weft_wire::splice::quote;

use super::{
    View,
    lean::{self, Lean},
    readers,
    shelf::{Entry, Shelf},
    view::Tool,
};
use crate::{
    settings::{globs::globs, virtuals::VirtualSettings},
    uri,
};

/// What a virtual server shows, and how it introduces itself.
#[derive(Debug)]
pub(crate) struct Lens {
    name: String,
    title: Option<String>,
    instructions: Option<String>,
    lean: bool,
    /// Nothing was named: all is shown.
    everything: bool,
    services: HashSet<ServiceId>,
    tools: GlobSet,
    prompts: GlobSet,
    resources: GlobSet,
    /// `resources` has `*`, which stands for every URI.
    all_resources: bool,
}

impl Lens {
    /// Checks the settings of the virtual server `name`; what is wrong is added to `wrong`.
    pub(crate) fn new(name: &str, settings: &VirtualSettings, wrong: &mut Vec<String>) -> Self {
        let lists = [&settings.services, &settings.tools, &settings.prompts, &settings.resources];
        let everything = lists.iter().all(|list| list.is_none());
        if !everything && lists.iter().all(|list| list.as_ref().is_none_or(Vec::is_empty)) {
            wrong.push(format!(
                "virtual.{name} shows nothing: name services, tools, prompts or resources, or none of them"
            ));
        }
        let mut services = HashSet::new();
        for service in settings.services.iter().flatten() {
            match service.parse::<ServiceId>() {
                Ok(service) => {
                    services.insert(service);
                }
                Err(error) => wrong.push(format!("virtual.{name}.services: {error}")),
            }
        }
        let mut matcher = |key: &str, patterns: &Option<Vec<String>>| {
            globs(&format!("virtual.{name}.{key}"), patterns.as_deref().unwrap_or_default(), wrong)
        };
        Self {
            name: name.to_owned(),
            title: settings.title.clone(),
            instructions: settings.instructions.clone(),
            lean: settings.lean,
            everything,
            services,
            tools: matcher("tools", &settings.tools),
            prompts: matcher("prompts", &settings.prompts),
            resources: matcher("resources", &settings.resources),
            all_resources: settings.resources.iter().flatten().any(|pattern| pattern == "*"),
        }
    }

    #[cfg(test)]
    pub(crate) const fn is_lean(&self) -> bool {
        self.lean
    }

    /// True when a resource of `service`, by its exposed URI, can be reached here. One whose path climbs (`..`) is only
    /// reached where all are: a pattern says nothing about where it leads.
    pub(crate) fn shows_uri(&self, service: &ServiceId, uri: &str) -> bool {
        self.whole(service) || self.all_resources || (!climbs(uri) && self.resources.is_match(uri))
    }

    fn whole(&self, service: &ServiceId) -> bool {
        self.everything || self.services.contains(service)
    }

    /// The part of the catalogue that is shown; `all` is the view of the whole, made from the same `shelves`.
    pub(super) fn look(self: &Arc<Self>, gateway: &str, shelves: &BTreeMap<ServiceId, Shelf>, all: &View) -> View {
        let parts: BTreeMap<ServiceId, Shelf> = shelves
            .iter()
            .map(|(service, shelf)| (service.clone(), self.part(service, shelf, all)))
            .filter(|(service, shelf)| self.whole(service) || !shelf.is_empty())
            .collect();
        let name = format!("{gateway}-{}", self.name);
        let mut view = View::build(&name, self.instructions.as_deref(), &parts, Some(all));
        if let Some(title) = &self.title {
            let version = env!("CARGO_PKG_VERSION");
            view.info = format!(r#"{{"name":{},"title":{},"version":"{version}"}}"#, quote(&name), quote(title));
        }
        if self.lean {
            let lean = Lean::new(&view.tools, &parts);
            view.lists[0] = Bytes::from_static(lean::tools().as_bytes());
            view.instructions = Some(lean.instructions(self.instructions.as_deref()));
            view.lean = Some(lean);
        }
        // Whose a URI is does not depend on what is shown: what may be read need not be listed.
        view.schemes.clone_from(&all.schemes);
        view.lens = Some(Arc::clone(self));
        if all.readers.is_some() {
            readers::add(&mut view, self.instructions.as_deref(), &parts);
        }
        view
    }

    fn part(&self, service: &ServiceId, shelf: &Shelf, all: &View) -> Shelf {
        let whole = self.whole(service);
        let chosen = |table: &BTreeMap<String, Tool>, globs: &GlobSet, entry: &Entry| {
            let full = format!("{service}_{}", entry.key);
            let exposed = table.get(&full).is_some_and(|tool| tool.service == *service);
            exposed && (whole || globs.is_match(&full)) && !(self.lean && lean::is_own(&full))
        };
        let located = |entry: &&Entry| {
            let owned = uri::scheme(&entry.key).is_some_and(|scheme| all.schemes.get(scheme) == Some(service));
            match owned {
                true => self.shows_uri(service, &entry.key),
                false => self.shows_uri(service, &uri::wrap(service.as_ref(), &entry.key)),
            }
        };
        let mut schemes = shelf.schemes.clone();
        // Who owns a scheme is decided for the whole mesh.
        schemes.retain(|scheme| all.schemes.get(scheme) == Some(service));
        Shelf {
            tools: shelf.tools.iter().filter(|entry| chosen(&all.tools, &self.tools, entry)).cloned().collect(),
            prompts: shelf.prompts.iter().filter(|entry| chosen(&all.prompts, &self.prompts, entry)).cloned().collect(),
            resources: shelf.resources.iter().filter(located).cloned().collect(),
            templates: shelf.templates.iter().filter(located).cloned().collect(),
            schemes,
            dropped: Vec::new(),
            ..shelf.clone()
        }
    }
}

fn climbs(uri: &str) -> bool {
    let plain = uri.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    plain.split(['/', '\\']).any(|segment| segment == "..")
}

#[cfg(test)]
mod tests;
