"""Low-rank adapters: pairs that fit, ranks as said, targets that are met, layers that were lost."""
import array
import json
import math
import random

import pytest

from tests.system.test_smoke_kinds import KINDS, build, change
from tests.system.test_smoke_runner import read_tensors, smoke, write_tensors


def test_adapter(tmp_path):
    done, report = smoke(build(tmp_path / "m", "lora"))
    assert done.returncode == 5 and report["reasons"][0] == "not run: task adapter" and not report["findings"]


@pytest.mark.parametrize("config, rule", [
    ({"r": 8}, "shape.rank"), ({"rank_pattern": {}}, "shape.rank"), ({"target_modules": ["query_key_value", "o_proj"]}, "shape.target"),
    ({"rank_pattern": {r"layers\.1\.mlp\.down_proj": 2}}, "shape.rank"), ({"rank_pattern": {r".*\.self_attn\..*": 2, "down_proj": 2}}, "shape.rank"),
    ({"rank_pattern": {"^model.layers.0.mlp.down_proj": 2}}, "shape.rank"), ({"rank_pattern": {"own_proj": 2}}, "shape.rank"),
])
def test_adapter_and_its_configuration_disagree(tmp_path, config, rule):
    done, report = smoke(build(tmp_path / "m", "lora", **config))
    assert done.returncode == 6 and any(f["rule"] == rule for f in report["findings"])


def test_adapter_without_a_base_is_named(tmp_path):
    done, report = smoke(build(tmp_path / "m", "lora", base_model_name_or_path=None))
    assert done.returncode == 5 and report["findings"][0]["rule"] == "shape.base"


@pytest.mark.parametrize("half", ["lora_A", "lora_B"])
def test_half_an_adapter(tmp_path, half):
    where = build(tmp_path / "m", "lora")
    tensor = next(t for t in KINDS["lora"]["tensors"] if half in t)
    change(where, "lora", tensor, lambda tensors, t: tensors.pop(t))
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "shape.missing" for f in report["findings"])


def test_an_embedding_that_has_learnt_nothing(tmp_path):
    """Of a pair for rows of an embedding it is the first half that begins as zeros."""
    where = build(tmp_path / "m", "lora")
    name = "base_model.model.model.embed_tokens.lora_"
    for a, b, code in ("embedding_A", "embedding_B", 5), ("A.weight", "B.weight", 6):
        assert altered(where, lambda tensors: tensors.update({f"{name}{a}": ("F32", [4, 30], bytes(480)), f"{name}{b}": numbers(24, 4)}))[0] == code, a


# ---- what PEFT takes ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("patterns", [
    {r"layers\.[01]\.mlp\.down_proj": 2}, {r".*\.(0|1)\.mlp.*": 2}, {r"^model\.layers\.\d+\.mlp\.down_proj": 2}, {"mlp.down_proj": 2},
    {"down_proj": 2, ".*": 3, "q_proj": 4, "v_proj": 4}, {"model.layers.0.mlp.down_proj": 2, "model.layers.1.mlp.down_proj": 2}])
def test_ranks_by_patterns(tmp_path, patterns):
    """The first key that fits counts: a regular expression for the end of a name from a dot on."""
    where = build(tmp_path / "m", "lora", rank_pattern=patterns)
    done, report = smoke(where)
    expected = 6 if ".*" in patterns else 5     # which says 3 of all but the first
    assert done.returncode == expected and {f["rule"] for f in report["findings"]} == ({"shape.rank"} if expected == 6 else set()), report["findings"]


@pytest.mark.parametrize("pattern", ["down_proj(", "(a+)+" * 30 + "x" * 1200])
def test_a_pattern_that_is_none_is_named(tmp_path, pattern):
    done, report = smoke(build(tmp_path / "m", "lora", rank_pattern={pattern: 7, "down_proj": 2}))
    assert done.returncode == 5 and [(f["rule"], f["severity"]) for f in report["findings"]] == [("shape.pattern", "flag")]


def test_a_pattern_that_takes_for_ever(tmp_path):
    done, report = smoke(build(tmp_path / "m", "lora", rank_pattern={"(([a-z_]+)+)+[0-9]": 7, "down_proj": 2}))
    assert done.returncode in (5, 6)


