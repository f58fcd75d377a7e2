"""
Families that transformers has no code for, from safetensors: the recorded GGUFs under the names and configurations that their
publishers use must give the perplexities that were recorded for the GGUFs.
"""
import array
import json
import shutil
import struct

import pytest

from tests.system.test_smoke_runner import smoke

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class Gguf:
    """A GGUF of F32 tensors: .keys, and .tensors as {name: (shape, floats)} with the slowest dimension first."""

    def __init__(self, path):
        self.data, self.at = path.read_bytes(), 4
        _, n_tensors, n_keys = self._take("<IQQ")
        self.keys = dict(self._key() for _ in range(n_keys))
        infos = [self._info() for _ in range(n_tensors)]
        base = (self.at + 31) // 32 * 32
        self.tensors = {}
        for name, shape, kind, offset in infos:
            assert kind == 0, f"{name} is not F32"
            n = 4
            for d in shape:
                n *= d
            self.tensors[name] = (shape, array.array("f", self.data[base + offset:base + offset + n]))

    def _take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def _text(self):
        n = self._take("<Q")[0]
        self.at += n
        return self.data[self.at - n:self.at].decode("utf-8", "replace")

    def _value(self, kind):
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            kind, n = self._take("<IQ")
            return [self._value(kind) for _ in range(n)]
        return self._take("<" + SCALARS[kind])[0]

    def _key(self):
        name = self._text()
        return name, self._value(self._take("<I")[0])

    def _info(self):
        name = self._text()
        shape = self._take(f"<{self._take('<I')[0]}Q")
        return name, list(reversed(shape)), *self._take("<IQ")


def qwen1(gguf):
    """Qwen-1: fused q, k, v with a bias; w2 is the gate; intermediate_size counts both halves."""
    names = {"token_embd.weight": "transformer.wte.weight", "output_norm.weight": "transformer.ln_f.weight", "output.weight": "lm_head.weight"}
    parts = {"attn_norm.weight": "ln_1.weight", "attn_qkv.weight": "attn.c_attn.weight", "attn_qkv.bias": "attn.c_attn.bias",
             "attn_output.weight": "attn.c_proj.weight", "ffn_norm.weight": "ln_2.weight", "ffn_gate.weight": "mlp.w2.weight",
             "ffn_up.weight": "mlp.w1.weight", "ffn_down.weight": "mlp.c_proj.weight"}
    config = {
        "architectures": ["QWenLMHeadModel"], "model_type": "qwen", "attn_dropout_prob": 0.0, "bf16": False, "emb_dropout_prob": 0.0, "fp16": False,
        "fp32": True, "hidden_size": 64, "intermediate_size": gguf.keys["qwen.feed_forward_length"], "initializer_range": 0.02, "kv_channels": 8,
        "layer_norm_epsilon": 1e-5, "max_position_embeddings": 512, "no_bias": True, "num_attention_heads": 8, "num_hidden_layers": 4, "onnx_safe": None,
        "rotary_emb_base": 10000, "rotary_pct": 1.0, "scale_attn_weights": True, "seq_length": 512, "tie_word_embeddings": False,
        "tokenizer_class": "QWenTokenizer", "use_cache": True, "use_dynamic_ntk": True, "use_flash_attn": "auto", "use_logn_attn": True, "vocab_size": 512}
    return config, {name: names.get(name) or "transformer.h." + name.split(".")[1] + "." + parts[name.split(".", 2)[2]] for name in gguf.tensors}


GROK = {
    "attn_output_multiplier": 0.08838834764831845, "embedding_multiplier_scale": 78.38367176906169, "output_multiplier_scale": 0.5773502691896257,
    "max_attn_value": 30.0, "hidden_size": 64, "intermediate_size": 128, "max_position_embeddings": 512, "num_attention_heads": 8, "num_hidden_layers": 4,
    "num_key_value_heads": 4, "num_experts": 4, "num_experts_per_tok": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000, "tie_word_embeddings": False,
    "output_router_logits": False, "router_aux_loss_coef": 0.001, "use_cache": True, "vocab_size": 512, "torch_dtype": "float32"}


