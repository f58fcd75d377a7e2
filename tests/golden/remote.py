"""
remote.py - reference models for families that transformers has no code for: their publishers ship it with the weights. Written from
the published descriptions, of transformers' parts where a part is the same. Each gives (config as published, tensor shapes,
function from tensors and ids to logits); make.py records what comes out, as for the others.

    qwen      Qwen-1: Qwen2's block (that is what Qwen2 took over) under Qwen-1's names: q, k, v fused, w2 gates w1, one size for both halves
    deepseek  DeepSeekMoE (arXiv 2401.06066): a Llama whose later layers route by softmax, greedily, beside experts that all tokens share
    grok      Grok-1 as its authors' release computes it: four norms, capped attention scores, softmax router, tanh gelu, scaled ends
"""
import torch
import transformers
from torch.nn import functional as F


def matrices(prefix, **shapes):
    return {f"{prefix}{name}.weight": list(shape) for name, shape in shapes.items()}


# ---- Qwen-1 ---------------------------------------------------------------------------------------------------------

def qwen(vocab, d=64, inner=96, layers=4, heads=4):
    config = dict(
        architectures=["QWenLMHeadModel"], model_type="qwen", attn_dropout_prob=0.0, bf16=False, emb_dropout_prob=0.0, fp16=False, fp32=True,
        hidden_size=d, intermediate_size=2 * inner, initializer_range=0.02, kv_channels=d // heads, layer_norm_epsilon=1e-6,
        max_position_embeddings=256, no_bias=True, num_attention_heads=heads, num_hidden_layers=layers, onnx_safe=None, rotary_emb_base=10000,
        rotary_pct=1.0, scale_attn_weights=True, seq_length=256, tie_word_embeddings=False, tokenizer_class="QWenTokenizer", use_cache=True,
        use_dynamic_ntk=True, use_flash_attn="auto", use_logn_attn=True, vocab_size=vocab)
    shapes = matrices("", **{"transformer.wte": (vocab, d), "transformer.ln_f": (d,), "lm_head": (vocab, d)})
    for i in range(layers):
        shapes |= matrices(f"transformer.h.{i}.", **{"ln_1": (d,), "ln_2": (d,), "attn.c_attn": (3 * d, d), "attn.c_proj": (d, d),
                                                     "mlp.w1": (inner, d), "mlp.w2": (inner, d), "mlp.c_proj": (d, inner)})
        shapes[f"transformer.h.{i}.attn.c_attn.bias"] = [3 * d]

    def logits(t, ids):
        model = transformers.AutoModelForCausalLM.from_config(transformers.Qwen2Config(
            vocab_size=vocab, hidden_size=d, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads,
            rms_norm_eps=1e-6, max_position_embeddings=256, tie_word_embeddings=False), attn_implementation="eager")
        state = {"model.embed_tokens.weight": t["transformer.wte.weight"], "model.norm.weight": t["transformer.ln_f.weight"], "lm_head.weight": t["lm_head.weight"]}
        for i in range(layers):
            ours, theirs = f"transformer.h.{i}.", f"model.layers.{i}."
            for kind in ("weight", "bias"):
                for part, rows in zip("qkv", t[f"{ours}attn.c_attn.{kind}"].chunk(3)):
                    state[f"{theirs}self_attn.{part}_proj.{kind}"] = rows
            for a, b in (("ln_1", "input_layernorm"), ("ln_2", "post_attention_layernorm"), ("attn.c_proj", "self_attn.o_proj"),
                         ("mlp.w2", "mlp.gate_proj"), ("mlp.w1", "mlp.up_proj"), ("mlp.c_proj", "mlp.down_proj")):
                state[f"{theirs}{b}.weight"] = t[f"{ours}{a}.weight"]
        model.load_state_dict(state)
        return model.eval()(ids, use_cache=False).logits[0]

    return config, shapes, logits


# ---- DeepSeek-V1 ----------------------------------------------------------------------------------------------------

