//! Models of a folder, for tests: small ones with random weights, MiniLM as it is published, and the same computed by numpy.
//!
//! `cargo xtask test` installs Python with the weights and says where (`WEFT_PYTHON_MODELS`).

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::scratch;

const SCRIPT: &str = include_str!("models.py");

/// The models of this test program.
#[derive(Debug)]
pub struct Models {
    /// The folder of three small models with random weights: `embedder` and `reranker` of the family bert, and `other`, a reranker of
    /// the family xlm-roberta.
    pub small: PathBuf,
    /// The folder of all-MiniLM-L6-v2.
    pub minilm: PathBuf,
    script: PathBuf,
    python: PathBuf,
}

/// The models; `None`, and a line about it, where none are installed.
pub fn models() -> Option<&'static Models> {
    static MODELS: OnceLock<Option<Models>> = OnceLock::new();
    MODELS.get_or_init(Models::make).as_ref()
}

impl Models {
    fn make() -> Option<Self> {
        let Some(python) = std::env::var_os("WEFT_PYTHON_MODELS").map(PathBuf::from) else {
            eprintln!("skipped: WEFT_PYTHON_MODELS is not set; `cargo xtask test` installs the weights and sets it");
            return None;
        };
        let folder = scratch("models");
        let script = folder.join("models.py");
        std::fs::write(&script, SCRIPT).expect("the script is written");
        let mut models = Self { small: folder, minilm: PathBuf::new(), script, python };
        models.run(&["make", &models.small.to_string_lossy()], "");
        models.minilm = PathBuf::from(models.run(&["folder"], "").trim());
        Some(models)
    }

    /// What numpy makes of a model: `inputs` is JSON, a list of lists of one text or of a query and a document; so is the answer, a
    /// list of objects with `tokens`, a number, and `row`, the vector, or the score alone.
    pub fn reference(&self, folder: &Path, inputs: &str) -> String {
        self.run(&["run", &folder.to_string_lossy()], inputs)
    }

    fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let mut stdin = child.stdin.take().expect("Python has an input");
        stdin.write_all(input.as_bytes()).expect("Python reads its input");
        drop(stdin);
        let output = child.wait_with_output().expect("Python ends");
        assert!(output.status.success(), "the script of the models failed");
        String::from_utf8(output.stdout).expect("Python writes text")
    }
}
