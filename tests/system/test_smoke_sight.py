"""The part of a model that sees images is not run; all of it must be there, as tests/data/sight.json has it from the library."""
import array
import json
import math
import random

import pytest

from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import read_tensors, smoke, write_tensors

MODELS = json.loads((ROOT / "tests/data/sight.json").read_text())


def build(where, name, change=None, **config):
    """A checkpoint of this kind with random numbers; change gets its tensors as {name: shape}."""
    shapes, rnd = dict(MODELS[name]["tensors"]), random.Random(name)
    if change:
        change(shapes)
    where.mkdir()
    write_tensors(where / "model.safetensors", {
        t: ("F32", shape, array.array("f", (rnd.gauss(0, 0.02) for _ in range(math.prod(shape)))).tobytes()) for t, shape in shapes.items()})
    (where / "config.json").write_text(json.dumps({**MODELS[name]["config"], **config}))
    return smoke("--no-run", where)[1]


def is_text(t):
    return t.startswith(("language_model.", "model.language_model.", "model.embed", "model.layers", "model.norm", "lm_head"))


def of_sight(name):
    """Without what may be missing."""
    return [t for t in MODELS[name]["tensors"] if not is_text(t) and ".head." not in t]


def rejects(report):
    return {f["rule"] for f in report["findings"] if f["severity"] == "reject"}


@pytest.mark.parametrize("name", MODELS)
def test_as_the_library_writes_it(tmp_path, name):
    report = build(tmp_path / "m", name)
    assert report["verdict"] == "not_run" and not report["findings"], (report["reasons"], report["findings"])


def test_older_names(tmp_path):
    def rename(shapes):
        for t in [t for t in shapes if t.startswith("vision_tower.")]:
            shapes[t.replace("vision_tower.", "vision_tower.vision_model.")] = shapes.pop(t)
    report = build(tmp_path / "m", "gemma3", rename)
    assert report["verdict"] == "not_run" and not report["findings"], (report["reasons"], report["findings"])


@pytest.mark.parametrize("name", MODELS)
def test_any_tensor_missing(tmp_path, name):
    for i, tensor in enumerate(of_sight(name)):
        report = build(tmp_path / str(i), name, lambda shapes, t=tensor: shapes.pop(t))
        assert report["verdict"] == "fail" and rejects(report) == {"plan.missing"}, tensor


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("layer", [0, 1])
def test_tensor_of_a_layer_cut(tmp_path, name, layer):
    for i, tensor in enumerate(t for t in of_sight(name) if f"layers.{layer}." in t or f"blocks.{layer}." in t):
        def cut(shapes, t=tensor):
            shapes[t] = [shapes[t][0] - 1, *shapes[t][1:]]
        report = build(tmp_path / str(i), name, cut)
        assert report["verdict"] == "fail" and rejects(report) == {"plan.shape"}, tensor


@pytest.mark.parametrize("name", MODELS)
def test_projector_cut(tmp_path, name):
    for i, tensor in enumerate(t for t in MODELS[name]["tensors"] if "projector" in t or "merger" in t):
        def cut(shapes, t=tensor):
            shapes[t] = [shapes[t][0] - 1, *shapes[t][1:]]
        assert rejects(build(tmp_path / str(i), name, cut)) == {"plan.shape"}, tensor


@pytest.mark.parametrize("name", MODELS)
def test_fewer_layers_than_configured(tmp_path, name):
    def drop(shapes):
        for t in [t for t in shapes if ("layers.1." in t or "blocks.1." in t) and not is_text(t)]:
            shapes.pop(t)
    report = build(tmp_path / "m", name, drop)
    assert rejects(report) == {"plan.missing"} and "1 layers, where the configuration says 2" in report["reasons"][0]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("value", [0, -1, 1 << 40, "many", [2], None, {}])
def test_odd_numbers_of_layers(tmp_path, name, value):
    """Hostile input: without a number that can be true, the layers are only held against one another."""
    said = MODELS[name]["config"]["vision_config"]
    config = {**said, "depth" if "depth" in said else "num_hidden_layers": value, "embed_dim" if "embed_dim" in said else "hidden_size": value}
    assert build(tmp_path / "m", name, vision_config=config)["verdict"] == "not_run"


@pytest.mark.parametrize("ending", [".bias", "norm1.bias", "fc1.bias", "qkv.bias", "q_proj.bias"])
@pytest.mark.parametrize("name", MODELS)
def test_a_bias_lost_in_all_layers(tmp_path, name, ending):
    """Of which no layer tells that another one lacks it."""
    lost = [t for t in of_sight(name) if t.endswith(ending) and (".layers." in t or ".blocks." in t)]
    report = build(tmp_path / "m", name, lambda shapes: [shapes.pop(t) for t in lost])
    assert rejects(report) == ({"plan.missing"} if lost else set()), report["findings"]


@pytest.mark.parametrize("said", [True, False])
def test_biases_of_a_projector_that_says_so(tmp_path, said):
    both = {f"multi_modal_projector.linear_{i}.bias": [16] for i in (1, 2)}
    assert not build(tmp_path / "both", "mistral3", lambda shapes: shapes.update(both), multimodal_projector_bias=said)["findings"]
    for lost in both:
        report = build(tmp_path / lost, "mistral3", lambda shapes: shapes.update({t: s for t, s in both.items() if t != lost}), multimodal_projector_bias=said)
        assert rejects(report) == ({"plan.missing"} if said else set()), lost


