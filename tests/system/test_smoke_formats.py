"""Forms in which programs store a checkpoint, and what they leave beside it: whole ones pass, and what is lacking or too much is named."""
import array
import json
import shutil
import struct
import zipfile

import pytest

from tests.system import gguf_file
from tests.system.conftest import ROOT
from tests.system.mutate import Model
from tests.system.packed_forms import findings, add, f32, matrix
from tests.system.test_smoke_daemon import consolidated
from tests.system.test_smoke_runner import copy, read_tensors, smoke, stories, write_tensors

TINY = ROOT / "tests/models/tiny-story"
__all__ = ["stories"]       # a fixture


@pytest.mark.parametrize("path", ["original/consolidated.00.pth", "consolidated.00.pth", "consolidated.00.pt"])
def test_pickles_are_no_artefact(tmp_path, path):
    where = shutil.copytree(TINY, tmp_path / "m")
    (where / path).parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(where / path, "w") as z:
        z.writestr("archive/data.pkl", b"\x80\x02}.")
    done, report = smoke(where)
    assert done.returncode == 0 and "artefacts" not in report, report["reasons"]


def test_a_bias_beside_a_plain_weight_has_no_place(tmp_path):
    where = shutil.copytree(TINY, tmp_path / "m")
    rows = read_tensors(where / "model.safetensors")["model.layers.0.self_attn.o_proj.weight"][1][0]
    add(where, **{"model.layers.0.self_attn.o_proj.bias": f32(*[0.0] * rows)})
    done, report = smoke(where)
    assert done.returncode == 6 and "o_proj.bias has no place" in " ".join(report["reasons"])


# ---- text and images ----------------------------------------------------------------------------------------------------

LAYER = "vision_tower.transformer.layers.0."


TOWER = {"vision_tower.patch_conv.weight": matrix(8, 48), "vision_tower.ln_pre.weight": f32(*[1.0] * 8),
         **{f"{LAYER}{norm}.weight": f32(*[1.0] * 8) for norm in ("attention_norm", "ffn_norm")},
         **{f"{LAYER}attention.{x}_proj.weight": matrix(8, 8) for x in "qkvo"},
         **{f"{LAYER}feed_forward.{x}_proj.weight": matrix(8, 8) for x in ("gate", "up", "down")}}


PROJECTOR = {"multi_modal_projector.linear_1.weight": matrix(64, 8), "multi_modal_projector.linear_2.weight": matrix(64, 64),
             "multi_modal_projector.norm.weight": f32(*[1.0] * 8), "multi_modal_projector.patch_merger.merging_layer.weight": matrix(8, 32)}


NATIVE = {"vision_encoder.patch_conv.weight": matrix(8, 48), "vision_encoder.transformer.layers.0.attention.wq.weight": matrix(8, 8),
          "vision_language_adapter.w_in.weight": matrix(64, 8), "patch_merger.merging_layer.weight": matrix(8, 32), "pre_mm_projector_norm.weight": f32(*[1.0] * 8)}


def sees(stories, tmp_path, **parts):
    """The trained model of text as the inner one of a Mistral-3 that also sees."""
    where = copy(stories, tmp_path)
    config = json.loads((where / "config.json").read_text())
    keep = {k: v for k, v in config.items() if k not in ("architectures", "model_type", "transformers_version")}
    (where / "config.json").write_text(json.dumps({
        "architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3", "tie_word_embeddings": True,
        "text_config": {**keep, "model_type": "mistral", "sliding_window": None}, "vision_config": {"model_type": "pixtral", "hidden_size": 8}}))
    text = {"language_model." + name: t for name, t in read_tensors(where / "model.safetensors").items()}
    write_tensors(where / "model.safetensors", {**text, **parts})
    return where


def test_a_model_that_sees(stories, tmp_path):
    done, report = smoke(sees(stories, tmp_path, **TOWER, **PROJECTOR))
    assert done.returncode == 0 and not findings(report, "reject"), report["reasons"]


@pytest.mark.parametrize("parts, words", [({}, "no tensor of it"), (PROJECTOR, "no tensor of it"), (TOWER, "no tensor that joins it to the text")])
def test_a_part_that_is_declared_must_be_there(stories, tmp_path, parts, words):
    done, report = smoke(sees(stories, tmp_path, **parts))
    assert done.returncode == 6 and words in " ".join(report["reasons"])
    assert "plan.missing" in dict(findings(report, "reject"))


