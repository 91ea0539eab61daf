//! A model's folder → what it is, before any weight is read.
//!
//! The layout is the one of Hugging Face and sentence-transformers: `config.json`, `tokenizer.json` or `vocab.txt`, `model.safetensors`,
//! and beside them `modules.json` with `1_Pooling/config.json` and `sentence_bert_config.json`. What would be computed wrongly is
//! refused here, with its name: another family, another way of pooling, a layer behind it.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::LoadError;

/// Blocks of the weights that the digest looks at: a model that was trained further differs in all of them.
const BLOCKS: u64 = 64;
const BLOCK: usize = 4_096;
/// Bytes of a description; the largest tokenizers have 20 million.
const LARGEST: u64 = 64 << 20;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text to vector.
    Embedder,
    /// Query and document to score.
    Reranker,
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    Mean,
    First,
    Max,
}

/// A model of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// What it is for.
    pub kind: Kind,
    /// `bert`, `roberta`, `xlm-roberta`, `camembert`.
    pub family: String,
    /// Length of its vectors.
    pub dimensions: usize,
    /// Tokens of a text; longer ones are cut.
    pub context: usize,
    /// Bytes of the weights.
    pub size: u64,
    /// Of the description and a sample of the weights: the same as long as the model is.
    pub digest: String,
    pub(crate) folder: PathBuf,
    pub(crate) shape: Shape,
    pub(crate) pooling: Pooling,
    pub(crate) normalise: bool,
}

/// `config.json`, as far as it matters.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Shape {
    model_type: String,
    #[serde(default)]
    architectures: Vec<String>,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    #[serde(default = "gelu")]
    pub(crate) hidden_act: String,
    #[serde(default = "epsilon")]
    pub(crate) layer_norm_eps: f32,
    max_position_embeddings: usize,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default)]
    id2label: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pooled {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
struct Sentence {
    max_seq_length: Option<usize>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn epsilon() -> f32 {
    1e-12
}

impl Shape {
    /// The place of a text's first token: RoBERTa counts from behind the padding.
    pub(crate) fn first_place(&self) -> usize {
        if self.is_bert() { 0 } else { self.pad_token_id.unwrap_or(1) + 1 }
    }

    pub(crate) fn is_bert(&self) -> bool {
        self.model_type == "bert"
    }

    fn check(&self) -> Result<(), String> {
        if !["bert", "roberta", "xlm-roberta", "camembert"].contains(&self.model_type.as_str()) {
            return Err(format!("the family {:?} is not known; there are bert, roberta and its kin", self.model_type));
        }
        if self.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err("its positions are not absolute".to_owned());
        }
        let Self { hidden_size, num_attention_heads: heads, max_position_embeddings: places, .. } = *self;
        let is_sound = heads > 0 && hidden_size > 0 && hidden_size.is_multiple_of(heads) && places > self.first_place();
        if is_sound && hidden_size <= crate::DIMENSIONS { Ok(()) } else { Err("its sizes do not fit".to_owned()) }
    }

    fn kind(&self) -> Result<Kind, String> {
        let is_classifier = self.architectures.iter().any(|name| name.ends_with("ForSequenceClassification"));
        match self.id2label.as_ref().map(serde_json::Map::len) {
            _ if !is_classifier => Ok(Kind::Embedder),
            Some(1) => Ok(Kind::Reranker),
            _ => Err("it sorts into several classes; a reranker has one".to_owned()),
        }
    }
}

impl Card {
    /// Reads what a folder says of its model.
    pub fn read(folder: &Path) -> Result<Self, LoadError> {
        let config = folder.join("config.json");
        let wrong = |why| LoadError::Unsupported { path: config.clone(), why };
        let shape: Shape = required(&config)?;
        shape.check().map_err(wrong)?;
        let kind = shape.kind().map_err(wrong)?;
        let (pooling, normalise) = pooling(folder)?;
        let most = shape.max_position_embeddings - shape.first_place();
        let sentence: Option<Sentence> = optional(&folder.join("sentence_bert_config.json"))?;
        let context = sentence.and_then(|sentence| sentence.max_seq_length).unwrap_or(most).clamp(8.min(most), most);
        let (size, digest) = digest(folder)?;
        Ok(Self {
            kind,
            family: shape.model_type.clone(),
            dimensions: shape.hidden_size,
            context,
            size,
            digest,
            folder: folder.to_owned(),
            shape,
            pooling,
            normalise,
        })
    }
}

/// What stands behind the encoder. Without a list of modules it is what most models mean: the mean, of length one.
fn pooling(folder: &Path) -> Result<(Pooling, bool), LoadError> {
    let path = folder.join("modules.json");
    let Some(modules) = optional::<Vec<Module>>(&path)? else { return Ok((Pooling::Mean, true)) };
    let unsupported = |path: &Path, why: String| LoadError::Unsupported { path: path.to_owned(), why };
    let (mut way, mut normalise) = (Pooling::Mean, false);
    for module in modules {
        match module.r#type.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Normalize" => normalise = true,
            "Pooling" => {
                let path = folder.join(&module.path).join("config.json");
                way = required::<Pooled>(&path)?.way().map_err(|why| unsupported(&path, why))?;
            }
            other => return Err(unsupported(&path, format!("the module {other:?} is not known"))),
        }
    }
    Ok((way, normalise))
}

impl Pooled {
    fn way(&self) -> Result<Pooling, String> {
        let known = [
            (self.pooling_mode_mean_tokens, Pooling::Mean),
            (self.pooling_mode_cls_token, Pooling::First),
            (self.pooling_mode_max_tokens, Pooling::Max),
        ];
        let others = self.pooling_mode_mean_sqrt_len_tokens
            || self.pooling_mode_weightedmean_tokens
            || self.pooling_mode_lasttoken;
        let mut asked = known.into_iter().filter_map(|(is_asked, way)| is_asked.then_some(way));
        match (asked.next(), asked.next(), others) {
            (Some(way), None, false) => Ok(way),
            _ => Err("it pools in a way that is not known; there are mean, cls and max, one of them".to_owned()),
        }
    }
}

fn required<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    let missing = || LoadError::File { path: path.to_owned(), cause: std::io::ErrorKind::NotFound.into() };
    optional(path)?.ok_or_else(missing)
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LoadError> {
    let unread = |cause| LoadError::File { path: path.to_owned(), cause };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(unread(cause)),
    };
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(unread)?;
    let wrong = |error: serde_json::Error| LoadError::Unsupported { path: path.to_owned(), why: error.to_string() };
    serde_json::from_str(&text).map(Some).map_err(wrong)
}

/// Bytes of the weights, and the digest.
fn digest(folder: &Path) -> Result<(u64, String), LoadError> {
    let path = folder.join("model.safetensors");
    let unread = |cause| LoadError::File { path: path.clone(), cause };
    let mut file = fs::File::open(&path).map_err(unread)?;
    let size = file.metadata().map_err(unread)?.len();
    let mut digest = Sha256::new();
    for name in ["config.json", "tokenizer.json", "vocab.txt"] {
        digest.update(fs::read(folder.join(name)).unwrap_or_default());
    }
    digest.update(size.to_le_bytes());
    let mut block = Vec::with_capacity(BLOCK);
    for number in 0..BLOCKS {
        file.seek(SeekFrom::Start(size / BLOCKS * number)).map_err(unread)?;
        block.clear();
        file.by_ref().take(BLOCK as u64).read_to_end(&mut block).map_err(unread)?;
        digest.update(&block);
    }
    Ok((size, digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()))
}
