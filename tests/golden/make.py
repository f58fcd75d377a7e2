#!/usr/bin/env python3
"""
make.py [NAME…]: the recipe of the goldens next to it. For each family a tiny model is built with transformers, its weights are set
from a hash of their names (so that none need to be kept: tests/unit/infer/test_golden.c makes the same ones), it is loaded
again as any checkpoint would be, and the loss of each token is written down. Families that transformers does not have are built in
remote.py. Where configurations in use are spelled otherwise than this transformers spells them, `config_old` has that. Needs torch
and transformers:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch transformers && /tmp/golden/bin/python tests/golden/make.py

The versions used are recorded in each file. Everything is in fp32 with eager attention.
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

import remote

HERE = Path(__file__).parent
N_TOKENS, VOCAB = 72, 128
TEXT = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, original_max_position_embeddings=32, beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
MLA = dict(kv_lora_rank=32, q_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=12, n_routed_experts=16, num_experts_per_tok=4,
           moe_intermediate_size=48, n_shared_experts=2, first_k_dense_replace=1, n_group=4, topk_group=2, num_key_value_heads=4)
LONG = dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], long_factor=[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])

SPREAD = dict(rope_type="default", rope_theta=10000.0, mrope_section=[3, 3, 2])
PATCHES = dict(depth=1, num_heads=2, patch_size=4, spatial_merge_size=2, temporal_patch_size=2)
VISION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8)
CASES = {
    "llama": ("llama", dict(rope_parameters=LLAMA3, attention_bias=True, mlp_bias=True)),
    "llama-step": ("llama", dict(rope_parameters=dict(LLAMA3, factor=16.0, high_freq_factor=1.0))),     # as Llama 4 has it
    "llama-linear": ("llama", dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0), tie_word_embeddings=True)),
    "llama-yarn": ("llama", dict(rope_parameters={k: v for k, v in YARN.items() if "mscale" not in k})),
    "llama-dynamic": ("llama", dict(rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0))),
    "mistral": ("mistral", dict(head_dim=32, sliding_window=16)),
    "mistral-codestral": ("mistral", dict(sliding_window=None, rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
    "ministral": ("ministral", dict(sliding_window=16, layer_types=["full_attention", "sliding_attention", "full_attention", "sliding_attention"])),
    "ministral3": ("ministral3", dict(head_dim=32, rope_parameters=dict(YARN, original_max_position_embeddings=16, llama_4_scaling_beta=0.3))),
    "mixtral": ("mixtral", dict(num_local_experts=6, num_experts_per_tok=2, sliding_window=None)),
    "qwen2": ("qwen2", dict(use_sliding_window=True, sliding_window=16, max_window_layers=2)),
    "qwen2_moe": ("qwen2_moe", dict(num_experts=6, num_experts_per_tok=3, moe_intermediate_size=48, shared_expert_intermediate_size=80,
                                    mlp_only_layers=[1], decoder_sparse_step=1)),
    "qwen2-tied": ("qwen2", dict(tie_word_embeddings=True, num_key_value_heads=1)),
    "qwen3": ("qwen3", dict(head_dim=32)),
    "qwen3_moe": ("qwen3_moe", dict(head_dim=32, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=48, norm_topk_prob=True)),
    "deepseek_v2": ("deepseek_v2", dict(MLA, topk_method="group_limited_greedy", routed_scaling_factor=1.5, rope_parameters=YARN)),
    "deepseek_v2-lite": ("deepseek_v2", dict(MLA, q_lora_rank=None, topk_method="greedy", n_group=1, topk_group=1, routed_scaling_factor=1.0)),
    "deepseek_v3": ("deepseek_v3", dict(MLA, routed_scaling_factor=2.5, rope_parameters=YARN)),
    "deepseek_v3-fp8": ("deepseek_v3", dict(MLA, hidden_size=192, intermediate_size=160, num_hidden_layers=2, n_routed_experts=4, num_experts_per_tok=2,
                                            moe_intermediate_size=136, n_group=2, topk_group=1, kv_lora_rank=144, q_lora_rank=130,
                                            routed_scaling_factor=2.5, rope_parameters=YARN)),
    # Where a class does otherwise than its configuration's neighbours would.
    "deepseek_v3-bias": ("deepseek_v3", dict(MLA, attention_bias=True, routed_scaling_factor=2.5, rope_parameters=YARN)),
    "deepseek_v2-bias": ("deepseek_v2", dict(MLA, attention_bias=True, q_lora_rank=None, topk_method="greedy", n_group=1, topk_group=1, routed_scaling_factor=1.0)),
    "mixtral-one": ("mixtral", dict(num_local_experts=6, num_experts_per_tok=1, sliding_window=None)),
    "deepseek_v3-one": ("deepseek_v3", dict(MLA, num_experts_per_tok=1, topk_group=1, routed_scaling_factor=2.5, rope_parameters=YARN)),
    "gemma2-uncapped": ("gemma2", dict(head_dim=16, sliding_window=16, query_pre_attn_scalar=24, attn_logit_softcapping=None, final_logit_softcapping=None)),
    "llama-foreign": ("llama", dict(sliding_window=8, attn_logit_softcapping=2.0, final_logit_softcapping=2.0, attention_chunk_size=8, num_experts_per_tok=2)),
    "starcoder2-epsilon": ("starcoder2", dict(norm_epsilon=0.01, layer_norm_epsilon=0.5)),
    "llama-yarn-zero": ("llama", dict(rope_parameters=dict(YARN, beta_fast=0, beta_slow=0))),
    "qwen2-said": ("qwen2", dict(attention_bias=False)),
    "gemma": ("gemma", dict(head_dim=16)),
    "gemma2": ("gemma2", dict(head_dim=16, sliding_window=16, query_pre_attn_scalar=24, attn_logit_softcapping=5.0, final_logit_softcapping=3.0)),
    "gemma3": ("gemma3_text", dict(head_dim=16, num_hidden_layers=7, sliding_window=16, query_pre_attn_scalar=24, rope_parameters=dict(
        full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1000000.0), sliding_attention=dict(rope_type="default", rope_theta=10000.0)))),
    "phi3": ("phi3", dict(rope_parameters=dict(LONG, original_max_position_embeddings=128), original_max_position_embeddings=128)),
    "phi3-partial": ("phi3", dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5), sliding_window=16)),
    "phi3-mini4": ("phi3", dict(tie_word_embeddings=True, max_position_embeddings=256, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
        long_factor=[2.0, 3.0, 4.0, 5.0, 6.0, 7.0], original_max_position_embeddings=64), original_max_position_embeddings=64)),
    "phimoe": ("phimoe", dict(num_local_experts=6, num_experts_per_tok=2, attention_bias=True, lm_head_bias=True, rope_parameters=dict(
        LONG, original_max_position_embeddings=128, short_mscale=1.2, long_mscale=1.3), original_max_position_embeddings=128)),
    "phi": ("phi", dict(num_key_value_heads=4, partial_rotary_factor=0.5)),
    "llama4": ("llama4_text", dict(head_dim=16, num_hidden_layers=8, intermediate_size_mlp=112, num_local_experts=4, num_experts_per_tok=1,
                                   interleave_moe_layer_step=2, attention_chunk_size=24, use_qk_norm=True, floor_scale=16, attn_scale=0.1,
                                   attn_temperature_tuning=True)),
    "smollm3": ("smollm3", dict(num_hidden_layers=8, no_rope_layer_interval=4)),
    "starcoder2": ("starcoder2", dict(sliding_window=16)),
    "gpt_bigcode": ("gpt_bigcode", dict(multi_query=True)),
    "gpt_bigcode-mha": ("gpt_bigcode", dict(multi_query=False)),
    "gpt2": ("gpt2", dict()),
    "bloom": ("bloom", dict(num_attention_heads=6, hidden_size=48)),
    "olmo2": ("olmo2", dict(rope_parameters=dict(rope_type="default", rope_theta=500000.0))),
    "granite": ("granite", dict(attention_multiplier=0.1, embedding_multiplier=3.0, residual_multiplier=0.4, logits_scaling=2.0, tie_word_embeddings=True, mlp_bias=True)),
    "glm": ("glm", dict(head_dim=16, attention_bias=True)),
    "glm4": ("glm4", dict(head_dim=16, attention_bias=False)),
    "cohere": ("cohere", dict(logit_scale=0.3)),
    "cohere2": ("cohere2", dict(logit_scale=0.3, sliding_window=16, num_hidden_layers=5)),
    "falcon": ("falcon", dict(num_hidden_layers=3, multi_query=True, parallel_attn=True, new_decoder_architecture=False, bias=False, alibi=False)),
    "falcon-bias": ("falcon", dict(num_hidden_layers=3, multi_query=True, parallel_attn=True, new_decoder_architecture=False, bias=True, alibi=False)),
    "seed_oss": ("seed_oss", dict(head_dim=16, attention_bias=True, attention_out_bias=False)),
    "seed_oss-out": ("seed_oss", dict(head_dim=32, attention_bias=False, attention_out_bias=True)),
    "ernie4_5": ("ernie4_5", dict(head_dim=16, use_bias=True)),
    "stablelm": ("stablelm", dict(use_qkv_bias=True)),
    # What files say that this transformers would not write.
    "llama-ropes": ("llama", dict(), dict(rope_parameters=dict(rope_type="default", rope_theta=500000.0), rope_scaling=dict(type="linear", factor=4.0))),
    "gemma3-ropes": ("gemma3_text", dict(head_dim=16, num_hidden_layers=6, sliding_window=16), dict(rope_scaling=dict(rope_type="linear", factor=4.0))),
    "gemma3-pattern": ("gemma3_text", dict(head_dim=16, sliding_window=16), dict(layer_types=None, sliding_window_pattern=2)),
    "gemma3-ignored": ("gemma3_text", dict(head_dim=16, num_hidden_layers=6, sliding_window=16), dict(layer_types=None, _sliding_window_pattern=2)),
    "mistral-types": ("mistral", dict(sliding_window=16), dict(layer_types=["full_attention", "sliding_attention"] * 2)),
    "phi3-types": ("phi3", dict(sliding_window=16), dict(layer_types=["full_attention", "sliding_attention"] * 2)),
    # The text model inside a multimodal one.
    "mistral3": ("mistral3", dict(text_config=dict(TEXT, model_type="mistral", head_dim=32, sliding_window=None),
                                  vision_config=dict(VISION, model_type="pixtral", head_dim=16), image_token_index=100)),
    "ministral3-multimodal": ("mistral3", dict(text_config=dict(TEXT, model_type="ministral3", head_dim=32, rope_parameters=dict(
        YARN, original_max_position_embeddings=16, llama_4_scaling_beta=0.3)), vision_config=dict(VISION, model_type="pixtral", head_dim=16), image_token_index=100)),
    "qwen2_vl": ("qwen2_vl", dict(text_config=dict(TEXT, rope_parameters=SPREAD), vision_config=dict(PATCHES, embed_dim=16, hidden_size=64, mlp_ratio=2))),
    "qwen2_5_vl": ("qwen2_5_vl", dict(text_config=dict(TEXT, rope_parameters=SPREAD), vision_config=dict(PATCHES, hidden_size=16, out_hidden_size=64, intermediate_size=24))),
    "qwen3_vl": ("qwen3_vl", dict(text_config=dict(TEXT, head_dim=16, rope_parameters=dict(SPREAD, mrope_interleaved=True)), vision_config=dict(
        PATCHES, hidden_size=16, out_hidden_size=64, intermediate_size=24, num_position_embeddings=16, deepstack_visual_indexes=[0]))),
    "gemma3-multimodal": ("gemma3", dict(text_config=dict(TEXT, model_type="gemma3_text", head_dim=16, num_hidden_layers=6, sliding_window=16),
                                         vision_config=dict(VISION, model_type="siglip_vision_model"), mm_tokens_per_image=4, image_token_index=100)),
    "llama4-multimodal": ("llama4", dict(text_config=dict(TEXT, model_type="llama4_text", head_dim=16, intermediate_size_mlp=112, num_local_experts=4,
                                                          num_experts_per_tok=1, interleave_moe_layer_step=1, attention_chunk_size=24),
                                         vision_config=dict(VISION, vision_output_dim=32, projector_input_dim=32, projector_output_dim=32),
                                         image_token_index=100)),
}


def mix(x):
    """A 32-bit integer hash, of arrays. test_golden.c has the same."""
    x = np.asarray(x, dtype=np.uint32)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        return x ^ (x >> np.uint32(16))


def fnv(name):
    h = 2166136261
    for b in name.encode():
        h = (h ^ b) * 16777619 & 0xFFFFFFFF
    return h


def fill(name, shape, scale, offset):
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        bits = mix(np.arange(n, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(fnv(name)))
    noise = bits.view(np.int32).astype(np.float32) * np.float32(2.0 ** -31)
    return (np.float32(offset) + np.float32(scale) * noise).reshape(shape)


def scale_of(name, shape, plus1):
    """Norms near what they are in a trained model, matrices that keep the size of what they are given."""
    if len(shape) == 1:
        norm = "norm" in name or ".ln_" in name
        return (0.25, 0.0 if plus1 or not name.endswith(("weight", "scale")) or not norm else 1.0)
    return (2.5 / shape[-1] ** 0.5, 0.0)


def config_of(kind, more):
    config = transformers.AutoConfig.for_model(kind)
    keys = dict(TEXT, **more)
    known = {k: v for k, v in keys.items() if k in config.attribute_map or hasattr(config, k) or k in more}
    if "text_config" in more:
        return transformers.AutoConfig.for_model(kind, **more)
    if kind in ("gpt2", "gpt_bigcode"):
        known = dict(vocab_size=VOCAB, n_embd=64, n_layer=4, n_head=4, n_positions=256, bos_token_id=1, eos_token_id=2, **more)
    if kind == "bloom":
        known = dict(vocab_size=VOCAB, hidden_size=more["hidden_size"], n_layer=4, n_head=more["num_attention_heads"], bos_token_id=1, eos_token_id=2)
    return transformers.AutoConfig.for_model(kind, **known)


# ---- configurations as they are published -------------------------------------------------------------------------------

def old_rope(out, rope, before):
    """rope_parameters were rope_theta, partial_rotary_factor and rope_scaling, whose rope_type was called type before Llama 3.1."""
    rope = dict(rope)
    out[before + "rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        out["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    kind = rope.pop("rope_type")
    if kind == "longrope":
        rope.pop("original_max_position_embeddings", None)      # stands beside it
    out["rope_scaling"] = None if kind == "default" else {"rope_type" if kind == "llama3" else "type": kind, **rope}


def old_spelling(config):
    """The configuration as transformers 4 wrote it, without what it left to the class; None where nothing differs."""
    out = {k: old_spelling(v) or v if k == "text_config" else v for k, v in config.items() if k not in ("rope_parameters", "layer_types")}
    rope = config.get("rope_parameters")
    out["torch_dtype"] = out.pop("dtype", None)
    if "full_attention" in (rope or {}):
        old_rope(out, rope["full_attention"], "")
        out["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    elif rope:
        old_rope(out, rope, "")
    if config.get("model_type") == "gemma3_text":
        out["sliding_window_pattern"] = 6
        out.pop("_sliding_window_pattern", None)
    if config.get("model_type") == "llama4_text":
        out["no_rope_layers"] = []
    return out if rope or "text_config" in config else None


# ---- weights ------------------------------------------------------------------------------------------------------------

def e4m3(codes):
    """Codes of FP8 E4M3 as floats."""
    return torch.from_numpy(codes.view(np.uint8)).view(torch.float8_e4m3fn).float().numpy()


def fill_fp8(name, shape):
    """Every code but the two that are no number."""
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        codes = (mix(np.arange(n, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(fnv(name))) >> np.uint32(24)).astype(np.uint8)
    return np.where(codes & 0x7F == 0x7F, codes ^ 1, codes).astype(np.uint8).reshape(shape)


def packed_fp8(tensors):
    """Matrices of layers as DeepSeek-V3 stores them: E4M3 and a scale for each block of 128 x 128. The router and the ends stay as they are."""
    out = {}
    for name, (shape, scale, offset) in tensors.items():
        if len(shape) != 2 or not name.startswith("model.layers.") or name.endswith("mlp.gate.weight"):
            out[name] = [shape, scale, offset]
            continue
        out[name] = [shape, 0, 0, "F8_E4M3"]
        even = 0.012 / shape[-1] ** 0.5
        out[name + "_scale_inv"] = [[-(-n // 128) for n in shape], even / 2, even]
    return out


def values(tensors):
    """What the tensors stand for, as matrices of floats under their plain names."""
    out = {}
    for name, (shape, scale, offset, *dtype) in tensors.items():
        if not dtype and not name.endswith("_scale_inv"):
            out[name] = fill(name, shape, scale, offset)
        elif dtype:
            scales = fill(name + "_scale_inv", *tensors[name + "_scale_inv"])
            blocks = np.repeat(np.repeat(scales, 128, 0), 128, 1)[:shape[0], :shape[1]]
            out[name] = e4m3(fill_fp8(name, shape)) * blocks
    return out


# ---- goldens ------------------------------------------------------------------------------------------------------------

def ids_of(n):
    return [1] + [int(v) % (VOCAB - 3) + 3 for v in mix(np.arange(1, n))]


def record(name, config, tensors, logits, config_old=None):
    ids = ids_of(N_TOKENS)
    with torch.no_grad():
        scores = logits(torch.tensor([ids])).double()
    losses = torch.nn.functional.cross_entropy(scores[:-1], torch.tensor(ids[1:]), reduction="none")
    golden = dict(made_with=f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}", config=config, config_old=config_old,
                  tensors=tensors, ids=ids, losses=[round(float(v), 6) for v in losses], top1=[int(v) for v in scores.argmax(-1)])
    golden = {k: v for k, v in golden.items() if v is not None}
    text = json.dumps(golden, separators=(",", ":"))
    for key in ("config_old", "tensors", "ids", "losses", "top1"):
        text = text.replace(f'"{key}":', f'\n"{key}":', 1)
    (HERE / f"{name}.json").write_text(text + "\n")
    print(f"{name}: mean loss {float(losses.mean()):.6f}, {sum(int(np.prod(t[0])) for t in tensors.values())} weights")


def make_remote(name):
    config, shapes, logits = remote.CASES[name](VOCAB)
    tensors = {k: [s, *scale_of(k, s, False)] for k, s in sorted(shapes.items())}
    weights = {k: torch.from_numpy(v) for k, v in values(tensors).items()}
    record(name, config, tensors, lambda ids: logits(weights, ids), old_spelling(config))


def make(name, kind, more, said=None):
    torch.manual_seed(0)
    config = config_of(kind, more)
    config.dtype = "float32"
    auto = transformers.AutoModelForImageTextToText if "text_config" in more else transformers.AutoModelForCausalLM
    model = auto.from_config(config, attn_implementation="eager")
    with tempfile.TemporaryDirectory() as where:
        where = Path(where)
        model.save_pretrained(where)
        with safe_open(where / "model.safetensors", "np") as f:
            shapes = {k: f.get_slice(k).get_shape() for k in f.keys()}
        plus1 = kind.startswith("gemma")
        tensors = {k: [s, *scale_of(k, s, plus1)] for k, s in sorted(shapes.items())}
        if name.endswith("-fp8"):
            tensors = packed_fp8(tensors)
        save_file(values(tensors), where / "model.safetensors", metadata={"format": "pt"})
        text = json.loads((where / "config.json").read_text())
        if said:
            text = {k: v for k, v in {**text, **said}.items() if v is not None}
            (where / "config.json").write_text(json.dumps(text))
        loaded, info = (auto if said else type(model)).from_pretrained(where, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
    if name.endswith("-fp8"):
        text["quantization_config"] = dict(quant_method="fp8", fmt="e4m3", weight_block_size=[128, 128], activation_scheme="dynamic")
    loaded.eval()
    if kind == "llama4" and hasattr(loaded, "language_model"):
        loaded = loaded.language_model      # 5.24.0 fails on the whole when there is no image
    record(name, text, tensors, lambda ids: loaded(ids, use_cache=False).logits[0], None if said else old_spelling(text))


for case in sys.argv[1:] or [*CASES, *remote.CASES]:
    try:
        make_remote(case) if case in remote.CASES else make(case, *CASES[case])
    except Exception as e:      # one family less must not cost the others
        print(f"{case}: {type(e).__name__}: {e}", file=sys.stderr)