@pytest.mark.parametrize("name", ["vision_tower.x", "multi_modal_projector.linear_1.weight", "model.layers.2.attn.bias", "rope_freqs.weight", "visual.x"])
def test_a_part_that_is_not_declared_has_no_place(tmp_path, name):
    where = shutil.copytree(TINY, tmp_path / "m")
    add(where, **{name: matrix(4, 4)})
    done, report = smoke(where)
    assert done.returncode == 6 and f"{name} has no place" in " ".join(report["reasons"])


def test_the_authors_own_file_of_a_model_that_sees(stories, tmp_path):
    where = sees(stories, tmp_path, **TOWER, **PROJECTOR)
    own = consolidated(read_tensors(stories / "hf-f32/model.safetensors"), 8, 4)
    write_tensors(where / "consolidated.safetensors", {**own, **NATIVE})
    (where / "params.json").write_text(json.dumps({"dim": 64, "vision_encoder": {"hidden_size": 8}}))
    done, report = smoke(where)
    assert done.returncode == 0, report["reasons"]
    assert report["artefacts"][1]["compared"] == ["agrees with model.safetensors"]
    write_tensors(where / "consolidated.safetensors", own)
    done, report = smoke(where)
    assert done.returncode == 6 and "no tensor of it" in " ".join(report["reasons"])
    assert [a["verdict"] for a in report["artefacts"]] == ["pass", "fail"]


# ---- what a family's GGUF always has ------------------------------------------------------------------------------------

