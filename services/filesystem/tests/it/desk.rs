//! A root with neighbours that must never be reached, and a service over it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weft_filesystem::{Settings, service};
use weft_kit::{Called, Confirm, Direct, Rules};

/// A scratch directory: `root` is served, `root_evil` and `outside/secret` are not.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    direct: Direct,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(|settings| settings)
    }

    pub(crate) fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for dir in ["root", "root_evil", "outside", "root "] {
            std::fs::create_dir(folder.path().join(dir)).unwrap();
        }
        std::fs::write(folder.path().join("outside/secret"), "secret").unwrap();
        std::fs::write(folder.path().join("root_evil/secret"), "secret").unwrap();
        std::fs::write(folder.path().join("root /secret"), "secret").unwrap();
        let settings = change(Settings::single(folder.path().join("root")));
        let rules = Rules { confirm: Confirm::AutoIfLowRisk, ..Rules::default() };
        let direct = Direct::new(service(settings).unwrap(), rules).unwrap();
        Self { folder, direct }
    }

    pub(crate) fn direct(&self) -> &Direct {
        &self.direct
    }

    pub(crate) fn top(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn root(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.root(name)).unwrap()
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Called {
        self.direct.call(tool, arguments).await
    }

    pub(crate) async fn read(&self, path: &str) -> Called {
        self.call("read_text_file", json!({ "path": path })).await
    }

    pub(crate) async fn write(&self, path: &str, content: &str) -> Called {
        self.call("write_file", json!({ "path": path, "content": content })).await
    }

    /// Everything outside the root is as it was.
    pub(crate) fn assert_outside_untouched(&self) {
        for name in ["outside/secret", "root_evil/secret", "root /secret"] {
            assert_eq!(std::fs::read_to_string(self.top().join(name)).unwrap(), "secret", "{name}");
        }
        let outside: Vec<_> =
            std::fs::read_dir(self.top().join("outside")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(outside, ["secret"]);
    }
}

#[track_caller]
pub(crate) fn ok(called: Called) -> Called {
    assert!(!called.is_error, "{}", called.text);
    called
}

#[track_caller]
pub(crate) fn refused(called: &Called, codes: &[&str]) {
    assert!(called.is_error, "{}", called.text);
    assert!(codes.contains(&called.code()), "{}: {}", called.code(), called.text);
    assert!(!called.text.contains("secret\n"), "{}", called.text);
}