class SharedMoe(torch.nn.Module):
    """sum over the k best of p_e expert_e(x), p = softmax(W x), and an MLP for every token."""

    def __init__(self, t, prefix, n, k, renorm):
        super().__init__()
        self.t, self.prefix, self.n, self.k, self.renorm = t, prefix, n, k, renorm

    def mlp(self, name, x):
        gate, up, down = (self.t[f"{self.prefix}{name}.{part}_proj.weight"] for part in ("gate", "up", "down"))
        return (F.silu(x @ gate.T) * (x @ up.T)) @ down.T

    def forward(self, x):
        p, which = torch.softmax(x @ self.t[f"{self.prefix}gate.weight"].T, -1).topk(self.k, -1)
        if self.renorm:
            p = p / p.sum(-1, keepdim=True)
        weights = torch.zeros(*x.shape[:-1], self.n).scatter(-1, which, p)
        return self.mlp("shared_experts", x) + sum(weights[..., e:e + 1] * self.mlp(f"experts.{e}", x) for e in range(self.n))


def deepseek(vocab, renorm=False, d=64, inner=96, d_expert=24, layers=4, heads=4, kv=4, n=8, k=3, shared=2):
    config = dict(
        architectures=["DeepseekForCausalLM"], model_type="deepseek", attention_bias=False, attention_dropout=0.0, aux_loss_alpha=0.001, bos_token_id=1,
        eos_token_id=2, first_k_dense_replace=1, hidden_act="silu", hidden_size=d, initializer_range=0.02, intermediate_size=inner,
        max_position_embeddings=256, moe_intermediate_size=d_expert, moe_layer_freq=1, n_routed_experts=n, n_shared_experts=shared, norm_topk_prob=renorm,
        num_attention_heads=heads, num_experts_per_tok=k, num_hidden_layers=layers, num_key_value_heads=kv, pretraining_tp=1, rms_norm_eps=1e-6,
        rope_scaling=None, rope_theta=10000, scoring_func="softmax", seq_aux=True, tie_word_embeddings=False, torch_dtype="float32", use_cache=True,
        vocab_size=vocab)
    head = d // heads
    shapes = matrices("", **{"model.embed_tokens": (vocab, d), "model.norm": (d,), "lm_head": (vocab, d)})
    for i in range(layers):
        shapes |= matrices(f"model.layers.{i}.", **{
            "input_layernorm": (d,), "post_attention_layernorm": (d,), "self_attn.q_proj": (d, d), "self_attn.k_proj": (kv * head, d),
            "self_attn.v_proj": (kv * head, d), "self_attn.o_proj": (d, d)})
        sizes = {"mlp.": inner} if i < 1 else {"mlp.shared_experts.": shared * d_expert, **{f"mlp.experts.{e}.": d_expert for e in range(n)}}
        for name, size in sizes.items():
            shapes |= matrices(f"model.layers.{i}.{name}", gate_proj=(size, d), up_proj=(size, d), down_proj=(d, size))
        if i >= 1:
            shapes |= matrices(f"model.layers.{i}.", **{"mlp.gate": (n, d)})

    def logits(t, ids):
        model = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(
            vocab_size=vocab, hidden_size=d, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv,
            rms_norm_eps=1e-6, max_position_embeddings=256, tie_word_embeddings=False), attn_implementation="eager")
        for i in range(1, layers):
            model.model.layers[i].mlp = SharedMoe(t, f"model.layers.{i}.mlp.", n, k, renorm)
        model.load_state_dict({name: t[name] for name in model.state_dict()})
        return model.eval()(ids, use_cache=False).logits[0]

    return config, shapes, logits


# ---- Grok-1 ---------------------------------------------------------------------------------------------------------

GROK_NAMES = {      # of the two conversions that are about: architecture, prefix of a layer, names within it, names of the ends
    "Grok1ForCausalLM": ("transformer.decoder_layer.{}.", dict(
        q="multi_head_attention.query.weight", k="multi_head_attention.key.weight", v="multi_head_attention.value.weight", o="multi_head_attention.linear.weight",
        norm0="rms_norm.weight", norm1="rms_norm_1.weight", norm2="rms_norm_2.weight", norm3="rms_norm_3.weight", router="router.weight", expert="moe.{}."),
        dict(embed="transformer.in_out_embed.weight", norm="transformer.rms_norm.weight")),
    "Grok1ModelForCausalLM": ("model.layers.{}.", dict(
        q="attn.q_proj.weight", k="attn.k_proj.weight", v="attn.v_proj.weight", o="attn.o_proj.weight", norm0="pre_attn_norm.scale",
        norm1="post_attn_norm.scale", norm2="pre_moe_norm.scale", norm3="post_moe_norm.scale", router="moe_block.gate.weight", expert="moe_block.experts.{}."),
        dict(embed="model.embed_tokens.weight", norm="model.norm.scale")),
}


