"""
Checkpoints of any size and no meaning: Llama and Mixtral shapes, as safetensors with a config or as GGUF. What a smoke test says of
them does not matter, only how long it takes and what memory it needs. Matrices hold weight-like noise, or, where `holes` is set, only
those that steer the run do (ends, norms, routers) and the rest is a hole in the file that reads as zeros and takes no room.
"""
import json
import os
import random
import shutil
import struct
from dataclasses import dataclass

from .common import ROOT

NOISE_BYTES = 2 << 20
ALIGN = 32


@dataclass
class Shape:
    hidden: int
    layers: int
    ffn: int
    heads: int
    kv: int
    vocab: int
    experts: int = 0

    @property
    def head(self):
        return self.hidden // self.heads


LLAMA_1B = Shape(2048, 16, 8192, 32, 8, 128256)         # Llama 3.2 1B
LLAMA_30GB = Shape(5120, 46, 16384, 40, 8, 32000)
MIXTRAL_30GB = Shape(4096, 11, 14336, 32, 8, 32000, experts=8)


def _tensors(s, gguf):
    """(name, shape, is a matrix of a layer), the slowest dimension first."""
    def pick(a, b):
        return (b if gguf else a) + ".weight"
    yield pick("model.embed_tokens", "token_embd"), [s.vocab, s.hidden], False
    for i in range(s.layers):
        def at(a, b):
            return pick(f"model.layers.{i}.{a}", f"blk.{i}.{b}")
        yield at("input_layernorm", "attn_norm"), [s.hidden], False
        yield at("post_attention_layernorm", "ffn_norm"), [s.hidden], False
        yield at("self_attn.q_proj", "attn_q"), [s.heads * s.head, s.hidden], True
        yield at("self_attn.k_proj", "attn_k"), [s.kv * s.head, s.hidden], True
        yield at("self_attn.v_proj", "attn_v"), [s.kv * s.head, s.hidden], True
        yield at("self_attn.o_proj", "attn_output"), [s.hidden, s.heads * s.head], True
        mlp = {"gate": [s.ffn, s.hidden], "up": [s.ffn, s.hidden], "down": [s.hidden, s.ffn]}
        if not s.experts:
            for part, shape in mlp.items():
                yield at(f"mlp.{part}_proj", f"ffn_{part}"), shape, True
            continue
        yield at("block_sparse_moe.gate", "ffn_gate_inp"), [s.experts, s.hidden], False
        for part, shape in mlp.items():
            if gguf:
                yield f"blk.{i}.ffn_{part}_exps.weight", [s.experts, *shape], True
            else:
                for e in range(s.experts):
                    yield f"model.layers.{i}.block_sparse_moe.experts.{e}.{dict(gate='w1', up='w3', down='w2')[part]}.weight", shape, True
    yield pick("model.norm", "output_norm"), [s.hidden], False


def _count(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def _write(path, head, tensors, holes):
    """The header, then each tensor (offset, bytes, element bytes, is a matrix of a layer) from one block of noise, from another place in it each."""
    rng = random.Random(7)
    floats = [rng.gauss(0, 0.02) for _ in range(NOISE_BYTES // 4)]
    noise = {2: b"".join(struct.pack("<f", v)[2:] for v in floats) * 2, 4: struct.pack(f"<{len(floats)}f", *floats)}
    with open(path, "wb") as f:
        f.write(head)
        for i, (offset, size, element, matrix) in enumerate(tensors):
            if holes and matrix:
                continue
            f.seek(len(head) + offset)
            cut = i * 52021 * element % NOISE_BYTES
            block = (noise[element][cut:] + noise[element][:cut])[:NOISE_BYTES - element * 3]      # not in step with rows
            for done in range(0, size, len(block)):
                f.write(block[:min(len(block), size - done)])
        f.truncate(len(head) + max(o + n for o, n, _, _ in tensors))


def safetensors(path, s, holes=False):
    """A directory with model.safetensors in BF16, once; its weights' path."""
    if (path / "ok").exists():
        return path / "model.safetensors"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(ROOT / "tests" / "models" / "tiny-story" / name, path / name)
    config = {"hidden_size": s.hidden, "num_hidden_layers": s.layers, "intermediate_size": s.ffn, "num_attention_heads": s.heads, "num_key_value_heads": s.kv,
              "vocab_size": s.vocab, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 2048, "hidden_act": "silu",
              "tie_word_embeddings": True, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2}
    config |= {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": s.experts, "num_experts_per_tok": 2} if s.experts else \
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (path / "config.json").write_text(json.dumps(config))
    header, at, places = {}, 0, []
    for name, shape, matrix in _tensors(s, False):
        n = 2 * _count(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + n]}
        places.append((at, n, 2, matrix))
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    _write(path / "model.safetensors", struct.pack("<Q", len(text)) + text, places, holes)
    (path / "ok").touch()
    return path / "model.safetensors"


def _text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def _key(name, value):
    """A key-value: whole numbers as u32, fractions as f32, text, and lists of one of them."""
    kinds = {bool: (7, "?"), int: (4, "I"), float: (6, "f")}
    if isinstance(value, str):
        return _text(name) + struct.pack("<I", 8) + _text(value)
    if isinstance(value, list):
        if isinstance(value[0], str):
            return _text(name) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        kind, form = (5, "i") if isinstance(value[0], int) else (6, "f")
        return _text(name) + struct.pack(f"<IIQ{len(value)}{form}", 9, kind, len(value), *value)
    kind, form = kinds[type(value)]
    return _text(name) + struct.pack(f"<I{form}", kind, value)


def _gguf_keys(s):
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + ["\u2581"] + [f"<extra_{i}>" for i in range(s.vocab - 260)]
    keys = {"general.architecture": "llama", "general.name": "synthetic", "llama.context_length": 2048, "llama.embedding_length": s.hidden,
            "llama.block_count": s.layers, "llama.feed_forward_length": s.ffn, "llama.attention.head_count": s.heads,
            "llama.attention.head_count_kv": s.kv, "llama.rope.dimension_count": s.head, "llama.rope.freq_base": 10000.0,
            "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.vocab_size": s.vocab, "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [0.0] * s.vocab, "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] + [5] * (s.vocab - 260),
            "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0}
    return keys | ({"llama.expert_count": s.experts, "llama.expert_used_count": 2} if s.experts else {})


def gguf(path, s, holes=False):
    """A GGUF in BF16 (norms and routers in F32), once; its path."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    keys, infos, places, at = _gguf_keys(s), b"", [], 0
    tensors = list(_tensors(s, True))
    for name, shape, matrix in tensors:
        plain = len(shape) == 1 or name.endswith("gate_inp.weight")
        n = (4 if plain else 2) * _count(shape)
        infos += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), 0 if plain else 30, at)
        places.append((at, n, 4 if plain else 2, matrix))
        at += (n + ALIGN - 1) // ALIGN * ALIGN
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(_key(k, v) for k, v in keys.items()) + infos
    head += b"\0" * (-len(head) % ALIGN)
    temporary = path.with_suffix(".part")
    _write(temporary, head, places, holes)
    os.replace(temporary, path)
    return path
