"""
Ways to damage a checkpoint, one function each, as shards, converters and configurations really do it. A model here is
{name: (shape, array of floats)} with its config and tokenizer as dicts; each mutation changes one in place.
"""
import array
import json
import os
import random
import struct

DIM, HEADS, KV, HEAD, LAYERS = 64, 8, 4, 8, 5


class Model:
    def __init__(self, where):
        data = (where / "model.safetensors").read_bytes()
        n = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + n])
        header.pop("__metadata__", None)
        self.tensors = {}
        for name, t in header.items():
            begin, end = t["data_offsets"]
            self.tensors[name] = (t["shape"], array.array("f", data[8 + n + begin:8 + n + end]))
        self.config = json.loads((where / "config.json").read_text())
        self.tokenizer = json.loads((where / "tokenizer.json").read_text())
        self.others = {p.name: p.read_bytes() for p in where.iterdir() if p.name not in ("model.safetensors", "config.json", "tokenizer.json")}

    def write(self, where):
        where.mkdir()
        header, at, parts = {}, 0, []
        for name, (shape, values) in self.tensors.items():
            raw = values.tobytes()
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(raw)]}
            at += len(raw)
            parts.append(raw)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        (where / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
        (where / "config.json").write_text(json.dumps(self.config))
        (where / "tokenizer.json").write_text(json.dumps(self.tokenizer))
        for name, raw in self.others.items():
            (where / name).write_bytes(raw)
        return where

    def values(self, name):
        return self.tensors[name][1]

    def layer(self, layer, part):
        return self.tensors[f"model.layers.{layer}.{part}.weight"][1]

    def set_layer(self, layer, part, values):
        shape = self.tensors[f"model.layers.{layer}.{part}.weight"][0]
        self.tensors[f"model.layers.{layer}.{part}.weight"] = (shape, array.array("f", values))

    def untie(self):
        shape, values = self.tensors["model.embed_tokens.weight"]
        self.tensors["lm_head.weight"] = (list(shape), array.array("f", values))
        self.config["tie_word_embeddings"] = False


ATTN = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
MLP = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
NORMS = ["input_layernorm", "post_attention_layernorm"]
Q, K, V, O = ATTN
GATE, UP, DOWN = MLP


def rows_to_interleaved(values):
    """Rows of each head from half-split order to pairs: what a forgotten permutation leaves behind."""
    cols, out = DIM, array.array("f")
    for head in range(len(values) // cols // HEAD):
        for i in range(HEAD // 2):
            for half in (0, HEAD // 2):
                row = head * HEAD + half + i
                out.extend(values[row * cols:(row + 1) * cols])
    return out


def transposed(values, n=DIM):
    return array.array("f", (values[j * n + i] for i in range(n) for j in range(n)))


def scaled(values, by):
    return array.array("f", (v * by for v in values))


def zero(m, layer, *parts):
    for part in parts:
        m.set_layer(layer, part, [0.0] * len(m.layer(layer, part)))


def swap_layers(m, a, b):
    for part in ATTN + MLP + NORMS:
        one, two = m.layer(a, part), m.layer(b, part)
        m.set_layer(a, part, two)
        m.set_layer(b, part, one)


def swap_parts(m, layers, a, b):
    for layer in layers:
        one, two = m.layer(layer, a), m.layer(layer, b)
        m.set_layer(layer, a, two)
        m.set_layer(layer, b, one)


def rope_rows(m, layers):
    for layer in layers:
        for part in (Q, K):
            m.set_layer(layer, part, rows_to_interleaved(m.layer(layer, part)))


def transpose(m, layers, part):
    for layer in layers:
        m.set_layer(layer, part, transposed(m.layer(layer, part)))


def random_head(m):
    m.untie()
    rnd = random.Random(1)
    values = m.values("lm_head.weight")
    for i in range(len(values)):
        values[i] = rnd.gauss(0, 0.1)


def norms_plus_one(m):
    for name, (shape, values) in m.tensors.items():
        if "norm" in name:
            for i in range(len(values)):
                values[i] += 1


def embed_scaled(m):
    m.untie()
    shape, values = m.tensors["model.embed_tokens.weight"]
    m.tensors["model.embed_tokens.weight"] = (shape, scaled(values, DIM ** 0.5))


def one_weight(m, by):
    """A weight as large as most are."""
    values = m.layer(2, DOWN)
    rms = (sum(v * v for v in values) / len(values)) ** 0.5
    at = next(i for i in range(4321, len(values)) if abs(values[i]) >= rms)
    values[at] *= by


def nan_embedding(m):
    m.values("model.embed_tokens.weight")[500 * DIM + 3] = float("nan")


def kv_tiled(m):
    """Query head h meets key head h % 4 instead of h // 2."""
    order = [h for kv in range(KV) for h in range(HEADS) if h % KV == kv]
    for layer in range(LAYERS):
        q, o, new_q, new_o = m.layer(layer, Q), m.layer(layer, O), array.array("f"), array.array("f")
        for h in order:
            new_q.extend(q[h * HEAD * DIM:(h + 1) * HEAD * DIM])
        for row in range(DIM):
            for h in order:
                new_o.extend(o[row * DIM + h * HEAD:row * DIM + (h + 1) * HEAD])
        m.set_layer(layer, Q, new_q)
        m.set_layer(layer, O, new_o)


def ids_off_by_one(m):
    shape, values = m.tensors["model.embed_tokens.weight"]
    m.tensors["model.embed_tokens.weight"] = (shape, values[DIM:] + values[:DIM])


def no_bos(m):
    m.tokenizer["post_processor"] = None
    m.others = {name: raw for name, raw in m.others.items() if name != "tokenizer_config.json"}


def vocabulary_of_bytes(m):
    model = m.tokenizer["model"]
    model["merges"] = []
    model["vocab"] = {t: i for t, i in model["vocab"].items() if i < 259}


def no_merges(m):
    m.tokenizer["model"]["merges"] = []


def shuffled_vocabulary(m):
    vocab = m.tokenizer["model"]["vocab"]
    names = [t for t, i in vocab.items() if i >= 259]
    ids = [vocab[t] for t in names]
    random.Random(2).shuffle(ids)
    vocab.update(zip(names, ids))


def set_theta(m, theta):
    m.config["rope_theta"] = theta


def set_eps(m, eps):
    m.config["rms_norm_eps"] = eps


ALL = range(LAYERS)
ONES = [1.0] * DIM
# name: (kind, mutation). gross: nobody may publish it. quiet: needs a reference to be seen. control: changes next to nothing.
MUTATIONS = {
    "rope layout wrong everywhere": ("gross", lambda m: rope_rows(m, ALL)),
    "layers 1 and 3 swapped": ("gross", lambda m: swap_layers(m, 1, 3)),
    "layers 2 and 3 swapped": ("quiet", lambda m: swap_layers(m, 2, 3)),
    "q_proj of one layer transposed": ("quiet", lambda m: transpose(m, [2], Q)),
    "q_proj of all layers transposed": ("gross", lambda m: transpose(m, ALL, Q)),
    "o_proj of one layer transposed": ("quiet", lambda m: transpose(m, [2], O)),
    "gate and up swapped, all layers": ("gross", lambda m: swap_parts(m, ALL, GATE, UP)),
    "gate and up swapped, one layer": ("quiet", lambda m: swap_parts(m, [2], GATE, UP)),
    "k and v swapped, one layer": ("gross", lambda m: swap_parts(m, [0], K, V)),
    "down_proj of one layer zero": ("gross", lambda m: zero(m, 2, DOWN)),
    "last layer zero": ("gross", lambda m: zero(m, LAYERS - 1, *ATTN, *MLP, *NORMS)),
    "one o_proj zero": ("gross", lambda m: zero(m, 2, O)),
    "lm_head random": ("gross", random_head),
    "final norm missing": ("quiet", lambda m: m.tensors.update({"model.norm.weight": ([DIM], array.array("f", ONES))})),
    "one layer norm missing": ("quiet", lambda m: m.set_layer(2, NORMS[0], ONES)),
    "norm weights all + 1": ("gross", norms_plus_one),
    "embedding scaled by sqrt(d)": ("gross", embed_scaled),
    "one weight x 2^64": ("gross", lambda m: one_weight(m, 2.0 ** 64)),
    "one weight x 2^8": ("gross", lambda m: one_weight(m, 2.0 ** 8)),
    "one NaN in down_proj": ("gross", lambda m: one_weight(m, float("nan"))),
    "one NaN in an unused embedding row": ("gross", nan_embedding),
    "scale dropped on one matrix": ("quiet", lambda m: m.set_layer(2, DOWN, scaled(m.layer(2, DOWN), 1 / 16))),
    "scale dropped everywhere": ("gross", lambda m: [m.set_layer(i, p, scaled(m.layer(i, p), 16)) for i in ALL for p in ATTN + MLP]),
    "rope layout wrong in one layer": ("quiet", lambda m: rope_rows(m, [2])),
    "kv heads tiled": ("gross", kv_tiled),
    "token ids off by one": ("gross", ids_off_by_one),
    "BOS missing": ("quiet", no_bos),
    "byte tokens only": ("gross", vocabulary_of_bytes),
    "merges ignored": ("gross", no_merges),
    "shuffled vocabulary": ("gross", shuffled_vocabulary),
    "rope theta 500000": ("quiet", lambda m: set_theta(m, 500000.0)),
    "rope theta 1000000": ("quiet", lambda m: set_theta(m, 1000000.0)),
    "rope theta 1000": ("quiet", lambda m: set_theta(m, 1000.0)),
    "eps 1e-6": ("quiet", lambda m: set_eps(m, 1e-6)),
    "eps 1e-3": ("quiet", lambda m: set_eps(m, 1e-3)),
}
