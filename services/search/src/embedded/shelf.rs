//! A directory of indexes → the one that is meant: `indexes/<namespace>/<index>/` and one file of aliases beside them.
//!
//! An index appears and disappears whole: it is made under another name and renamed, and renamed away before it is removed. What a
//! kill leaves behind is cleared away at the next start. Changes of what there is are made under a lock of the kernel's, so that
//! two processes never disagree.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use weft_kit::{Call, ToolError};

use super::volume::Volume;
use crate::{fault, model::Listed, model::Schema, names, settings::Limits};

/// Indexes that are held open at once.
const OPEN: usize = 64;
/// What is being made or removed begins so; no name of an index does.
const ASIDE: &str = ".aside-";
const ALIASES: &str = ".aliases.json";

/// Alias → index.
type Aliases = BTreeMap<String, String>;

/// All indexes of all namespaces.
#[derive(Debug)]
pub(crate) struct Shelf {
    root: PathBuf,
    limits: Limits,
    open: Mutex<HashMap<PathBuf, Arc<Volume>>>,
}

impl Shelf {
    pub(crate) fn open(root: PathBuf, limits: Limits) -> Result<Self, anyhow::Error> {
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        for tenant in fs::read_dir(&root).with_context(|| format!("cannot read {}", root.display()))?.flatten() {
            let _held = lock(&tenant.path());
            let left = fs::read_dir(tenant.path()).into_iter().flatten().flatten();
            for entry in left.filter(|entry| entry.file_name().to_string_lossy().starts_with(ASIDE)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(Self { root, limits, open: Mutex::default() })
    }

    fn place(&self, tenant: &str, name: &str) -> PathBuf {
        self.root.join(tenant).join(name)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Volume>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of this name, or the one behind this alias.
    pub(crate) fn volume(&self, tenant: &str, name: &str) -> Result<Arc<Volume>, ToolError> {
        names::index(name)?;
        let aliases = self.aliases(tenant)?;
        let place = self.place(tenant, aliases.get(name).map_or(name, String::as_str));
        // What is open is looked after outside of the lock: other indexes need not wait for it.
        let there = self.held().get(&place).cloned();
        if let Some(volume) = there {
            if volume.refresh()? {
                return Ok(volume);
            }
            self.held().remove(&place);
        }
        let mut open = self.held();
        if let Some(volume) = open.get(&place) {
            return Ok(Arc::clone(volume));
        }
        let volume = Arc::new(Volume::open(&place, name, self.limits)?.ok_or_else(|| fault::unknown(name))?);
        if open.len() >= OPEN {
            let idle = open.iter().find(|(_, volume)| Arc::strong_count(volume) == 1).map(|(place, _)| place.clone());
            idle.and_then(|idle| open.remove(&idle));
        }
        open.insert(place, Arc::clone(&volume));
        Ok(volume)
    }

    /// Closes the writers of indexes that nothing was written to for so long.
    pub(crate) fn rest(&self, idle: Duration) {
        let open: Vec<_> = self.held().values().cloned().collect();
        open.iter().for_each(|volume| volume.rest(idle));
    }

    pub(crate) fn list(&self, tenant: &str, call: &Call) -> Result<Vec<Listed>, ToolError> {
        let mut listed = Vec::new();
        for name in self.indexes(tenant)? {
            call.check()?;
            // One that is damaged must not hide the others; it can still be deleted.
            let documents = self.volume(tenant, &name).map_or_else(
                |error| {
                    tracing::error!(index = name, why = %error, "an index cannot be opened");
                    0
                },
                |volume| volume.documents(),
            );
            listed.push(Listed { name, alias_of: None, documents, read_only: false });
        }
        for (name, index) in self.aliases(tenant)? {
            let documents = listed.iter().find(|listed| listed.name == index).map_or(0, |listed| listed.documents);
            listed.push(Listed { name, alias_of: Some(index), documents, read_only: false });
        }
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    fn indexes(&self, tenant: &str) -> Result<Vec<String>, ToolError> {
        let entries = match fs::read_dir(self.root.join(tenant)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ToolError::internal(&error)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| names::is_plain(name)).collect())
    }

    /// Makes an index; false if the same is there.
    pub(crate) fn create(&self, tenant: &str, name: &str, schema: &Schema) -> Result<bool, ToolError> {
        names::index(name)?;
        let folder = self.root.join(tenant);
        fs::create_dir_all(&folder)?;
        let _held = lock(&folder)?;
        if self.aliases(tenant)?.contains_key(name) {
            return Err(ToolError::conflict(format!("{name:?} is an alias already")).hint("choose another name"));
        }
        if folder.join(name).is_dir() {
            let there = self.volume(tenant, name)?.schema();
            return if *there == *schema {
                Ok(false)
            } else {
                Err(ToolError::conflict(format!("an index {name:?} with other fields is there already"))
                    .hint("describe_index shows them; make one under another name and reindex, or delete_index first"))
            };
        }
        if self.indexes(tenant)?.len() >= self.limits.indexes {
            return Err(ToolError::too_large(format!(
                "there are {} indexes already, the most allowed",
                self.limits.indexes
            ))
            .hint("delete_index removes one"));
        }
        let aside = folder.join(format!("{ASIDE}{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&aside)?;
        Volume::make(&aside, schema)?;
        fs::rename(&aside, folder.join(name))?;
        File::open(&folder)?.sync_all()?;
        Ok(true)
    }

    /// Removes an index. What is going on in it ends with an error or in nothing.
    pub(crate) fn remove(&self, tenant: &str, name: &str) -> Result<(), ToolError> {
        names::index(name)?;
        let folder = self.root.join(tenant);
        let _held = lock(&folder)?;
        let mut aliases = self.aliases(tenant)?;
        if aliases.contains_key(name) {
            return Err(ToolError::conflict(format!("{name:?} is an alias")).hint("name the index itself"));
        }
        let place = folder.join(name);
        if !place.is_dir() {
            return Err(fault::unknown(name));
        }
        let before = aliases.len();
        aliases.retain(|_, index| index != name);
        if aliases.len() < before {
            keep(&folder, &aliases)?;
        }
        self.held().remove(&place);
        let aside = folder.join(format!("{ASIDE}{}", uuid::Uuid::new_v4().simple()));
        fs::rename(&place, &aside)?;
        File::open(&folder)?.sync_all()?;
        let _ = fs::remove_dir_all(&aside);
        Ok(())
    }

    /// Lets an alias point to an index, or removes it.
    pub(crate) fn alias(&self, tenant: &str, alias: &str, index: Option<&str>) -> Result<(), ToolError> {
        names::index(alias)?;
        let folder = self.root.join(tenant);
        let _held = lock(&folder)?;
        let mut aliases = self.aliases(tenant)?;
        match index {
            Some(index) => {
                names::index(index)?;
                if !folder.join(index).is_dir() {
                    return Err(fault::unknown(index));
                }
                if folder.join(alias).is_dir() {
                    return Err(
                        ToolError::conflict(format!("{alias:?} is an index already")).hint("choose another name")
                    );
                }
                aliases.insert(alias.to_owned(), index.to_owned());
            }
            None => {
                aliases.remove(alias).ok_or_else(|| fault::unknown(alias))?;
            }
        }
        keep(&folder, &aliases)
    }

    fn aliases(&self, tenant: &str) -> Result<Aliases, ToolError> {
        match fs::read(self.root.join(tenant).join(ALIASES)) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| ToolError::internal(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Aliases::new()),
            Err(error) => Err(ToolError::internal(&error)),
        }
    }
}

/// Holds the lock of a namespace until it is dropped. A namespace without a directory has no indexes to lock.
fn lock(folder: &Path) -> Result<Option<File>, ToolError> {
    match File::create(folder.join(".lock")) {
        Ok(file) => {
            file.lock()?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ToolError::internal(&error)),
    }
}

fn keep(folder: &Path, aliases: &Aliases) -> Result<(), ToolError> {
    let text = serde_json::to_vec(aliases).map_err(|error| ToolError::internal(&error))?;
    replace(folder, ALIASES, &text)?;
    Ok(())
}

/// Writes a file whole or not at all.
pub(crate) fn replace(folder: &Path, name: &str, text: &[u8]) -> std::io::Result<()> {
    let aside = folder.join(format!("{name}.new"));
    let mut file = File::create(&aside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&aside, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_rests_lets_another_process_write() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = || Shelf::open(folder.path().to_owned(), Limits::default()).unwrap();
        let (one, other) = (shelf(), shelf());
        let schema = Schema { fields: crate::tools::usual(), ..Schema::default() };
        assert!(one.create("t", "books", &schema).unwrap());
        let written = |shelf: &Shelf| super::super::remove::by_ids(&shelf.volume("t", "books").unwrap(), &[]);
        written(&one).unwrap();
        assert_eq!(written(&other).unwrap_err().code(), "unavailable");
        one.rest(Duration::from_secs(60));
        assert_eq!(written(&other).unwrap_err().code(), "unavailable");
        one.rest(Duration::ZERO);
        assert_eq!(written(&other).unwrap(), 0);
    }

    #[test]
    fn what_a_kill_left_behind_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("t").join(format!("{ASIDE}1"));
        fs::create_dir_all(&left).unwrap();
        Shelf::open(folder.path().to_owned(), Limits::default()).unwrap();
        assert!(!left.exists());
    }
}