ABSENT = "absent"


@pytest.mark.parametrize("key, good, bad", [
    ("r", [4], [0, -4, "4", 4.0, True, None, [4]]), ("lora_alpha", [0, -1, 2.5, True, ABSENT], ["16", None, [1]]), ("lora_dropout", [0, 0.1, 1, True, ABSENT], ["x", None, 2]),
    ("bias", ["all", "lora_only", ABSENT], ["x", None, 3]), ("peft_type", ["NEWER"], ["lora", None, 3, ABSENT]),
    ("init_lora_weights", [True, False, None, 0, "", [], "Gaussian", "OLoRA", "mica", "pissa", "pissa_niter_16", "corda", "loftq", "eva", "orthogonal", "lora_ga", ABSENT],
     [1, "zzz", "PISSA", "pissa_x", "false", {"a": 1}]),
    ("layers_pattern", [None, "", [], ABSENT], ["layers", ["layers"]]), ("target_modules", [None, ABSENT], [[], {}, ""]), ("target_parameters", [None, [], ABSENT], ["x"]),
    ("rank_pattern", [{"down_proj": 2, "k_proj": "2"}, {"down_proj": 2, "k_proj": 0}],
     [None, [], "x", {"down_proj": 2, "q_proj": "4"}, {"down_proj": 0}, {"down_proj": 2.0}, {"down_proj": None}, {"down_proj": 2, "v_proj": True}]),
    ("alpha_pattern", [{"q_proj": 8.5, "v_proj": 0}, {"q_proj": True}, {"k_proj": "8"}, {"q_.*": 8, "q_proj": "8"}],
     [None, [], {"q_proj": "8"}, {"q_proj": None}, {"q_.*": "8"}])])
def test_numbers_that_peft_takes_and_does_not(tmp_path, key, good, bad):
    """Of patterns only what is meant for a module that is adapted."""
    where = build(tmp_path / "m", "lora")
    said = json.loads((where / "adapter_config.json").read_text())
    for value, takes in [(v, True) for v in good] + [(v, False) for v in bad]:
        config = {**said, key: value}
        if value == ABSENT:
            config.pop(key)
        (where / "adapter_config.json").write_text(json.dumps(config))
        code, found = verdict(where)
        if takes:
            assert (code, found) == (5, []), (value, found)
        else:
            assert code == 6 and ("shape.config", "reject") in found, (value, found)


@pytest.mark.parametrize("key, values", [("layers_to_transform", [0, [], [0, 1]]), ("layers_pattern", ["", [], "layers"])])
def test_a_pattern_of_targets_stands_alone(tmp_path, key, values):
    where = build(tmp_path / "m", "lora")
    said = {**json.loads((where / "adapter_config.json").read_text()), "target_modules": r".*\.(q|v|down)_proj"}
    for value in [None, *values]:
        (where / "adapter_config.json").write_text(json.dumps({**said, key: value}))
        assert verdict(where) == ((5, []) if value is None else (6, [("shape.config", "reject")])), value


@pytest.mark.parametrize("r", [0, None, "4"])
def test_a_rank_that_no_module_needs(tmp_path, r):
    pattern = {"down_proj": 2, "[qv]_proj": 4}
    assert verdict(build(tmp_path / "m", "lora", r=r, rank_pattern=pattern)) == (5, [])
    pattern.popitem()
    code, found = verdict(build(tmp_path / "n", "lora", r=r, rank_pattern=pattern))
    assert code == 6 and set(found) == {("shape.config", "reject")}


def test_a_rank_that_is_not_said(tmp_path):
    """PEFT takes 8."""
    where = build(tmp_path / "m", "lora")
    said = json.loads((where / "adapter_config.json").read_text())
    (where / "adapter_config.json").write_text(json.dumps({k: v for k, v in said.items() if k != "r"}))
    assert verdict(where)[0] == 6


@pytest.mark.parametrize("text", [None, "[]", "3", '"x"'])
def test_an_adapter_without_its_configuration(tmp_path, text):
    where = build(tmp_path / "m", "lora")
    (where / "adapter_config.json").unlink() if text is None else (where / "adapter_config.json").write_text(text)
    assert verdict(where) == (6, [("shape.config", "reject")])


