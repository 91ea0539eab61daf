//! Text → the numbers of its tokens, by the tokenizer that the model was trained with.

use std::path::Path;

use tokenizers::{
    Encoding, PaddingParams, Tokenizer, TruncationParams, models::wordpiece::WordPiece, normalizers::BertNormalizer,
    pre_tokenizers::bert::BertPreTokenizer, processors::bert::BertProcessing,
};

use super::{LoadError, card::Card};

/// What one text, or a pair of texts, is to the encoder.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) ids: Vec<usize>,
    /// Of each token: the first or the second text.
    pub(crate) kinds: Vec<usize>,
    /// The text was longer than the model takes.
    pub(crate) is_cut: bool,
}

/// A model's tokenizer.
#[derive(Debug)]
pub(crate) struct Splitter(Tokenizer);

impl Splitter {
    /// `tokenizer.json`, or `vocab.txt` of the older layout, which BERT's own models have.
    pub(crate) fn load(card: &Card) -> Result<Self, LoadError> {
        let whole = card.folder.join("tokenizer.json");
        let (path, read) = if whole.exists() {
            let read = Tokenizer::from_file(&whole);
            (whole, read)
        } else {
            let path = card.folder.join("vocab.txt");
            let read = of_vocabulary(&path);
            (path, read)
        };
        let wrong = |error: tokenizers::Error| LoadError::Unsupported { path: path.clone(), why: error.to_string() };
        let mut tokenizer = read.map_err(wrong)?;
        // What the file says of lengths is of whoever wrote it: padding is not needed here, and the limit is the model's.
        let longest = TruncationParams { max_length: card.context, ..TruncationParams::default() };
        tokenizer.with_padding(None::<PaddingParams>).with_truncation(Some(longest)).map_err(wrong)?;
        Ok(Self(tokenizer))
    }

    /// The tokens of a text.
    pub(crate) fn one(&self, text: &str) -> Result<Tokens, tokenizers::Error> {
        Ok(tokens(&self.0.encode_fast(text, true)?))
    }

    /// The tokens of a query and a document, the longer of which is cut first.
    pub(crate) fn pair(&self, query: &str, document: &str) -> Result<Tokens, tokenizers::Error> {
        Ok(tokens(&self.0.encode_fast((query, document), true)?))
    }
}

fn tokens(encoding: &Encoding) -> Tokens {
    let places =
        |numbers: &[u32]| numbers.iter().map(|number| usize::try_from(*number).unwrap_or(usize::MAX)).collect();
    Tokens {
        ids: places(encoding.get_ids()),
        kinds: places(encoding.get_type_ids()),
        is_cut: !encoding.get_overflowing().is_empty(),
    }
}

/// BERT's own way, lower case as its `tokenizer_config.json` says.
fn of_vocabulary(path: &Path) -> Result<Tokenizer, tokenizers::Error> {
    let pieces = WordPiece::from_file(&path.to_string_lossy()).unk_token("[UNK]".to_owned()).build()?;
    let mut tokenizer = Tokenizer::new(pieces);
    let number = |tokenizer: &Tokenizer, token: &str| {
        let found = tokenizer.token_to_id(token).map(|id| (token.to_owned(), id));
        found.ok_or_else(|| format!("the vocabulary has no {token}"))
    };
    let (end, begin) = (number(&tokenizer, "[SEP]")?, number(&tokenizer, "[CLS]")?);
    let config = std::fs::read_to_string(path.with_file_name("tokenizer_config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
    let is_lower = config["do_lower_case"].as_bool().unwrap_or(true);
    tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, None, is_lower)));
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer)).with_post_processor(Some(BertProcessing::new(end, begin)));
    Ok(tokenizer)
}
