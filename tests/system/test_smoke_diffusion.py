"""Parts of diffusion pipelines: that no block is gone, and that a text of the width that is said goes in, whatever the blocks are of."""
import pytest

from tests.system.test_smoke_kinds import build, with_one, without
from tests.system.test_smoke_runner import edit_config, read_tensors, smoke, write_tensors
from tests.system.test_smoke_shapes import rejected

FILE = "diffusion_pytorch_model.safetensors"


def changed(where, name, how, **config):
    build(where, name)
    edit_config(where, **config)
    write_tensors(where / FILE, how(read_tensors(where / FILE)))
    return rejected(where)


@pytest.mark.parametrize("name, lost", [
    ("unet", ["down_blocks", "mid_block", "up_blocks", "up_blocks.1.", "up_blocks.0.resnets.1."]),
    ("vae", ["encoder.down_blocks", "encoder.mid_block", "decoder.mid_block", "decoder.up_blocks"]),
    ("flux", ["single_transformer_blocks.0.proj_mlp", "single_transformer_blocks.0.proj_out", "transformer_blocks.0.ff_context", "transformer_blocks.0.attn.to_add_out",
              "transformer_blocks.0.attn.norm_q", "single_transformer_blocks.0.attn.norm_k", "time_text_embed.text_embedder", "norm_out", "proj_out"]),
    ("sd3", ["transformer_blocks.0.ff.", "transformer_blocks.0.attn.add_k_proj", "transformer_blocks.0.norm1_context", "time_text_embed.timestep_embedder", "norm_out"])])
def test_what_is_lost(tmp_path, name, lost):
    where = build(tmp_path / "m", name)
    tensors = read_tensors(where / FILE)
    for part in lost:
        write_tensors(where / FILE, {n: t for n, t in tensors.items() if not n.startswith(part)})
        assert any(f"tensor {part}" in m and "is missing" in m for m in rejected(where)), part


def renamed(old, new):
    return lambda tensors: {n.replace(old, new): t for n, t in tensors.items()}


def no_mid(tensors):
    return without(tensors, "mid_block")


