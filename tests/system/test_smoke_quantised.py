"""Packed checkpoints as programs store them: whole ones pass and agree with what they were made of, and what is lacking or too much is named."""
import array
import json
import struct

import pytest

from tests.system.mutate import Model
from tests.system.packed_forms import PACKED, findings, reference, transposed, write_awq, write_int4, write_int8
from tests.system.registry import Registry
from tests.system.test_smoke_daemon import bring, consolidated
from tests.system.test_smoke_runner import copy, read_tensors, smoke, stories, write_fp8, write_gptq, write_tensors

__all__ = ["stories"]       # a fixture


def gptq_with_bias(stories, where, value, part=""):
    write_gptq(Model(stories / "hf-f32"), where)
    tensors = read_tensors(where / "model.safetensors")
    for name in [n for n in tensors if n.endswith(".qweight")]:
        n = tensors[name][1][1]
        tensors[name[:-len("qweight")] + "bias"] = "F16", [n], struct.pack(f"<{n}e", *[value if part in name else 0] * n)
    write_tensors(where / "model.safetensors", tensors)
    return where


def test_gptq_with_biases_of_zeros(stories, tmp_path):
    plain = smoke(write_gptq(Model(stories / "hf-f32"), tmp_path / "plain"))[1]
    done, report = smoke(gptq_with_bias(stories, tmp_path / "m", 0))
    assert done.returncode == 0 and not report["findings"], report["reasons"]
    assert all(report["fingerprint"][k] == plain["fingerprint"][k] for k in ("loss", "layer_rms", "top1"))


def test_gptq_with_a_bias_that_is_not_zero(stories, tmp_path):
    """It is added: a shift of one output that the values take up again leaves a loss that is another, and a finding says so."""
    plain = smoke(write_gptq(Model(stories / "hf-f32"), tmp_path / "plain"))[1]
    report = smoke(gptq_with_bias(stories, tmp_path / "m", 0.01, "layers.2.mlp.down_proj"))[1]
    assert [rule for rule, message in findings(report, "flag") if "layers.2.mlp.down_proj.bias is not zero" in message] == ["plan.unexpected"]
    assert report["verdict"] == "pass" and 1e-5 < abs(report["loss_nats_per_token"] - plain["loss_nats_per_token"]) < 0.5


def test_int4_with_zero_points(stories, tmp_path):
    middle = smoke(write_int4(Model(stories / "hf-f32"), tmp_path / "middle", zeros=False))[1]
    done, report = smoke(write_int4(Model(stories / "hf-f32"), tmp_path / "m", zeros=True))
    assert done.returncode == 0 and report["loss_nats_per_token"] == middle["loss_nats_per_token"], report["reasons"]


def test_int8_with_zero_points(stories, tmp_path):
    report = smoke("--text", stories / "text.txt", write_int8(Model(stories / "hf-f32"), tmp_path / "m"))[1]
    assert report["verdict"] == "pass", report["reasons"]
    assert report["loss_nats_per_token"] == pytest.approx(0.98759, abs=0.01), "eight bits cost next to nothing"


@pytest.mark.parametrize("part", ["qweight", "weight_packed"])
@pytest.mark.parametrize("name", ["model.norm", "model.layers.3.input_layernorm"])
def test_a_vector_can_not_be_packed(stories, tmp_path, name, part):
    where = write_gptq(Model(stories / "hf-f32"), tmp_path / "m")
    tensors = read_tensors(where / "model.safetensors")
    tensors.pop(name + ".weight")
    tensors[f"{name}.{part}"] = "I32", [8, 8], bytes(256)
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 6 and f"{name}.weight is stored packed" in " ".join(report["reasons"]), report["reasons"]


@pytest.mark.parametrize("form", PACKED)
def test_packed_says_what_its_base_says(stories, tmp_path, form):
    base = reference(tmp_path, stories / "hf-f32", "quantized")
    done, report = smoke("--reference", base, PACKED[form](Model(stories / "hf-f32"), tmp_path / "good"))
    assert done.returncode == 0 and report["compared"] == ["agrees with org/base"] and report["params"] == 260032, report["reasons"]
    done, report = smoke("--no-run", tmp_path / "good")
    assert report["verdict"] == "not_run" and not report["findings"], report["reasons"]
    done, report = smoke("--reference", base, PACKED[form](transposed(Model(stories / "hf-f32")), tmp_path / "bad"))
    assert done.returncode == 6 and report["compared"] == ["differs from org/base"] and "(org/base)" in report["reasons"][0]