# ---- halves that are not as long as each other ----------------------------------------------------------------------------

def pair(where, a, b, **config):
    build(where, "lora", rank_pattern={}, target_modules=["conv", "q_proj"], r=8, **config)
    name = "base_model.model.conv" if len(a) > 2 else "base_model.model.layers.0.q_proj"
    write_tensors(where / "adapter_model.safetensors", {f"{name}.lora_A.weight": numbers(*a), f"{name}.lora_B.weight": numbers(*b)})
    done, report = smoke(where)
    return done.returncode, {f["rule"] for f in report["findings"] if f["severity"] == "reject"}


@pytest.mark.parametrize("a, b, code", [
    ((8, 16, 3, 3), (16, 8, 1, 1), 5), ((8, 16, 3, 3), (16, 2, 1, 1), 5), ((8, 16, 3), (16, 4, 1), 5), ((8, 16, 3, 3), (18, 2, 1, 1), 6), ((8, 16, 3, 3), (16, 3, 1, 1), 6),
    ((8, 16, 3, 3), (16, 16, 1, 1), 6), ((8, 16, 3, 3), (16, 2), 6), ((8, 16, 3, 3), (16, 0, 1, 1), 6), ((8, 16), (16, 2), 6)])
def test_convolutions_in_groups(tmp_path, a, b, code):
    """Each group of B takes its part of what A gives; and what does not fit is no target that nothing meets."""
    assert pair(tmp_path / "m", a, b) == (code, {"shape.pair"} if code == 6 else set())


@pytest.mark.parametrize("b, blocks, code", [((16, 4), {"nblocks": 2}, 5), ((16, 8), {"nblocks": 2}, 6), ((16, 2), {"nblocks": 4}, 5), ((18, 2), {"nblocks": 4}, 6), ((16, 8), {}, 5),
                                             ((16, 4), {"nblocks": 0}, 6), ((16, 4), {"nblocks": 2, "target_modules_bd_b": ["k_proj"]}, 6),
                                             ((16, 4), {"nblocks": 2, "target_modules_bd_b": ["layers.0.q_proj"]}, 5),
                                             ((16, 4), {"nblocks": 2, "target_modules_bd_b": ["layers.1.q_proj"]}, 6),
                                             ((16, 4), {"nblocks": 2, "target_modules_bd_b": ["base_model"]}, 6)])
def test_halves_in_blocks(tmp_path, b, blocks, code):
    """BD-LoRA's: a B of blocks, one below the other, of which each takes a part. An A of blocks is only narrower. The whole name of a module is searched."""
    how = {"target_modules_bd_a": ["o_proj"], "target_modules_bd_b": ["q_"], **blocks}
    assert pair(tmp_path / "m", (8, 24), b, use_bdlora=how) == (code, {"shape.pair"} if code == 6 else set())


EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]


@pytest.mark.parametrize("config, code", [
    ({"target_parameters": EXPERTS}, 5), ({"target_parameters": ["gate_up_proj", "down_proj"]}, 5), ({}, 6), ({"target_parameters": ["mlp.other.down_proj"]}, 6),
    ({"target_parameters": EXPERTS, "rank_pattern": {"gate_up_proj": 5}}, 5), ({"target_parameters": EXPERTS, "rank_pattern": {"experts.*": 5}}, 6),
    ({"target_parameters": EXPERTS, "r": None, "rank_pattern": {"q_proj": 4, "gate_up_proj": 4, "down_proj": 4}}, 5),
    ({"target_parameters": EXPERTS, "r": None, "rank_pattern": {"q_proj": 4}, "rule": "shape.config"}, 6)])