ALWAYS = {
    "qwen2": ["attn_q.bias", "attn_k.bias", "attn_v.bias"], "qwen2moe": ["attn_q.bias", "attn_k.bias", "attn_v.bias"], "qwen1": ["attn_qkv.bias"],
    "gpt2": ["attn_qkv.bias", "attn_output.bias", "attn_norm.bias", "ffn_norm.bias", "ffn_up.bias", "ffn_down.bias"],
    "starcoder": ["attn_qkv.bias", "attn_output.bias", "ffn_norm.bias", "ffn_down.bias"],
    "starcoder2": ["attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "attn_norm.bias", "ffn_norm.bias", "ffn_up.bias", "ffn_down.bias"],
    "phi2-parallel": ["attn_qkv.bias", "attn_output.bias", "attn_norm.bias", "ffn_up.bias", "ffn_down.bias", "output.bias", "output_norm.bias"],
    "bloom": ["attn_qkv.bias", "attn_norm.bias", "ffn_norm.bias", "ffn_up.bias", "ffn_down.bias", "token_embd_norm.bias"],
    "phimoe": ["attn_q.bias", "attn_output.bias", "attn_norm.bias", "output.bias"], "deepseek2-v3": ["exp_probs_b.bias"],
}


@pytest.mark.parametrize("arch, part", [(arch, part) for arch, parts in ALWAYS.items() for part in parts])
@pytest.mark.parametrize("everywhere", [False, True])
def test_gguf_without_what_its_family_has(shared, tmp_path, arch, part, everywhere):
    keys, tensors = gguf_file.read(shared / f"data/models/archs/{arch}.gguf")
    names = [n for n in tensors if n == part or n.endswith("." + part)]
    gone = set(names if everywhere else names[-1:])
    gguf_file.write(tmp_path / "whole.gguf", keys, tensors)
    gguf_file.write(tmp_path / "m.gguf", keys, {n: t for n, t in tensors.items() if n not in gone})
    assert not any("is missing" in r for r in smoke("--tokens", 16, tmp_path / "whole.gguf")[1]["reasons"])
    done, report = smoke("--tokens", 16, tmp_path / "m.gguf")
    assert done.returncode == 6 and any(rule == "plan.missing" and names[0 if everywhere else -1] in m for rule, m in findings(report, "reject")), report["reasons"]


def test_optional_biases_of_a_gguf_are_in_all_layers_or_in_none(stories, tmp_path):
    keys, tensors = gguf_file.read(stories / "gguf/stories260K-F32.gguf")
    zeros = {f"blk.{i}.attn_q.bias": ((64,), 0, bytes(256)) for i in range(5)}
    gguf_file.write(tmp_path / "m.gguf", keys, {**tensors, **zeros})
    assert smoke(tmp_path / "m.gguf")[0].returncode == 0
    zeros.pop("blk.3.attn_q.bias")
    gguf_file.write(tmp_path / "m.gguf", keys, {**tensors, **zeros})
    done, report = smoke(tmp_path / "m.gguf")
    assert done.returncode == 6 and "blk.3.attn_q.bias is missing" in " ".join(report["reasons"])


def test_outermost_dimensions_of_one_in_a_gguf_are_fine(stories, tmp_path):
    keys, tensors = gguf_file.read(stories / "gguf/stories260K-F32.gguf")
    want = smoke(stories / "gguf/stories260K-F32.gguf")[1]
    gguf_file.write(tmp_path / "m.gguf", keys, {n: ((*dims, 1), kind, raw) for n, (dims, kind, raw) in tensors.items()})
    done, report = smoke(tmp_path / "m.gguf")
    assert done.returncode == 0 and report["fingerprint"] == want["fingerprint"], report["reasons"]
    gguf_file.write(tmp_path / "m.gguf", keys, {n: ((1, *dims) if "norm" in n else dims, kind, raw) for n, (dims, kind, raw) in tensors.items()})
    done, report = smoke(tmp_path / "m.gguf")
    assert done.returncode == 6 and "has the shape [64, 1], expected [64]" in " ".join(report["reasons"])


@pytest.mark.parametrize("folder", ["", "gguf/", "gguf/f16/"])
@pytest.mark.parametrize("good", [True, False])
def test_ggufs_in_folders_are_held_against_the_model_above(stories, tmp_path, folder, good):
    where = copy(stories, tmp_path)
    keys, tensors = gguf_file.read(stories / "gguf/stories260K-F16.gguf")
    dims, kind, raw = tensors["blk.1.attn_q.weight"]
    if not good:
        q = array.array("H", raw)
        tensors["blk.1.attn_q.weight"] = dims, kind, array.array("H", (q[j * 64 + i] for i in range(64) for j in range(64))).tobytes()
    (where / folder).mkdir(parents=True, exist_ok=True)
    gguf_file.write(where / f"{folder}m-F16.gguf", keys, tensors)
    done, report = smoke(where)
    assert done.returncode == (0 if good else 6), report["reasons"]
    assert report["artefacts"][1]["compared"] == [f"{'agrees with' if good else 'differs from'} model.safetensors"]


def test_another_model_in_a_folder_below_may_be_another(stories, tmp_path):
    """Checkpoints of a training, say: of one size, and not the same."""
    where = copy(stories, tmp_path)
    shutil.copytree(stories / "hf-f32", where / "step-100")
    (where / "step-100/model.safetensors").unlink()
    other = Model(stories / "hf-f32")
    other.tensors["model.norm.weight"] = [64], array.array("f", [v * 1.2 for v in other.values("model.norm.weight")])
    other.write(tmp_path / "other")
    shutil.copy(tmp_path / "other/model.safetensors", where / "step-100/model.safetensors")
    done, report = smoke(where)
    assert done.returncode == 0 and all("compared" not in a for a in report["artefacts"])


# ---- forms that are newer than most files -------------------------------------------------------------------------------

def test_a_ggufs_type_that_we_can_not_decode_is_not_run(stories, tmp_path):
    keys, tensors = gguf_file.read(stories / "gguf/wide-Q8_0.gguf")
    dims, _, _ = tensors["blk.1.ffn_up.weight"]
    tensors["blk.1.ffn_up.weight"] = dims, 41, bytes(dims[0] * dims[1] // 128 * 18)
    gguf_file.write(tmp_path / "m.gguf", keys, tensors)
    done, report = smoke(tmp_path / "m.gguf")
    assert done.returncode == 5 and "type Q1_0" in report["reasons"][0] and not findings(report, "reject"), report["reasons"]


def test_a_gguf_of_llama_rotates_whole_heads(stories, tmp_path):
    (n, raw), tensors = gguf_file.read(stories / "gguf/stories260K-F32.gguf")
    at = raw.index(b"llama.rope.dimension_count") + len(b"llama.rope.dimension_count") + 4
    gguf_file.write(tmp_path / "m.gguf", (n, raw[:at] + struct.pack("<I", 4) + raw[at + 4:]), tensors)
    done, report = smoke(tmp_path / "m.gguf")
    assert done.returncode == 6 and "rope.dimension_count is 4, where heads have 8 elements" in report["reasons"][0], report["reasons"]


def with_keys(keys, **more):
    """More key-values of the family llama: strings and F32."""
    n, raw = keys
    for key, value in more.items():
        name = ("llama.rope.scaling." + key).encode()
        text = struct.pack("<IQ", 8, len(value)) + value.encode() if isinstance(value, str) else struct.pack("<If", 6, value)
        raw += struct.pack("<Q", len(name)) + name + text
    return n + len(more), raw


def test_yarn_as_todays_converters_write_it(stories, tmp_path):
    keys, tensors = gguf_file.read(stories / "gguf/stories260K-F32.gguf")
    yarn = {"type": "yarn", "factor": 2.0, "original_context_length": 64.0}

    def loss(**more):
        gguf_file.write(tmp_path / "m.gguf", with_keys(keys, **yarn, **more), tensors)
        report = smoke(tmp_path / "m.gguf")[1]
        return report["loss_nats_per_token"] if report["verdict"] != "not_run" else report["reasons"][0]
    plain = loss()
    assert loss(yarn_beta_fast=32.0, yarn_beta_slow=1.0, yarn_ext_factor=1.0, yarn_attn_factor=1.0) == plain
    assert abs(loss(yarn_beta_fast=4.0, yarn_beta_slow=2.0) - plain) > 1e-6
    assert "yarn_attn_factor is 0.5" in loss(yarn_attn_factor=0.5) and "yarn_ext_factor is 0" in loss(yarn_ext_factor=0.0)


@pytest.mark.parametrize("architecture, split, fused", [
    ("Qwen3MoeForCausalLM", "mlp.experts.{}.{}_proj.weight", "mlp"), ("MixtralForCausalLM", "block_sparse_moe.experts.{}.{}.weight", "mlp")])
def test_experts_in_one_tensor(stories, tmp_path, architecture, split, fused):
    """transformers 5 keeps the experts of a layer in two tensors, and may write them so: the same model."""
    where = copy(stories, tmp_path)
    config = json.loads((where / "config.json").read_text())
    config.update(architectures=[architecture], num_experts=2, num_local_experts=2, num_experts_per_tok=2, moe_intermediate_size=config["intermediate_size"],
                  head_dim=config["hidden_size"] // config["num_attention_heads"])
    (where / "config.json").write_text(json.dumps(config))
    apart, together, gate = {}, {}, "mlp.gate" if "Qwen" in architecture else "block_sparse_moe.gate"
    words = {"gate": "gate", "up": "up", "down": "down"} if "Qwen" in architecture else {"gate": "w1", "up": "w3", "down": "w2"}
    for name, (dtype, shape, raw) in read_tensors(where / "model.safetensors").items():
        layer, _, part = name.partition(".mlp.")
        if not part:
            apart[name] = together[name] = dtype, shape, raw
            continue
        for i in range(2):
            apart[f"{layer}.{split.format(i, words[part.split('_')[0]])}"] = dtype, shape, raw
    layers = {name.partition(".mlp.")[0] for name in read_tensors(where / "model.safetensors") if ".mlp." in name}
    for layer in layers:
        part = {w: apart[f"{layer}.{split.format(0, words[w])}"] for w in words}
        apart[f"{layer}.{gate}.weight"] = together[f"{layer}.mlp.gate.weight"] = matrix(2, config["hidden_size"])
        ff, d = part["up"][1]
        together[f"{layer}.{fused}.experts.gate_up_proj"] = part["up"][0], [2, 2 * ff, d], 2 * (part["gate"][2] + part["up"][2])
        together[f"{layer}.{fused}.experts.down_proj"] = part["down"][0], [2, d, ff], 2 * part["down"][2]
        if "Qwen" in architecture:
            for norm in ("q_norm", "k_norm"):
                apart[f"{layer}.self_attn.{norm}.weight"] = together[f"{layer}.self_attn.{norm}.weight"] = f32(*[1.0] * config["head_dim"])
    losses = []
    for tensors in (apart, together):
        write_tensors(where / "model.safetensors", tensors)
        report = smoke(where)[1]
        assert not findings(report, "reject"), report["reasons"]
        losses.append(report["loss_nats_per_token"])
    assert losses[0] == losses[1] and losses[0]


def test_experts_of_llama4_one_by_one(stories, tmp_path):
    """As it is published they are in one tensor, columns first; programs that pack them take them apart."""
    where = copy(stories, tmp_path)
    config = json.loads((where / "config.json").read_text())
    config.update(architectures=["Llama4ForCausalLM"], num_local_experts=2, num_experts_per_tok=1, interleave_moe_layer_step=1, use_qk_norm=False,
                  intermediate_size_mlp=config["intermediate_size"], head_dim=config["hidden_size"] // config["num_attention_heads"])
    (where / "config.json").write_text(json.dumps(config))
    apart, together = {}, {}
    model = Model(stories / "hf-f32").tensors
    for name, (dtype, shape, raw) in read_tensors(where / "model.safetensors").items():
        layer, _, part = name.partition(".mlp.")
        if not part:
            apart[name] = together[name] = dtype, shape, raw
            continue
        layer += ".feed_forward"
        apart[f"{layer}.shared_expert.{part}"] = together[f"{layer}.shared_expert.{part}"] = dtype, shape, raw
        apart[f"{layer}.router.weight"] = together[f"{layer}.router.weight"] = matrix(2, config["hidden_size"])
        apart.update({f"{layer}.experts.{i}.{part}": (dtype, shape, raw) for i in range(2)})
        if part == "gate_proj.weight":
            (ff, d), gate = model[name]
            up = model[name.replace("gate_proj", "up_proj")][1]
            columns = [v[j * d + i] for i in range(d) for v in (gate, up) for j in range(ff)]
            together[f"{layer}.experts.gate_up_proj"] = "F32", [2, d, 2 * ff], 2 * array.array("f", columns).tobytes()
        elif part == "down_proj.weight":
            (d, ff), down = model[name]
            together[f"{layer}.experts.down_proj"] = "F32", [2, ff, d], 2 * array.array("f", (down[j * ff + i] for i in range(ff) for j in range(d))).tobytes()
    losses = []
    for tensors in (together, apart):
        write_tensors(where / "model.safetensors", tensors)
        report = smoke(where)[1]
        assert not [f for f in findings(report, "reject") if f["rule"].startswith("plan.")], report["reasons"]
        losses.append(report["loss_nats_per_token"])
    assert losses[0] and losses[0] == pytest.approx(losses[1], abs=1e-6)


@pytest.mark.parametrize("kind", ["longrope", "yarn"])
def test_longrope_by_the_length_of_the_text(stories, tmp_path, kind):
    """Its long table is for texts longer than the original context. Old Phi-3s call it yarn."""
    where = copy(stories, tmp_path)
    plain = smoke("--tokens", 64, where)[1]["loss_nats_per_token"]
    config = json.loads((where / "config.json").read_text())
    n = config["hidden_size"] // config["num_attention_heads"] // 2
    config.update(original_max_position_embeddings=64, rope_scaling={"type": kind, "short_factor": [1.0] * n, "long_factor": [8.0] * n, "attention_factor": 1.0})
    (where / "config.json").write_text(json.dumps(config))
    assert smoke("--tokens", 64, where)[1]["loss_nats_per_token"] == plain
    assert abs(smoke("--tokens", 65, where)[1]["loss_nats_per_token"] - plain) > 0.1


def test_windows_begin_behind_the_layers_that_the_class_has_without(stories, tmp_path):
    where = copy(stories, tmp_path)
    config = json.loads((where / "config.json").read_text())
    size = config["hidden_size"] // config["num_attention_heads"]
    config.update(architectures=["Qwen3ForCausalLM"], head_dim=size, sliding_window=8)
    add(where, **{f"model.layers.{i}.self_attn.{norm}.weight": f32(*[1.0] * size) for i in range(config["num_hidden_layers"]) for norm in ("q_norm", "k_norm")})
    losses = []
    for more in ({}, {"use_sliding_window": True}, {"use_sliding_window": True, "max_window_layers": 0}):
        (where / "config.json").write_text(json.dumps({**config, **more}))
        losses.append(smoke(where)[1]["loss_nats_per_token"])
    assert losses[0] == losses[1] != losses[2]


# ---- zeros --------------------------------------------------------------------------------------------------------------

def test_types_that_round_more_to_zero_have_no_holes(stories, tmp_path):
    """One layer's matrix in a type of few bits among others in one of many."""
    keys, tensors = gguf_file.read(stories / "gguf/wide-Q8_0.gguf")
    coarse = gguf_file.read(stories / "gguf/wide-Q4_0.gguf")[1]
    name = "blk.1.attn_output.weight"
    gguf_file.write(tmp_path / "m.gguf", keys, {**tensors, name: coarse[name]})
    done, report = smoke(tmp_path / "m.gguf")
    assert done.returncode == 0 and not report["findings"], report["reasons"]


@pytest.mark.parametrize("share, severity", [(0.03, None), (0.08, "flag"), (0.3, "reject")])
def test_zeros_at_the_end_of_a_matrix(stories, tmp_path, share, severity):
    where = copy(stories, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    name = "model.layers.2.mlp.up_proj.weight"
    dtype, shape, raw = tensors[name]
    n = int(len(raw) * share) // 4 * 4
    tensors[name] = dtype, shape, raw[:len(raw) - n] + bytes(n)
    write_tensors(where / "model.safetensors", tensors)
    found = [f["severity"] for f in smoke(where)[1]["findings"] if f["rule"] == "stats.holes"]
    assert found == ([severity] if severity else [])