@pytest.mark.parametrize("form", PACKED)
def test_packed_must_be_said_to_be(stories, tmp_path, form):
    """Programs go by the configuration: by none, or another method's, they would take the numbers for what they are not."""
    where = PACKED[form](Model(stories / "hf-f32"), tmp_path / "m")
    config = json.loads((where / "config.json").read_text())
    method = config.pop("quantization_config")["quant_method"]
    another = {"quant_method": "awq" if method == "gptq" else "gptq", "bits": 4}
    for said, word in (({}, "no quantization_config tells programs so"), ({"quantization_config": another}, "which does not read that")):
        (where / "config.json").write_text(json.dumps({**config, **said}))
        done, report = smoke("--no-run", where)
        assert done.returncode == 6 and word in report["reasons"][0], report["reasons"]


LEFT_OUT = {"gptq": lambda q, name: q.update(dynamic={f"-:.*{name}": {}}), "nf4": lambda q, name: q.update(llm_int8_skip_modules=[name]),
            "int4": lambda q, name: q.update(ignore=[f"re:.*{name}"]), "fp8": lambda q, name: q.update(modules_to_not_convert=[name])}


@pytest.mark.parametrize("form", LEFT_OUT)
@pytest.mark.parametrize("plain, listed", [("", "o_proj"), ("o_proj", ""), ("proj", ""), ("o_proj", "o_proj")])
def test_each_module_is_stored_as_the_configuration_says(stories, tmp_path, form, plain, listed):
    """Packed where it is left out, plain where it is not (one matrix of each layer, or all: a configuration that is left over)."""
    where = PACKED[form](Model(stories / "hf-f32"), tmp_path / "m")
    tensors, was = read_tensors(where / "model.safetensors"), read_tensors(stories / "hf-f32/model.safetensors")
    if plain:
        stems = [n.removesuffix("weight") for n in was if n.endswith(plain + ".weight")]
        tensors = {n: t for n, t in tensors.items() if not n.startswith(tuple(stems))} | {s + "weight": was[s + "weight"] for s in stems}
        write_tensors(where / "model.safetensors", tensors)
    if listed:
        config = json.loads((where / "config.json").read_text())
        LEFT_OUT[form](config["quantization_config"], listed)
        (where / "config.json").write_text(json.dumps(config))
    done, report = smoke("--no-run", where)
    if plain == listed or (form == "fp8" and plain):    # whose programs read a plain matrix as it is
        assert report["verdict"] == "not_run" and not report["findings"], report["reasons"]
        return
    word = "it is plain, and quantization_config" if plain else "quantization_config leaves it as it is"
    assert done.returncode == 6 and word in report["reasons"][0] and "proj.weight" in report["reasons"][0], report["reasons"]


def rewritten(where, change):
    tensors = read_tensors(where / "model.safetensors")
    change(tensors)
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    return done.returncode, [(f["rule"], f["message"].split()[1]) for f in report["findings"]]


@pytest.mark.parametrize("form", PACKED)
def test_packed_matrices_are_compared_with_their_likes(stories, tmp_path, form):
    def copy_layer(tensors):
        tensors.update({n.replace("layers.3.", "layers.4."): t for n, t in tensors.items() if n.startswith("model.layers.3.self_attn.o_proj.")})

    _, found = rewritten(PACKED[form](Model(stories / "hf-f32"), tmp_path / "m"), copy_layer)
    assert [rule for rule, _ in found] == ["stats.duplicate"] and found[0][1].startswith("model.layers.4.self_attn.o_proj."), found


