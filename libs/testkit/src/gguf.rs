//! A model for llama.cpp, as a file's bytes: the llama architecture with random weights from a seed and a vocabulary of all bytes
//! and some words. It says nothing of sense; everything around it is as with a real one.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, version 3.

const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;

const WIDTH: usize = 64;
const LAYERS: usize = 2;
const HEADS: u32 = 4;
const INNER: usize = 128;
/// Enough for an answer of several seconds.
const CONTEXT: u32 = 8192;

/// The types of values that are used here.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const TEXT: u32 = 8;
const LIST: u32 = 9;

/// The kinds of tokens: what a tokeniser of the llama family calls normal, unknown, control and byte.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;
/// So many tokens, the first ones, are unknown or control.
const SPECIAL: usize = 3;
/// The first and the last token of a text.
const BEGIN: u32 = 1;
const END: u32 = 2;

const TEMPLATE: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:";
const LETTERS: &str = "\u{2581}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?:;{}[]\"'()-_/";
const WORDS: [&str; 7] = ["\u{2581}the", "\u{2581}is", "ing", "er", "on", "\u{2581}hello", "\u{2581}tool"];

/// The file.
pub(crate) fn model() -> Vec<u8> {
    let vocabulary = vocabulary();
    let metadata = metadata(&vocabulary);
    let tensors = tensors(vocabulary.len());
    let mut file = b"GGUF".to_vec();
    file.extend(VERSION.to_le_bytes());
    file.extend(long(tensors.len()));
    file.extend(long(metadata.len()));
    file.extend(metadata.concat());
    let mut data = Vec::new();
    for (name, shape, values) in &tensors {
        file.extend(text(name));
        file.extend(word(shape.len()));
        shape.iter().for_each(|side| file.extend(long(*side)));
        file.extend(word(0));
        file.extend(long(data.len()));
        values.iter().for_each(|value| data.extend(value.to_le_bytes()));
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    file.extend(data);
    file
}

/// Tokens with their kinds.
fn vocabulary() -> Vec<(String, i32)> {
    let special: [_; SPECIAL] = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)];
    let mut tokens: Vec<_> = special.map(|(token, kind)| (token.to_owned(), kind)).into();
    tokens.extend((0..=255_u8).map(|byte| (format!("<0x{byte:02X}>"), BYTE)));
    tokens.extend(LETTERS.chars().map(|letter| (letter.to_string(), NORMAL)));
    tokens.extend(WORDS.map(|word| (word.to_owned(), NORMAL)));
    tokens
}

fn metadata(vocabulary: &[(String, i32)]) -> Vec<Vec<u8>> {
    let number = |key: &str, value: u32| entry(key, U32, &value.to_le_bytes());
    let words = |key: &str, value: &str| entry(key, TEXT, &text(value));
    let list = |key: &str, kind: u32, values: Vec<Vec<u8>>| {
        let head = [kind.to_le_bytes().to_vec(), long(values.len()).to_vec()].concat();
        entry(key, LIST, &[head, values.concat()].concat())
    };
    // Earlier tokens are merged first.
    let scores = (0..u16::try_from(vocabulary.len()).unwrap_or(u16::MAX)).map(|rank| (-f32::from(rank)).to_le_bytes());
    vec![
        words("general.architecture", "llama"),
        words("general.name", "tiny-random"),
        number("general.file_type", 0),
        number("llama.context_length", CONTEXT),
        number("llama.embedding_length", narrow(WIDTH)),
        number("llama.block_count", narrow(LAYERS)),
        number("llama.feed_forward_length", narrow(INNER)),
        number("llama.attention.head_count", HEADS),
        number("llama.attention.head_count_kv", HEADS),
        number("llama.rope.dimension_count", narrow(WIDTH) / HEADS),
        number("llama.vocab_size", narrow(vocabulary.len())),
        entry("llama.attention.layer_norm_rms_epsilon", F32, &1e-5_f32.to_le_bytes()),
        words("tokenizer.ggml.model", "llama"),
        words("tokenizer.ggml.pre", "default"),
        list("tokenizer.ggml.tokens", TEXT, vocabulary.iter().map(|(token, _)| text(token)).collect()),
        list("tokenizer.ggml.scores", F32, scores.map(Vec::from).collect()),
        list("tokenizer.ggml.token_type", I32, vocabulary.iter().map(|(_, kind)| kind.to_le_bytes().into()).collect()),
        number("tokenizer.ggml.bos_token_id", BEGIN),
        number("tokenizer.ggml.eos_token_id", END),
        number("tokenizer.ggml.unknown_token_id", 0),
        words("tokenizer.chat_template", TEMPLATE),
    ]
}

/// Name, sides (the innermost first) and values.
type Tensor = (String, Vec<usize>, Vec<f32>);

fn tensors(tokens: usize) -> Vec<Tensor> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |name: String, inner: usize, outer: usize| {
        let values: Vec<f32> = (0..inner * outer).map(|_| next(&mut state)).collect();
        (name, vec![inner, outer], values)
    };
    let mut output = random("output.weight".to_owned(), WIDTH, tokens);
    // Their rows give them a likelihood that some other token always exceeds: an answer at temperature 0 ends at its limit alone.
    output.2[..SPECIAL * WIDTH].fill(0.0);
    let ones = |name: String| (name, vec![WIDTH], vec![1.0; WIDTH]);
    let words = random("token_embd.weight".to_owned(), WIDTH, tokens);
    let mut tensors = vec![words, ones("output_norm.weight".to_owned()), output];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let square = ["attn_q", "attn_k", "attn_v", "attn_output"];
        tensors.extend(square.map(|part| random(name(part), WIDTH, WIDTH)));
        tensors.extend(["attn_norm", "ffn_norm"].map(|part| ones(name(part))));
        tensors.extend(["ffn_gate", "ffn_up"].map(|part| random(name(part), WIDTH, INNER)));
        tensors.push(random(name("ffn_down"), INNER, WIDTH));
    }
    tensors
}

/// The next weight, between -0.2 and 0.2 (xorshift64).
fn next(state: &mut u64) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let share = f32::from(u16::try_from(*state >> 48).unwrap_or_default()) / f32::from(u16::MAX);
    share.mul_add(0.4, -0.2)
}

fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key)[..], &kind.to_le_bytes()[..], value].concat()
}

fn text(value: &str) -> Vec<u8> {
    [&long(value.len())[..], value.as_bytes()].concat()
}

fn long(value: usize) -> [u8; 8] {
    (value as u64).to_le_bytes()
}

fn word(value: usize) -> [u8; 4] {
    narrow(value).to_le_bytes()
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