def test_experts_in_one_tensor_have_a_rank_each(tmp_path, config, code):
    where = layers(tmp_path / "m", {Q: range(3)}, **config)
    tensors = read_tensors(where / "adapter_model.safetensors")
    for name, (dtype, shape, raw) in list(tensors.items()):
        for module in ("mlp.experts.base_layer", "mlp.experts"):
            tensors[name.replace(Q, module)] = dtype, [n * 3 if n == 4 else n for n in shape], raw * 3
    write_tensors(where / "adapter_model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == code and {f["rule"] for f in report["findings"]} == ({config.get("rule", "shape.rank")} if code == 6 else set()), report["findings"]


@pytest.mark.parametrize("config, named", [
    ({"target_modules": ["q_proj", "v_proj", "down_proj", "query_key_value", "Wqkv"]}, {"query_key_value", "Wqkv"}),
    ({"target_modules": ["q_proj", "v_proj", "down_proj", "proj"]}, {"proj"}),
    ({"target_modules": ["q_proj", "v_proj", "down_proj", "o_proj"], "exclude_modules": ["o_proj"]}, set()),
    ({"target_modules": ["q_proj", "v_proj", "down_proj", "self_attn.o_proj"], "exclude_modules": ["o_proj"]}, set()),
    ({"target_modules": ["q_proj", "v_proj", "down_proj", "o_proj"], "exclude_modules": r".*\.o_proj"}, set()),
    ({"target_modules": r".*\.(q|v|down)_proj"}, set()), ({"target_modules": "all-linear"}, set()), ({"target_modules": None}, set())])
def test_a_target_that_the_base_lacks_is_named(tmp_path, config, named):
    """Lists for several models hold names that some have not; PEFT wants one that the base has."""
    done, report = smoke(build(tmp_path / "m", "lora", **config))
    assert done.returncode == 5 and {f["message"].split("adapts ")[1].split(",")[0] for f in report["findings"] if f["rule"] == "shape.target"} == named
    assert len(report["findings"]) == len(named)


# ---- layers that were lost ----------------------------------------------------------------------------------------------

def layers(where, parts, prefix="base_model.model.model.layers.", **config):
    """An adapter of {part: its layers}."""
    build(where, "lora", **{"rank_pattern": {}, "target_modules": sorted(p.split(".")[-1] for p in parts), **config})
    rnd, tensors = random.Random(1), {}
    for part, which in parts.items():
        for layer in which:
            for half, shape in (("A", [4, 24]), ("B", [24, 4])):
                tensors[f"{prefix}{layer}.{part}.lora_{half}.weight"] = "F32", shape, array.array("f", (rnd.gauss(0, 1) for _ in range(96))).tobytes()
    write_tensors(where / "adapter_model.safetensors", tensors)
    return where


def verdict(where):
    done, report = smoke(where)
    return done.returncode, [(f["rule"], f["severity"]) for f in report["findings"]]


LOST, NAMED = (6, [("shape.layers", "reject")]), (5, [("shape.layers", "flag")])
Q, V, UP = "self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"


@pytest.mark.parametrize("parts, config, expected", [
    ({Q: range(12), V: range(12)}, {}, (5, [])),
    ({Q: [0, 1, 3, 4], V: [0, 1, 3, 4]}, {}, LOST),                                     # a hole
    ({Q: [0, 1, 2, 10, 11], V: [0, 1, 2, 10, 11]}, {}, NAMED),                          # more hole than layers
    ({Q: range(5), V: range(4)}, {}, NAMED), ({Q: range(5), V: [0, 1, 3, 4]}, {}, NAMED),
    ({Q: [3, 7, 11], V: [3, 7, 11]}, {}, NAMED),                                        # attention in every fourth
    ({Q: range(4), "mlp.down_proj": [0], **{f"mlp.experts.{i}.gate_proj": [1, 2, 3] for i in range(3)}}, {}, NAMED),    # a dense first layer
    ({Q: [2, 3]}, {}, NAMED),                                                           # none before the first
    ({Q: [1, 2], V: [1, 2]}, {"layers_to_transform": [1, 2]}, (5, [])), ({Q: [2]}, {"layers_to_transform": 2}, (5, [])),
    ({Q: [1, 2], V: [1, 2]}, {"layers_to_transform": [1, 2], "layers_pattern": "layers"}, (5, [])),
    ({Q: [1, 2, 5], V: [1, 2, 5]}, {"layers_to_transform": [1, 2, 3, 5]}, LOST),
    ({Q: [1, 2, 5], V: [1, 2, 5]}, {"layers_to_transform": [1, 2, 3, 5], "layers_pattern": ["h", "layers"]}, LOST),
    ({Q: [1, 2, 5], V: [1, 2, 5]}, {"layers_to_transform": [1, 2, 5, 9]}, LOST),
    ({Q: [2, 3, 4], V: [2, 3, 4]}, {"layers_to_transform": [1, 2, 3, 4]}, LOST),         # the first, which only the list tells
    ({Q: [1, 2, 3], V: [1, 2, 3]}, {"layers_to_transform": [1, 2, 3, 4], "layers_pattern": "layers"}, LOST),
    ({Q: range(4), V: range(4)}, {"layers_to_transform": list(range(4000))}, NAMED),     # for bases of many layers
    ({Q: [0, 1, 2], V: [0, 1]}, {"layers_to_transform": [0, 1, 2, 3]}, (5, [("shape.layers", "flag")] * 2)),
    ({Q: [2], V: [2]}, {"layers_to_transform": 3}, NAMED),
    ({Q: [0, 2, 3]}, {"target_modules": ["layers.0.self_attn.q_proj", "2.self_attn.q_proj", "layers.3.self_attn.q_proj"]}, (5, [])),
    ({Q: [0, 2, 3]}, {"target_modules": r".*layers\.[023]\..*"}, (5, [])),
    ({Q: [0, 1, 3, 4]}, {"exclude_modules": ["layers.2.self_attn.q_proj"]}, (5, [])),
])
def test_layers(tmp_path, parts, config, expected):
    assert verdict(layers(tmp_path / "m", parts, **config)) == expected


def test_layers_of_two_lists(tmp_path):
    """Each list of layers is looked at by itself."""
    where = layers(tmp_path / "m", {Q: range(3)}, prefix="base_model.model.vision_tower.layers.")
    tensors = read_tensors(where / "adapter_model.safetensors")
    layers(tmp_path / "n", {Q: [0, 1, 3]}, prefix="base_model.model.language_model.model.layers.")
    write_tensors(where / "adapter_model.safetensors", {**tensors, **read_tensors(tmp_path / "n/adapter_model.safetensors")})
    assert verdict(where) == LOST


def test_layers_of_a_longer_list(tmp_path):
    """layers_to_transform holds for both lists; the shorter one has not lost what only the longer one can have."""
    where = layers(tmp_path / "m", {Q: range(3)}, prefix="base_model.model.vision_tower.layers.", layers_to_transform=list(range(5)))
    short = read_tensors(where / "adapter_model.safetensors")
    for n, expected in ((5, (5, [])), (4, (6, [("shape.layers", "reject")] * 2))):
        layers(tmp_path / f"n{n}", {Q: range(n)}, prefix="base_model.model.language_model.model.layers.")
        write_tensors(where / "adapter_model.safetensors", {**short, **read_tensors(tmp_path / f"n{n}/adapter_model.safetensors")})
        found = verdict(where)
        assert found[0] == expected[0] and {s for _, s in found[1]} == {s for _, s in expected[1]}, found


# ---- what its configuration says beyond pairs -----------------------------------------------------------------------------

def numbers(*shape):
    rnd = random.Random(1)
    return "F32", list(shape), array.array("f", (rnd.gauss(0, 1) for _ in range(math.prod(shape)))).tobytes()


def altered(where, change):
    """The verdict after change(tensors), which adds or takes some; the file is left as it was."""
    path = where / "adapter_model.safetensors"
    kept = read_tensors(path)
    tensors = dict(kept)
    change(tensors)
    write_tensors(path, tensors)
    found = verdict(where)
    write_tensors(path, kept)
    return found[0], {rule for rule, severity in found[1] if severity == "reject"}


@pytest.mark.parametrize("key, name", [("use_dora", "lora_magnitude_vector"), ("use_dora", "lora_magnitude_vector.default.weight"), ("lora_bias", "lora_B.bias")])
def test_a_number_for_each_output(tmp_path, key, name):
    """DoRA's magnitudes, and the bias of B: without them PEFT takes other ones."""
    where = build(tmp_path / "m", "lora", **{key: True})
    stems = [t.removesuffix("lora_B.weight") for t in KINDS["lora"]["tensors"] if t.endswith("lora_B.weight")]

    def add(n=24, but=None):
        return lambda tensors: tensors.update({stem + name: numbers(n) for stem in stems if stem != but})
    assert altered(where, add()) == (5, set())
    assert altered(where, lambda tensors: None) == (6, {"shape.missing"})
    assert altered(where, add(but=stems[3])) == (6, {"shape.missing"})
    assert altered(where, add(25)) == (6, {"shape.shape"})


@pytest.mark.parametrize("config, have, code", [
    ({"modules_to_save": ["lm_head", "embed_tokens"]}, ["lm_head", "model.embed_tokens"], 5), ({"modules_to_save": ["lm_head", "embed_tokens"]}, [], 6),
    ({"modules_to_save": ["lm_head", "embed_tokens"]}, ["lm_head"], 5), ({"modules_to_save": ["classifier"]}, ["classifier"], 5),
    ({"modules_to_save": ["classifier", "score"], "task_type": "SEQ_CLS"}, ["score"], 5), ({"modules_to_save": ["classifier", "score"], "task_type": "TOKEN_CLS"}, ["classifier"], 5),
    ({"modules_to_save": ["classifier", "score"], "task_type": "SEQ_CLS"}, [], 6), ({"modules_to_save": None, "task_type": "SEQ_CLS"}, [], 6),
    ({"modules_to_save": None, "task_type": "SEQ_CLS"}, ["score"], 5), ({"modules_to_save": None, "task_type": "CAUSAL_LM"}, [], 5),
    ({"modules_to_save": ["classification_head", "classifier", "score"], "task_type": "SEQ_CLS"}, ["classification_head"], 5),
    ({"modules_to_save": ["logits_proj", "sequence_summary", "classifier", "score"], "task_type": "SEQ_CLS"}, ["logits_proj", "sequence_summary.summary"], 5),
    ({"modules_to_save": ["logits_proj", "sequence_summary", "classifier", "score"], "task_type": "SEQ_CLS"}, ["sequence_summary.summary"], 6),
    ({"modules_to_save": ["embed_tokens", "classifier", "score"], "task_type": "SEQ_CLS"}, ["model.embed_tokens"], 6),
    ({"modules_to_save": ["classifier", "score"], "task_type": "SEQ_CLS"}, ["pre_classifier"], 6),
    ({"modules_to_save": ["q_proj"]}, [], 6), ({"modules_to_save": [3, ""]}, [], 5), ({"modules_to_save": "lm_head"}, [], 5)])
def test_modules_that_are_saved_whole(tmp_path, config, have, code):
    where = build(tmp_path / "m", "lora", **config)
    found = altered(where, lambda tensors: tensors.update({f"base_model.model.{name}.weight": numbers(3, 24) for name in have}))
    assert found == (code, {"shape.missing"} if code == 6 else set())


def test_a_saved_module_that_the_base_lacks_is_named(tmp_path):
    """Lists are made for several models, as target_modules are."""
    where = build(tmp_path / "m", "lora", modules_to_save=["lm_head", "embed_tokens", "output_layer"])
    tensors = read_tensors(where / "adapter_model.safetensors")
    write_tensors(where / "adapter_model.safetensors", {**tensors, **{f"base_model.model.{n}.weight": numbers(3, 24) for n in ("lm_head", "model.embed_tokens")}})
    done, report = smoke(where)
    assert done.returncode == 5 and [f["severity"] for f in report["findings"]] == ["flag"] and "output_layer" in report["findings"][0]["message"]


HEAD = {"base_model.model.classifier.dense.weight": (24, 24), "base_model.model.classifier.dense.bias": (24,),
        "base_model.model.classifier.out_proj.weight": (3, 24), "base_model.model.classifier.out_proj.bias": (3,)}


@pytest.mark.parametrize("lost", [None, *HEAD, "classifier.out_proj", "classifier.dense"])
def test_a_head_of_two_steps_is_saved_with_both(tmp_path, lost):
    where = build(tmp_path / "m", "lora", modules_to_save=["classifier", "score"], task_type="SEQ_CLS")
    found = altered(where, lambda tensors: tensors.update({n: numbers(*shape) for n, shape in HEAD.items() if not lost or lost not in n}))
    assert found == ((6, {"shape.missing"}) if lost else (5, set()))


@pytest.mark.parametrize("have, code", [(["weight", "bias"], 5), (["weight"], 5), (["bias"], 6)])
def test_a_saved_head_has_a_weight(tmp_path, have, code):
    where = build(tmp_path / "m", "lora", modules_to_save=["classifier", "score"], task_type="SEQ_CLS")
    found = altered(where, lambda tensors: tensors.update({f"base_model.model.classifier.{n}": numbers(3) if n == "bias" else numbers(3, 24) for n in have}))
    assert found == (code, {"shape.missing"} if code == 6 else set())


@pytest.mark.parametrize("which, names, code", [
    ([0, 1, 2], ["norm", "input_layernorm"], 5), ([0, 2], ["norm", "input_layernorm"], 6), ([1, 2], ["input_layernorm"], 5),
    ([0, 2], ["layers.0.input_layernorm", "layers.2.input_layernorm"], 5), ([0, 4, 8], ["input_layernorm"], 5)])
def test_a_saved_module_is_in_every_layer(tmp_path, which, names, code):
    where = build(tmp_path / "m", "lora", modules_to_save=names)
    of_layers = {f"base_model.model.model.layers.{i}.input_layernorm.weight": numbers(24) for i in which}
    found = altered(where, lambda tensors: tensors.update({**of_layers, "base_model.model.model.norm.weight": numbers(24)}))
    assert found == (code, {"shape.layers"} if code == 6 else set())


@pytest.mark.parametrize("indices, rows, rule", [
    ([5, 7], 2, None), ({"embed_tokens": [5, 7]}, 2, None), ({"embed_tokens": [5, 7], "lm_head": [5, 7]}, 2, None), ({}, None, None), (None, None, None),
    ([], None, "shape.config"), ({"embed_tokens": []}, None, "shape.config"),
    ([5, 7], None, "shape.missing"), ({"embed_tokens": [5, 7]}, None, "shape.missing"), ([5, 7], 4, "shape.shape"), ({"embed_tokens": [5]}, 2, "shape.shape")])
def test_rows_of_an_embedding(tmp_path, indices, rows, rule):
    """trainable_token_indices: PEFT loads no adapter without them, or with more of them."""
    where = build(tmp_path / "m", "lora", trainable_token_indices=indices)
    delta = {"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": numbers(rows, 24)} if rows else {}
    assert altered(where, lambda tensors: tensors.update(delta)) == ((6, {rule}) if rule else (5, set()))


VISION_TOO = (r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp).*?(?:q_proj|v_proj|down_proj).*?)"
              r"|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp)\.(?:(?:q_proj|v_proj|down_proj)))")