@pytest.mark.parametrize("form", ["nf4", "nf4 in halves"])
@pytest.mark.parametrize("rows, rule", [(1.0, "stats.zero"), (0.5, "stats.holes")])
def test_codes_that_stand_for_zero(stories, tmp_path, form, rows, rule):
    name = "model.layers.2.mlp.down_proj.weight"

    def clear(tensors):
        dtype, shape, raw = tensors[name]
        n = int(len(raw) * rows)
        tensors[name] = dtype, shape, b"\x77" * n + raw[n:]

    status, found = rewritten(PACKED[form](Model(stories / "hf-f32"), tmp_path / "m"), clear)
    assert status == 6 and (rule, name) in found, found


@pytest.mark.parametrize("form", PACKED)
def test_codes_that_are_all_the_same(stories, tmp_path, form):
    """Quiet in the loss, and not quite a constant, for scales differ: what they multiply is one number all the same."""
    large = [f"model.layers.2.self_attn.o_proj.{part}" for part in ("weight", "qweight", "weight_packed")]

    def level(tensors):
        name = next(n for n in large if n in tensors)
        dtype, shape, raw = tensors[name]
        tensors[name] = dtype, shape, b"\x22" * len(raw)

    status, found = rewritten(PACKED[form](Model(stories / "hf-f32"), tmp_path / "m"), level)
    assert status == 6 and any(rule == "stats.constant" and name in large for rule, name in found), found