DOWN, MID = ("down_blocks.1.attentions.0", "mid_block.attentions.0")
TEXT = "transformer_blocks.0.attn2"
PLAIN = {"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "mid_block_type": "UNetMidBlock2D"}


def simple(tensors):
    return renamed(TEXT + ".to_k", "add_k_proj")(tensors)


UNETS = {    # how it differs, and whether it may
    "another width": (None, {"cross_attention_dim": 48}, False),
    "another width in a list": (None, {"cross_attention_dim": [24, 48]}, False),
    "a list": (None, {"cross_attention_dim": [48, 24]}, True),
    "no text": (None, {"cross_attention_dim": 48, **PLAIN}, True),
    "no middle, and none meant": (no_mid, {"mid_block_type": None}, True),
    "no middle, where nothing is said": (no_mid, {"mid_block_type": "absent"}, False),
    "K blocks": (lambda t: renamed(TEXT, "attn2")(no_mid(t)), {"down_block_types": ["KDownBlock2D", "KCrossAttnDownBlock2D"], "mid_block_type": None}, True),
    "K blocks of another width": (lambda t: renamed(TEXT, "attn2")(no_mid(t)),
                                  {"down_block_types": ["KDownBlock2D", "KCrossAttnDownBlock2D"], "mid_block_type": None, "cross_attention_dim": 48}, False),
    "simple blocks": (simple, {"down_block_types": ["ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"], "mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, True),
    "a simple middle of another width": (simple, {"down_block_types": ["DownBlock2D"] * 2, "mid_block_type": "UNetMidBlock2DSimpleCrossAttn", "cross_attention_dim": 48}, False),
    "two texts": (renamed("attentions.0.transformer_blocks", "attentions.0.transformers.0.transformer_blocks"), {"dual_cross_attention": True}, True),
    "transformers without layers": (lambda t: {n: v for n, v in t.items() if "transformer_blocks" not in n}, {"transformer_layers_per_block": [1, 0]}, True),
    "layers by transformer": (lambda t: {n: v for n, v in t.items() if DOWN not in n or "transformer_blocks" not in n},
                              {"transformer_layers_per_block": [1, [0, 2]], "mid_block_type": "UNetMidBlock2D"}, True),
}


@pytest.mark.parametrize("what", UNETS)
def test_unets(tmp_path, what):
    how, config, good = UNETS[what]
    messages = changed(tmp_path / "m", "unet", how or (lambda t: t), **config)
    assert bool(messages) != good and (good or any(DOWN in m or "mid_block" in m for m in messages)), messages


def sized(tensors):
    """With what SDXL is told of sizes."""
    for layer, taken in ("linear_1", 80), ("linear_2", 32):
        tensors = with_one(with_one(tensors, f"add_embedding.{layer}.weight", 32, taken), f"add_embedding.{layer}.bias", 32)
    return tensors


def deep(tensors):
    """Two layers in each transformer on the way down and in the middle."""
    return {**tensors, **{n.replace("transformer_blocks.0.", "transformer_blocks.1."): t for n, t in tensors.items() if "transformer_blocks.0." in n}}


SIZES = {"addition_embed_type": "text_time", "projection_class_embeddings_input_dim": 80}


@pytest.mark.parametrize("how, config, lost", [
    (sized, SIZES, None), (None, SIZES, "add_embedding.linear_1.weight"), (sized, {**SIZES, "projection_class_embeddings_input_dim": 96}, "add_embedding.linear_1.weight"),
    (deep, {"transformer_layers_per_block": 2}, None), (deep, {"transformer_layers_per_block": [1, 2]}, None),
    (None, {"transformer_layers_per_block": [1, 2]}, f"{DOWN}.transformer_blocks.1."), (deep, {"transformer_layers_per_block": [3, 2]}, None),
    (deep, {"transformer_layers_per_block": [1, 3]}, f"{MID}.transformer_blocks.2."), (None, {"layers_per_block": 2}, "down_blocks.0.resnets.1."),
    (None, {"layers_per_block": [1, 2]}, "down_blocks.1.resnets.1.")])
def test_what_sdxl_has_more(tmp_path, how, config, lost):
    messages = changed(tmp_path / "m", "unet", how or (lambda t: t), **config)
    assert any(f"tensor {lost}" in m for m in messages) if lost else not messages, messages


def guided(tensors):
    for layer, taken in ("linear_1", 256), ("linear_2", 16):
        tensors = with_one(with_one(tensors, f"time_text_embed.guidance_embedder.{layer}.weight", 16, taken), f"time_text_embed.guidance_embedder.{layer}.bias", 16)
    return tensors


def test_guidance_of_flux(tmp_path):
    assert any("guidance_embedder" in m for m in changed(tmp_path / "without", "flux", lambda t: t, guidance_embeds=True))
    assert not changed(tmp_path / "with", "flux", guided, guidance_embeds=True)


@pytest.mark.parametrize("name, how, named", [
    ("flux", guided, "time_text_embed.guidance_embedder.linear_1.weight"),
    ("flux", lambda t: {**t, **renamed("single_transformer_blocks.0.", "single_transformer_blocks.1.")(t)}, "single_transformer_blocks.1.attn.to_q.weight"),
    ("sd3", lambda t: {**t, **renamed("transformer_blocks.0.", "transformer_blocks.1.")(t)}, "transformer_blocks.1.attn.to_q.weight")])
def test_what_the_configuration_does_not_mean_is_named(tmp_path, name, how, named):
    where = build(tmp_path / "m", name)
    write_tensors(where / FILE, how(read_tensors(where / FILE)))
    done, report = smoke(where)
    assert done.returncode == 5 and [(f["severity"], f["message"].split()[1]) for f in report["findings"] if f["rule"] == "shape.unexpected"] == [("flag", named)], report


def dual(tensors):
    """The first block attends twice, and norms queries and keys."""
    tensors = without(tensors, "norm1.linear")
    tensors = with_one(with_one(tensors, "transformer_blocks.0.norm1.linear.weight", 144, 16), "transformer_blocks.0.norm1.linear.bias", 144)
    for layer in "to_q", "to_k", "to_v", "to_out.0":
        tensors = with_one(with_one(tensors, f"transformer_blocks.0.attn2.{layer}.weight", 16, 16), f"transformer_blocks.0.attn2.{layer}.bias", 16)
    for norm in "attn.norm_q", "attn.norm_k", "attn.norm_added_q", "attn.norm_added_k", "attn2.norm_q", "attn2.norm_k":
        tensors = with_one(tensors, f"transformer_blocks.0.{norm}.weight", 8)
    return tensors


@pytest.mark.parametrize("lost", [None, "attn2.to_q", "attn2.to_out.0", "attn2.norm_k", "attn.norm_q", "attn.norm_added_k"])
def test_blocks_of_sd3_that_attend_twice(tmp_path, lost):
    said = {"dual_attention_layers": [0], "qk_norm": "rms_norm"}
    messages = changed(tmp_path / "m", "sd3", lambda t: {n: v for n, v in dual(t).items() if not lost or f".{lost}." not in n}, **said)
    assert any(f".{lost}." in m for m in messages) if lost else not messages, messages
    if not lost:
        assert any("norm1.linear" in m for m in changed(tmp_path / "n", "sd3", dual, **{**said, "dual_attention_layers": [10, 1]}))


def test_the_last_block_of_sd3_feeds_no_text(tmp_path):
    def two(tensors):
        return {**tensors, **renamed("blocks.0.", "blocks.1.")(tensors)}

    def fed(tensors):
        for name, out, taken in ("attn.to_add_out", 16, 16), ("ff_context.net.0.proj", 64, 16), ("ff_context.net.2", 16, 64):
            tensors = with_one(with_one(tensors, f"transformer_blocks.0.{name}.weight", out, taken), f"transformer_blocks.0.{name}.bias", out)
        return tensors
    assert any("blocks.0.ff_context" in m for m in changed(tmp_path / "bad", "sd3", two, num_layers=2))
    assert not changed(tmp_path / "good", "sd3", lambda t: fed(two(t)), num_layers=2)