def rms(x, w, eps=1e-5):
    return w * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def rotate(x):
    """x: [head][position][size]; the first half of a head turns against the second."""
    n, size = x.shape[-2:]
    angle = torch.outer(torch.arange(n, dtype=torch.float32), 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float32) / size))
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def grok(vocab, architecture, tied, d=64, inner=96, layers=4, heads=4, kv=2, n=4, k=2, embed_scale=4.0, logit_scale=0.5773502691896257, attn_scale=0.2, cap=3.0):
    layer, names, ends = GROK_NAMES[architecture]
    head = d // heads
    config = dict(
        architectures=[architecture], model_type="grok-1", vocab_size=vocab, hidden_size=d, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv, attn_output_multiplier=attn_scale, embedding_multiplier_scale=embed_scale,
        output_multiplier_scale=logit_scale, max_attn_value=cap, max_position_embeddings=256, rms_norm_eps=1e-5, use_cache=True, bos_token_id=1,
        eos_token_id=2, tie_word_embeddings=tied, num_experts_per_tok=k, num_experts=n, output_router_logits=False, router_aux_loss_coef=0.001,
        torch_dtype="float32")
    shapes = {ends["embed"]: [vocab, d], ends["norm"]: [d]} | ({} if tied else {"lm_head.weight": [vocab, d]})
    for i in range(layers):
        for part, shape in dict(q=(d, d), k=(kv * head, d), v=(kv * head, d), o=(d, d), norm0=(d,), norm1=(d,), norm2=(d,), norm3=(d,), router=(n, d)).items():
            shapes[layer.format(i) + names[part]] = list(shape)
        for e in range(n):
            shapes |= matrices(layer.format(i) + names["expert"].format(e), linear=(inner, d), linear_v=(inner, d), linear_1=(d, inner))

    def attention(x, q, k, v, o):
        q, k, v = ((x @ w.T).view(len(x), -1, head).transpose(0, 1) for w in (q, k, v))
        k, v = (part.repeat_interleave(heads // kv, 0) for part in (k, v))
        scores = cap * torch.tanh(rotate(q) @ rotate(k).transpose(1, 2) * attn_scale / cap)
        scores = scores.masked_fill(torch.ones(len(x), len(x)).triu(1).bool(), -torch.inf)
        return (scores.softmax(-1) @ v).transpose(0, 1).reshape(len(x), -1) @ o.T

    def experts(t, prefix, x, router):
        p, which = torch.softmax(x @ router.T, -1).topk(k, -1)
        out = torch.zeros_like(x)
        for row in range(len(x)):
            for weight, e in zip(p[row], which[row].tolist()):
                gate, up, down = (t[prefix.format(e) + f"{part}.weight"] for part in ("linear", "linear_v", "linear_1"))
                out[row] += weight * ((F.gelu(gate @ x[row], approximate="tanh") * (up @ x[row])) @ down.T)
        return out

    def logits(t, ids):
        x = t[ends["embed"]][ids[0]] * embed_scale
        for i in range(layers):
            w = {part: t[layer.format(i) + name] for part, name in names.items() if part != "expert"}
            x = x + rms(attention(rms(x, w["norm0"]), w["q"], w["k"], w["v"], w["o"]), w["norm1"])
            x = x + rms(experts(t, layer.format(i) + names["expert"], rms(x, w["norm2"]), w["router"]), w["norm3"])
        return rms(x, t[ends["norm"]]) @ t[ends["embed"] if tied else "lm_head.weight"].T * logit_scale

    return config, shapes, logits


CASES = {
    "qwen": lambda vocab: qwen(vocab),
    "deepseek": lambda vocab: deepseek(vocab),
    "deepseek-renorm": lambda vocab: deepseek(vocab, renorm=True, kv=2),
    "grok": lambda vocab: grok(vocab, "Grok1ForCausalLM", tied=True),
    "grok-model": lambda vocab: grok(vocab, "Grok1ModelForCausalLM", tied=False),
}
