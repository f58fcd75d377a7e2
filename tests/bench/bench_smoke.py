"""A whole smoke test of a synthetic bf16 Llama of about a thousand million parameters, against hashing the same bytes."""
import json
import random
import shutil
import struct
import subprocess

from .common import BIN, ROOT, WORK, timed

HIDDEN, LAYERS, FFN, HEADS, KV, VOCAB = 2048, 18, 7168, 16, 8, 32000


def _tensors():
    head = HIDDEN // HEADS
    yield "model.embed_tokens.weight", [VOCAB, HIDDEN]
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", [HIDDEN]
        yield p + "post_attention_layernorm.weight", [HIDDEN]
        yield p + "self_attn.q_proj.weight", [HEADS * head, HIDDEN]
        yield p + "self_attn.k_proj.weight", [KV * head, HIDDEN]
        yield p + "self_attn.v_proj.weight", [KV * head, HIDDEN]
        yield p + "self_attn.o_proj.weight", [HIDDEN, HEADS * head]
        yield p + "mlp.gate_proj.weight", [FFN, HIDDEN]
        yield p + "mlp.up_proj.weight", [FFN, HIDDEN]
        yield p + "mlp.down_proj.weight", [HIDDEN, FFN]
    yield "model.norm.weight", [HIDDEN]


def _make(path):
    """Random weights: what a smoke test says of them does not matter here, only how long it takes."""
    if (path / "ok").exists():
        return
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(ROOT / "tests" / "models" / "tiny-story" / name, path / name)
    (path / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "intermediate_size": FFN,
        "num_attention_heads": HEADS, "num_key_value_heads": KV, "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "max_position_embeddings": 2048, "hidden_act": "silu", "tie_word_embeddings": True, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2}))
    header, at = {}, 0
    for name, shape in _tensors():
        n = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = random.Random(7)
    block = b"".join(struct.pack("<f", rng.gauss(0, 0.02))[2:] for _ in range(1 << 20))
    with open(path / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for done in range(0, at, len(block) - 2):    # not a multiple of a row: no two layers are the same
            f.write(block[:min(len(block) - 2, at - done)])
    (path / "ok").touch()


def check(table):
    path = WORK / "llama-1b"
    _make(path)
    weights = path / "model.safetensors"
    size = weights.stat().st_size
    sha = min(timed(["openssl", "dgst", "-sha256", weights])[0] for _ in range(3))
    runs = []
    for _ in range(3):
        out = subprocess.run([BIN / "registryd-smoke", "--device", "cpu", "--tokens", "64", "--json", path], capture_output=True, text=True)
        runs.append(json.loads(out.stdout))
    best = min(runs, key=lambda r: r["load_s"] + r["forward_s"])
    wall = best["load_s"] + best["forward_s"]
    table.add(f"smoke test, {size / 1e9:.1f} GB bf16 Llama, 64 tokens", f"load {best['load_s']:.2f} s, forward {best['forward_s']:.2f} s",
              f"openssl dgst -sha256, {sha:.2f} s", wall / sha, "<= 1.3")
    table.add("  peak memory", f"{best['peak_bytes'] / (1 << 20):.0f} MiB")