@pytest.mark.parametrize("change", [0.0, -1.0, None])
def test_a_scale_of_what_flows_in(stories, tmp_path, change):
    """Not needed here, where nothing is rounded on its way: programs that serve the model multiply by it."""
    where = write_fp8(Model(stories / "hf-f32"), tmp_path / "m", scales=True)
    config = json.loads((where / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "static"}
    (where / "config.json").write_text(json.dumps(config))

    def static(value):
        def put(tensors):
            for name, (dtype, shape, raw) in list(tensors.items()):
                if name.endswith("weight_scale_inv"):
                    tensors[name] = dtype, [], raw[:4]
                    tensors[name.replace("weight_scale_inv", "input_scale")] = "F32", [], struct.pack("<f", 0.02 if value is None else value)
        return put

    assert rewritten(where, static(None)) == (0, [])
    damage = static(change) if change is not None else lambda tensors: tensors.pop("model.layers.3.mlp.up_proj.input_scale")
    assert rewritten(where, damage)[0] == 6
    reason = smoke(where)[1]["reasons"][0]
    assert "input_scale" in reason and (change is not None or "layers.3.mlp.up_proj" in reason), reason


def test_what_is_said_in_a_file_of_its_own(stories, tmp_path):
    gptq, fp8 = write_gptq(Model(stories / "hf-f32"), tmp_path / "gptq"), write_fp8(Model(stories / "hf-f32"), tmp_path / "fp8", scales=True)
    tensors = {}
    for name, (dtype, shape, raw) in read_tensors(fp8 / "model.safetensors").items():
        tensors[name.removesuffix("_inv")] = (dtype, [], raw[:4]) if name.endswith("_inv") else (dtype, shape, raw)
        if name.endswith("_inv"):
            tensors[name.replace("weight_scale_inv", "input_scale")] = dtype, [], raw[:4]
    write_tensors(fp8 / "model.safetensors", tensors)
    said = {gptq: ("quantize_config.json", {"bits": 8, "group_size": -1, "desc_act": False}),
            fp8: ("hf_quant_config.json", {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}),
            write_awq(Model(stories / "hf-f32"), tmp_path / "awq"): ("quant_config.json", {"zero_point": True, "q_group_size": 32, "w_bit": 4, "version": "GEMM",
                                                                                                        "modules_to_not_convert": ["gate_proj", "up_proj"]})}
    for where, (name, text) in said.items():
        config = json.loads((where / "config.json").read_text())
        config.pop("quantization_config")
        (where / "config.json").write_text(json.dumps(config))
        assert smoke("--no-run", where)[0].returncode == 6
        (where / name).write_text(json.dumps(text))
        done, report = smoke(where)
        assert done.returncode == 0 and not report["findings"], (name, report["reasons"])


@pytest.mark.parametrize("said", [{"w_bit": 8}, {"modes": ["q8"]}, []])
def test_another_programs_quant_config_packs_nothing(stories, tmp_path, said):
    where = copy(stories, tmp_path)
    (where / "quant_config.json").write_text(json.dumps(said))
    done, report = smoke("--no-run", where)
    assert report["verdict"] == "not_run" and not report["findings"], report["reasons"]


def test_fp8_of_the_authors_own_program(stories, tmp_path):
    """Mistral's: scales under its own names, and params.json for the configuration; config.json is that of a file beside it, or says nothing."""
    fp8, where = write_fp8(Model(stories / "hf-f32"), tmp_path / "fp8", scales=True), copy(stories, tmp_path)
    tensors = read_tensors(fp8 / "model.safetensors")
    scales = {n.removesuffix("weight_scale_inv"): ("F32", [], tensors.pop(n)[2][:4]) for n in list(tensors) if n.endswith("_scale_inv")}
    own = consolidated(tensors, 8, 4)
    write_tensors(where / "consolidated.safetensors", {**own, **consolidated({n + part: t for n, t in scales.items() for part in ("qscale_weight", "qscale_act")}, 0, 0)})
    for said, verdict, words in (({"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"}, "pass", ""), ({"qformat_weight": "nvfp4"}, "not_run", "nvfp4"),
                                 (None, "fail", "no quantization_config tells programs so")):
        (where / "params.json").write_text(json.dumps({"dim": 64, **({"quantization": said} if said else {})}))
        report = smoke(where)[1]
        one = report["artefacts"][1]
        assert [a["verdict"] for a in report["artefacts"]] == ["pass", verdict] and words in " ".join(one["reasons"]), one
        assert verdict != "pass" or (one["compared"] == ["agrees with model.safetensors"] and not report["findings"])
    (where / "model.safetensors").unlink()
    write_tensors(where / "consolidated.safetensors", own)
    (where / "params.json").write_text(json.dumps({"dim": 64, "quantization": {"qformat_weight": "fp8_e4m3"}}))
    done, report = smoke(where)
    assert done.returncode == 6 and "without a scale" in report["reasons"][0], "scales that are not there"


@pytest.mark.parametrize("good", [True, False])
def test_daemon_holds_packed_weights_against_their_base(stories, tmp_path, good):
    where = write_gptq(Model(stories / "hf-f32") if good else transposed(Model(stories / "hf-f32")), tmp_path / "m")
    base = tmp_path / "base"
    base.mkdir()
    for path in (stories / "hf-f32").iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    with Registry(tmp_path / "reg") as reg:
        bring(reg, base, "org/base")
        shown = bring(reg, where, "org/packed", base="org/base", relation="quantized", code=0 if good else 5)
        assert shown["state"] == ("published" if good else "rejected") and shown["smoke"]["compared"][0].startswith("agrees" if good else "differs")


def test_two_roundings_of_one_model_are_not_held_for_another(stories, tmp_path):
    """BF16 and F16 have as many bits, and are not the same numbers."""
    where = copy(stories, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    floats = {n: (shape, array.array("f", raw)) for n, (_, shape, raw) in tensors.items()}
    write_tensors(where / "model.safetensors", {n: ("BF16", s, b"".join(struct.pack("<f", v)[2:] for v in x)) for n, (s, x) in floats.items()})
    write_tensors(where / "model.fp16.safetensors", {n: ("F16", s, struct.pack(f"<{len(x)}e", *x)) for n, (s, x) in floats.items()})
    done, report = smoke(where)
    assert done.returncode == 0 and report["artefacts"][1]["compared"] == ["agrees with model.safetensors"], report["reasons"]


def test_parts_under_each_others_names_come_to_a_verdict(stories, tmp_path):
    """Whatever is called what: never a crash, and never a pass where something is gone."""
    where = write_gptq(Model(stories / "hf-f32"), tmp_path / "m")
    tensors = read_tensors(where / "model.safetensors")
    for name in [n for n in tensors if ".layers." not in n or ".layers.1." in n]:
        stem, part = name.rsplit(".", 1)
        for other in ("weight", "qweight", "weight_packed", "scales", "qzeros", "bias", "SCB"):
            if f"{stem}.{other}" in tensors:
                continue
            write_tensors(where / "model.safetensors", {(f"{stem}.{other}" if n == name else n): t for n, t in tensors.items()})
            done, report = smoke("--tokens", 8, where)
            assert report["verdict"] in ("fail", "not_run") or part == "g_idx", (name, other, report["reasons"])


def test_layers_packed_in_different_ways(stories, tmp_path):
    """One layer of 8 bits among others of 4, and rules that do not say so."""
    where = write_int4(Model(stories / "hf-f32"), tmp_path / "m", zeros=False)
    eight = write_int8(Model(stories / "hf-f32"), tmp_path / "8")
    tensors, name = read_tensors(where / "model.safetensors"), "model.layers.1.mlp.down_proj."
    tensors.update({n: t for n, t in read_tensors(eight / "model.safetensors").items() if n.startswith(name)})
    tensors.pop(name + "weight_packed"), tensors.pop(name + "weight_shape")
    write_tensors(where / "model.safetensors", tensors)
    config = json.loads((where / "config.json").read_text())
    four, packing = config["quantization_config"]["config_groups"]["group_0"], config["quantization_config"]

    def run(**more):
        (where / "config.json").write_text(json.dumps({**config, "quantization_config": {**packing, "format": "mixed-precision", **more}}))
        return smoke(where)
    good = {"group_0": {**four, "targets": [r"re:.*(self_attn|up_proj|gate_proj|layers\.[^1].*down_proj)"]}, "group_1": {
        "targets": [name[:-1]], "format": "int-quantized", "weights": {"num_bits": 8, "type": "int", "strategy": "channel"}}}
    assert run(config_groups=good)[0].returncode == 0
    done, report = run(config_groups={**good, "group_0": {**four, "weights": {"num_bits": 8}}})
    assert done.returncode == 6 and "quantization_config says 8" in " ".join(report["reasons"]), report["reasons"]
    done, report = run(config_groups=good, ignore=["model.layers.2.mlp.up_proj"])
    assert done.returncode == 6 and "quantization_config leaves it as it is" in " ".join(report["reasons"]), report["reasons"]


@pytest.mark.parametrize("sym", [True, False, None])
@pytest.mark.parametrize("version, stored, good", [("gptq", 0x7F, True), ("gptq_v2", 0x80, True), ("gptq", 0x80, False), ("gptq_v2", 0x7F, False)])
def test_gptqs_zero_points_that_symmetric_kernels_pass_over(stories, tmp_path, version, stored, good, sym):
    """One beside the middle costs little where it is read, and nothing tells whether it is."""
    where = write_gptq(Model(stories / "hf-f32"), tmp_path / "gptq")
    config = json.loads((where / "config.json").read_text())
    config["quantization_config"].update(checkpoint_format=version, sym=sym)
    if sym is None:
        del config["quantization_config"]["sym"]
    (where / "config.json").write_text(json.dumps(config))
    tensors = {n: (t[0], t[1], bytes([stored]) * len(t[2])) if n.endswith(".qzeros") else t for n, t in read_tensors(where / "model.safetensors").items()}
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    said = "quantization_config says sym: true" in " ".join(report["reasons"])
    assert said == (bool(sym) and not good) and (done.returncode == 0 or not good), report["reasons"]


def test_gptq_with_rules_for_single_modules(stories, tmp_path):
    where = write_gptq(Model(stories / "hf-f32"), tmp_path / "gptq")
    config = json.loads((where / "config.json").read_text())
    for bits, dynamic, word in ((8, {"-:.*nothing": {}}, None), (4, {r"model\..*": {"bits": 8}}, None), (8, {"+:.*down_proj": {"bits": 4}}, "quantization_config says 4"),
                                (8, {"-:.*down_proj": {}}, "leaves it as it is")):
        (where / "config.json").write_text(json.dumps({**config, "quantization_config": {**config["quantization_config"], "bits": bits, "dynamic": dynamic}}))
        done, report = smoke(where)
        assert done.returncode == (6 if word else 0) and (not word or word in " ".join(report["reasons"])), (dynamic, report["reasons"])