def grok(gguf, config, ends, layer, expert, parts, experts):
    """Experts are stacked in a GGUF and matrices of their own here."""
    names = {}
    for name in gguf.tensors:
        if not name.startswith("blk."):
            names[name] = ends[name]
            continue
        i, part = name.split(".", 2)[1:]
        names[name] = layer.format(i) + parts[part] if part in parts else [layer.format(i) + expert.format(e, experts[part]) for e in range(4)]
    return {**GROK, **config}, names


def grok_transformer(gguf):
    return grok(gguf, {"architectures": ["Grok1ForCausalLM"], "model_type": "grok-1"},
                {"token_embd.weight": "transformer.in_out_embed.weight", "output_norm.weight": "transformer.rms_norm.weight", "output.weight": "lm_head.weight"},
                "transformer.decoder_layer.{}.", "moe.{}.{}.weight",
                {"attn_norm.weight": "rms_norm.weight", "attn_output_norm.weight": "rms_norm_1.weight", "ffn_norm.weight": "rms_norm_2.weight",
                 "layer_output_norm.weight": "rms_norm_3.weight", "ffn_gate_inp.weight": "router.weight", "attn_q.weight": "multi_head_attention.query.weight",
                 "attn_k.weight": "multi_head_attention.key.weight", "attn_v.weight": "multi_head_attention.value.weight",
                 "attn_output.weight": "multi_head_attention.linear.weight"},
                {"ffn_gate_exps.weight": "linear", "ffn_up_exps.weight": "linear_v", "ffn_down_exps.weight": "linear_1"})


def grok_model(gguf):
    return grok(gguf, {"architectures": ["Grok1ModelForCausalLM"], "model_type": "grok-1"},
                {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.scale", "output.weight": "lm_head.weight"},
                "model.layers.{}.", "moe_block.experts.{}.{}.weight",
                {"attn_norm.weight": "pre_attn_norm.scale", "attn_output_norm.weight": "post_attn_norm.scale", "ffn_norm.weight": "pre_moe_norm.scale",
                 "layer_output_norm.weight": "post_moe_norm.scale", "ffn_gate_inp.weight": "moe_block.gate.weight", "attn_q.weight": "attn.q_proj.weight",
                 "attn_k.weight": "attn.k_proj.weight", "attn_v.weight": "attn.v_proj.weight", "attn_output.weight": "attn.o_proj.weight"},
                {"ffn_gate_exps.weight": "linear", "ffn_up_exps.weight": "linear_v", "ffn_down_exps.weight": "linear_1"})


def write(where, gguf, config, names):
    header, raw = {}, b""
    for name, (shape, values) in gguf.tensors.items():
        target = names[name]
        pieces = [(target, shape, values.tobytes())]
        if isinstance(target, list):
            step = len(values) // len(target)
            pieces = [(one, shape[1:], values[i * step:(i + 1) * step].tobytes()) for i, one in enumerate(target)]
        for one, dims, data in pieces:
            header[one] = {"dtype": "F32", "shape": dims, "data_offsets": [len(raw), len(raw) + len(data)]}
            raw += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (where / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + raw)
    (where / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("arch, rename", [("qwen1", qwen1), ("grok", grok_transformer), ("grok", grok_model)])
def test_recorded_perplexity_from_safetensors(shared, tmp_path, arch, rename):
    archs = shared / "data/models/archs"
    want = json.loads((archs / "expected.json").read_text())
    where = tmp_path / "model"
    where.mkdir()
    gguf = Gguf(archs / f"{arch}.gguf")
    write(where, gguf, *rename(gguf))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(shared / "data/models/stories260K/hf-f32" / name, where / name)
    (tmp_path / "text").write_text(want["text"])
    report = smoke("--perplexity-chunk", 128, "--text", tmp_path / "text", where)[1]
    assert report["perplexity"] == pytest.approx(want["models"][arch]["ppl"], rel=1e-3), report["reasons"]