@pytest.mark.parametrize("pattern, code, named", [
    (r".*\.(q|v|down)_proj", 5, False), ("all-linear", 5, False), (VISION_TOO, 5, False), (r"^(?!.*vision).*(?:q_proj|v_proj|down_proj).*", 5, False),
    (r".*\.k_proj", 6, False), ("q_proj", 6, False), (r"model\.layers\.\d+\.self_attn", 6, False),   # the whole name counts
    (r".*\.(q|v)_proj", 5, True), (r".*q_proj(", 5, True)])
def test_a_pattern_of_targets_fits_what_is_adapted(tmp_path, pattern, code, named):
    done, report = smoke(build(tmp_path / "m", "lora", target_modules=pattern))
    assert done.returncode == code and [f["severity"] for f in report["findings"]] == (["reject"] if code == 6 else ["flag"] * named), report["findings"]


def test_names_that_peft_does_not_know(tmp_path):
    where = build(tmp_path / "m", "lora")

    def strip(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("base_model.model.")] = tensors.pop(name)
    assert altered(where, strip) == (6, {"shape.target"})


def test_names_with_the_prefix_twice(tmp_path):
    where = build(tmp_path / "m", "lora")

    def wrap(tensors):
        for name in list(tensors):
            tensors["base_model.model." + name] = tensors.pop(name)
    assert altered(where, wrap)[1] >= {"shape.target"}
