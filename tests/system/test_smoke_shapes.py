"""What keys of a configuration decide about the shapes of a checkpoint that is not run, and what they can't be."""
import json

import pytest

from tests.system.registry import Registry
from tests.system.test_smoke_daemon import bring
from tests.system.test_smoke_kinds import KINDS, build, some_matrix, with_one, without
from tests.system.test_smoke_runner import read_tensors, smoke, write_tensors


def rejected(where):
    done, report = smoke(where)
    assert done.returncode in (5, 6), report
    return [f["message"] for f in report["findings"] if f["severity"] == "reject"]


# ---- heads --------------------------------------------------------------------------------------------------------------

HEADS = {    # the key, and what no class takes: the widths are 24; of the lists' first stages 8
    **dict.fromkeys(["bert", "xlm-roberta-reranker", "electra", "mpnet", "deberta-v2", "modernbert", "albert", "esm", "vit", "deit", "beit", "dinov2", "dinov2-gated",
                     "dinov3", "vit-mae", "spectrogram", "wav2vec2-ctc", "hubert", "wavlm", "unispeech-sat", "clip-text"], "num_attention_heads"),
    **dict.fromkeys(["bart", "mbart", "pegasus", "marian", "m2m100", "blenderbot", "blenderbot-small", "whisper", "detr"], "encoder_attention_heads"),
    "bart-zero-shot": "decoder_attention_heads", "distilbert": "n_heads", "swin": "num_heads", "swinv2": "num_heads", "segformer": "num_attention_heads",
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_that_share_no_width(tmp_path, name):
    key, said = HEADS[name], KINDS[name]["config"]
    where = build(tmp_path / "m", name)
    for heads in 5, 0, 48:
        value = [*said[key][:-1], heads] if isinstance(said[key], list) else heads
        (where / "config.json").write_text(json.dumps({**said, key: value}))
        assert any(f"its {key}" in m and f"is {heads}, and a width of" in m for m in rejected(where)), heads


@pytest.mark.parametrize("name, part", [("clip", "text_config"), ("clip", "vision_config"), ("siglip", "text_config"), ("siglip", "vision_config")])
def test_heads_of_a_part(tmp_path, name, part):
    where = build(tmp_path / "m", name, **{part: {**KINDS[name]["config"][part], "num_attention_heads": 7}})
    assert any("num_attention_heads is 7" in m for m in rejected(where))


@pytest.mark.parametrize("name", ["bert", "electra", "bart", "vit"])
def test_heads_that_nothing_is_said_of(tmp_path, name):
    """The class has a number of its own."""
    assert not rejected(build(tmp_path / "m", name, **{HEADS.get(name, "num_attention_heads"): None}))


# ---- what no configuration speaks of ------------------------------------------------------------------------------------

def halves(prefix, down, up, *others):
    return {f"{prefix}{i}{end}": shape for i in range(2) for end, shape in [(down, (4, 8)), (up, (8, 4)), *[(o, (1,)) for o in others]]}


DRAWN = {"model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3), "first_stage_model.encoder.conv_in.weight": (8, 3, 3, 3)}
TEXT = {"cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (9, 8)}
BY_TENSORS = {
    "Kohya's": (halves("lora_unet_down_blocks_", ".lora_down.weight", ".lora_up.weight", ".alpha"), "adapter"),
    "Kohya's LoHa": ({"lora_unet_mid.hada_w1_a": (8, 4), "lora_te_text.hada_w1_b": (4, 8)}, "adapter"),
    "diffusers'": (halves("unet.down_blocks.", ".lora_A.weight", ".lora_B.weight"), "adapter"),
    "diffusers' of old": (halves("unet.processor.", "to_q_lora.down.weight", "to_q_lora.up.weight"), "adapter"),
    "one half of pairs": (halves("a.", ".lora_A.weight", ".lora_A.weight"), None),
    "a pair among others": ({**halves("a.", ".lora_A.weight", ".lora_B.weight"), "head.weight": (8, 8)}, None),
    "Stable Diffusion": ({**DRAWN, **TEXT}, "text-to-image"),
    "Stable Diffusion XL": ({**DRAWN, "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (9, 8)}, "text-to-image"),
    "one that fills in": ({**DRAWN, **TEXT, "model.diffusion_model.input_blocks.0.0.weight": (8, 9, 3, 3)}, None),
    "its network alone": (DRAWN, None),
    "anything": ({"a.weight": (8, 8)}, None),
}


@pytest.mark.parametrize("what", BY_TENSORS)
def test_task_by_tensors(tmp_path, what):
    """Names that programs for one thing alone write tell it; a file among others speaks for itself."""
    shapes, task = BY_TENSORS[what]
    tensors = {}
    for name, shape in shapes.items():
        tensors = with_one(tensors, name, *shape)
    write_tensors(tmp_path / "some_v1.safetensors", tensors)
    done, report = smoke(tmp_path)
    assert done.returncode == 5 and report["reasons"][0] == (f"not run: task {task}" if task else "not run: config.json does not exist") and report["structure"] == "pass"


def test_policy_by_task_of_tensors(tmp_path):
    """Of a card without a task; where files are of several, none is the repository's."""
    with Registry(tmp_path / "reg", policy="smoke: {for: [{task: adapter, require: inspect}]}\n") as reg:
        tensors = {}
        for name, shape in BY_TENSORS["Kohya's"][0].items():
            tensors = with_one(tensors, name, *shape)
        (tmp_path / "m").mkdir()
        write_tensors(tmp_path / "m/one.safetensors", tensors)
        assert bring(reg, tmp_path / "m", "org/lora", task=None)["state"] == "published"
        write_tensors(tmp_path / "m/two.safetensors", with_one({}, "a.weight", 8, 8))
        assert bring(reg, tmp_path / "m", "org/several", task=None, code=5)["state"] == "held"


# ---- positions ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, rows", [("bart", 34), ("mbart", 34), ("pegasus", 32), ("marian", 32), ("blenderbot", 32), ("blenderbot-small", 32)])
def test_positions_that_are_stored(tmp_path, name, rows):
    """Learned ones, and sines that a file may leave out: as many as its configuration says, and what the class adds."""
    where = build(tmp_path / "m", name)
    tensors = without(read_tensors(where / "model.safetensors"), "embed_positions")
    for n in rows, rows + 1:
        both = with_one(with_one(tensors, "model.encoder.embed_positions.weight", n, 24), "model.decoder.embed_positions.weight", rows, 24)
        write_tensors(where / "model.safetensors", both)
        assert [f"embed_positions.weight has the shape [{n}, 24]" in m for m in rejected(where)] == [True] * (n != rows), n


# ---- what only training asks for ----------------------------------------------------------------------------------------

def test_labels_that_nothing_has_asked_for(tmp_path):
    """UniSpeechSat's are zeros as its class makes them."""
    where = build(tmp_path / "m", "unispeech-sat-pretraining")
    tensors = read_tensors(where / "model.safetensors")
    dtype, shape, raw = tensors["label_embeddings_concat"]
    tensors["label_embeddings_concat"] = dtype, shape, bytes(len(raw))
    write_tensors(where / "model.safetensors", tensors)
    assert not rejected(where)
    tensors[some_matrix("unispeech-sat-pretraining")] = "F32", [1, 1], bytes(4)
    write_tensors(where / "model.safetensors", tensors)
    assert rejected(where)


# ---- the time of a diffusion model ----------------------------------------------------------------------------------------

def timed(where, config, width, taken, features, condition=None):
    """A UNet whose time comes in so: its first block has 8 channels."""
    build(where, "unet", **config)
    tensors = without(read_tensors(where / "diffusion_pytorch_model.safetensors"), "time_embedding")
    shapes = {"time_embedding.linear_1.weight": (width, taken), "time_embedding.linear_1.bias": (width,), "time_embedding.linear_2.weight": (width, width),
              "time_embedding.linear_2.bias": (width,)}
    if features:
        shapes["time_proj.weight"] = features,
    if condition:
        shapes["time_embedding.cond_proj.weight"] = taken, condition
    for name, shape in shapes.items():
        tensors = with_one(tensors, name, *shape)
    write_tensors(where / "diffusion_pytorch_model.safetensors", tensors)
    return rejected(where)


@pytest.mark.parametrize("config, right", [
    ({}, (32, 8, None)), ({"time_embedding_dim": 48}, (48, 8, None)), ({"time_embedding_type": "fourier"}, (16, 16, 8)),
    ({"time_embedding_type": "fourier", "time_embedding_dim": 48}, (48, 48, 24)),     # as stabilityai/sd-x2-latent-upscaler
    ({"time_cond_proj_dim": 12}, (32, 8, None, 12)), ({"time_embedding_type": "fourier", "time_cond_proj_dim": 12}, (16, 16, 8, 12))])
def test_time_of_a_unet(tmp_path, config, right):
    assert not timed(tmp_path / "m", config, *right)
    assert any("time_" in m for m in timed(tmp_path / "width", config, right[0] + 2, *right[1:]))
    assert any("time_" in m for m in timed(tmp_path / "taken", config, right[0], right[1] + 2, *right[2:]))
    if len(right) > 3:
        assert any("cond_proj.weight" in m for m in timed(tmp_path / "condition", config, *right[:3], right[3] + 1))
    if right[2]:
        assert any("time_proj.weight is missing" in m for m in timed(tmp_path / "features", config, *right[:2], None))


def test_channels_that_come_out_as_they_go_in(tmp_path):
    """SD3's, where nothing else is said."""
    assert not rejected(build(tmp_path / "m", "sd3", out_channels=None))