@pytest.mark.parametrize("indexes", [None, 3, [], [0] * 5000, [0, 1, 1]])
def test_odd_lists_of_layers_that_join(tmp_path, indexes):
    said = {**MODELS["qwen3-vl"]["config"]["vision_config"], "deepstack_visual_indexes": indexes}
    assert rejects(build(tmp_path / "m", "qwen3-vl", vision_config=said)) == ({"plan.missing"} if indexes == [0, 1, 1] else set())


def test_a_name_that_fits_nothing(tmp_path):
    report = build(tmp_path / "m", "mistral3", lambda shapes: shapes.update({"vision_tower.junk": [3, 3]}))
    assert [f["rule"] for f in report["findings"]] == ["plan.unexpected"] and report["verdict"] == "not_run"


def test_another_model_of_text_inside_is_not_run(tmp_path):
    config = {**MODELS["mistral3"]["config"]["text_config"], "model_type": "mamba"}
    report = build(tmp_path / "m", "mistral3", text_config=config)
    assert report["verdict"] == "not_run" and "mamba" in report["reasons"][0]


EXPERTS = "language_model.model.layers.0.feed_forward.experts."


def one_by_one(shapes):
    """As programs that pack them write the experts of Llama 4."""
    n, d, ff = shapes.pop(EXPERTS + "gate_up_proj")
    shapes.pop(EXPERTS + "down_proj")
    for e in range(n):
        shapes.update({f"{EXPERTS}{e}.gate_proj.weight": [ff // 2, d], f"{EXPERTS}{e}.up_proj.weight": [ff // 2, d], f"{EXPERTS}{e}.down_proj.weight": [d, ff // 2]})


def test_experts_one_by_one(tmp_path):
    report = build(tmp_path / "m", "llama4", one_by_one)
    assert report["verdict"] == "not_run" and not report["findings"], (report["reasons"], report["findings"])


@pytest.mark.parametrize("form, part", [(one_by_one, "1.down_proj.weight"), (one_by_one, "1.up_proj.weight"), (None, "gate_up_proj"), (None, "down_proj")])
def test_expert_missing(tmp_path, form, part):
    def change(shapes):
        if form:
            form(shapes)
        shapes.pop(EXPERTS + part)
    report = build(tmp_path / "m", "llama4", change)
    assert [f["message"] for f in report["findings"]] == [f"tensor {EXPERTS}{part} is missing"], report["findings"]


@pytest.mark.parametrize("said, scale, verdict, words", [
    (True, "_scale", "not_run", "packs all experts of a layer"), (True, "_weight_scale", "not_run", "packs all experts of a layer"),
    (True, None, "fail", "without a scale"), (False, "_scale", "fail", "no quantization_config")])
def test_experts_packed_in_one_tensor(tmp_path, said, scale, verdict, words):
    left = ["language_model.model.layers.0.self_attn", "vision_model", "multi_modal_projector"]
    config = {"quantization_config": {"quant_method": "fbgemm_fp8", "modules_to_not_convert": left}} if said else {}
    build(tmp_path / "m", "llama4", **config)
    tensors = read_tensors(tmp_path / "m/model.safetensors")
    for name in (EXPERTS + "gate_up_proj", EXPERTS + "down_proj"):
        _, shape, raw = tensors[name]
        tensors[name] = "F8_E4M3", shape, bytes(b % 64 for b in raw[::4])
        if scale:
            tensors[name + scale] = "F32", [shape[0], 1, shape[2]], array.array("f", [0.01] * shape[0] * shape[2]).tobytes()
    write_tensors(tmp_path / "m/model.safetensors", tensors)
    report = smoke("--no-run", tmp_path / "m")[1]
    assert report["verdict"] == verdict and words in report["reasons"][0], report["reasons"]


def test_experts_of_four_bits_in_one_tensor(tmp_path):
    """As ModelOpt packs NVFP4: pairs of codes along the inputs, a scale for sixteen of them and one for all."""
    build(tmp_path / "m", "llama4", quantization_config={"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["*self_attn*"]})
    tensors = read_tensors(tmp_path / "m/model.safetensors")
    for name in (EXPERTS + "gate_up_proj", EXPERTS + "down_proj"):
        _, (n, inputs, outputs), raw = tensors[name]
        tensors[name] = "U8", [n, inputs // 2, outputs], raw[:n * inputs // 2 * outputs]
        groups = max(inputs // 16, 1)
        tensors[name + "_weight_scale"] = "F8_E4M3", [n, groups, outputs], bytes([56]) * (n * groups * outputs)
        tensors[name + "_weight_scale_2"] = tensors[name + "_input_scale"] = "F32", [], array.array("f", [1]).tobytes()
    write_tensors(tmp_path / "m/model.safetensors", tensors)
    report = smoke("--no-run", tmp_path / "m")[1]
    assert report["verdict"] == "not_run" and "packs all experts of a layer" in report["reasons"][0], report["reasons"]
