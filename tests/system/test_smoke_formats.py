"""Forms in which programs store a checkpoint, and what they leave beside it: whole ones pass, and what is lacking or too much is named."""
import array
import bisect
import json
import shutil
import struct
import zipfile

import pytest

from tests.system import gguf_file
from tests.system.conftest import ROOT
from tests.system.mutate import Model
from tests.system.registry import Registry
from tests.system.test_smoke_daemon import bring, consolidated
from tests.system.test_smoke_runner import copy, read_tensors, smoke, stories, write_fp8, write_gptq, write_quantised, write_tensors

TINY = ROOT / "tests/models/tiny-story"
__all__ = ["stories"]       # a fixture


def findings(report, severity):
    return [(f["rule"], f["message"]) for f in report["findings"] if f["severity"] == severity]


def add(where, file="model.safetensors", **tensors):
    write_tensors(where / file, {**read_tensors(where / file), **tensors})


def f32(*values):
    return "F32", [len(values)], struct.pack(f"<{len(values)}f", *values)


def matrix(rows, cols):
    values = [((i * 7919 + 13) % 1000 - 500) / 1e4 for i in range(rows * cols)]
    return "F32", [rows, cols], struct.pack(f"<{rows * cols}f", *values)


@pytest.mark.parametrize("path", ["original/consolidated.00.pth", "consolidated.00.pth", "consolidated.00.pt"])
def test_pickles_are_no_artefact(tmp_path, path):
    where = shutil.copytree(TINY, tmp_path / "m")
    (where / path).parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(where / path, "w") as z:
        z.writestr("archive/data.pkl", b"\x80\x02}.")
    done, report = smoke(where)
    assert done.returncode == 0 and "artefacts" not in report, report["reasons"]


# ---- GPTQ's biases ------------------------------------------------------------------------------------------------------

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


def test_a_bias_beside_a_plain_weight_has_no_place(tmp_path):
    where = shutil.copytree(TINY, tmp_path / "m")
    rows = read_tensors(where / "model.safetensors")["model.layers.0.self_attn.o_proj.weight"][1][0]
    add(where, **{"model.layers.0.self_attn.o_proj.bias": f32(*[0.0] * rows)})
    done, report = smoke(where)
    assert done.returncode == 6 and "o_proj.bias has no place" in " ".join(report["reasons"])


# ---- compressed-tensors with zero points --------------------------------------------------------------------------------

def write_int4(model, where, zeros):
    def linear(name, shape, data):
        base, (n_out, n_in) = name[:-len("weight")], shape
        scale = [max(abs(v) for v in data[o * n_in:(o + 1) * n_in]) / 7 for o in range(n_out)]
        words = []
        for o in range(n_out):
            codes = [max(0, min(15, round(v / scale[o]) + 8)) for v in data[o * n_in:(o + 1) * n_in]] + [0] * (-n_in % 8)
            words += [sum(c << 4 * k for k, c in enumerate(codes[i:i + 8])) for i in range(0, len(codes), 8)]
        yield base + "weight_packed", "I32", [n_out, len(words) // n_out], struct.pack(f"<{len(words)}I", *words)
        yield base + "weight_scale", "F32", [n_out, 1], struct.pack(f"<{n_out}f", *scale)
        yield base + "weight_shape", "I64", [2], struct.pack("<2q", n_out, n_in)
        if zeros:
            yield base + "weight_zero_point", "I32", [-(-n_out // 8), 1], struct.pack(f"<{-(-n_out // 8)}I", *[0x88888888] * -(-n_out // 8))

    weights = {"num_bits": 4, "type": "int", "strategy": "channel", "symmetric": not zeros}
    return write_quantised(model, where, {"quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed", "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": weights}}}, linear)


def test_int4_with_zero_points(stories, tmp_path):
    middle = smoke(write_int4(Model(stories / "hf-f32"), tmp_path / "middle", zeros=False))[1]
    done, report = smoke(write_int4(Model(stories / "hf-f32"), tmp_path / "m", zeros=True))
    assert done.returncode == 0 and report["loss_nats_per_token"] == middle["loss_nats_per_token"], report["reasons"]


def write_int8(model, where):
    def linear(name, shape, data):
        n_out, n_in = shape
        low = [min(data[o * n_in:(o + 1) * n_in]) for o in range(n_out)]
        scale = [(max(data[o * n_in:(o + 1) * n_in]) - low[o]) / 255 for o in range(n_out)]
        zero = [round(-128 - low[o] / scale[o]) for o in range(n_out)]
        codes = [max(-128, min(127, round(v / scale[i // n_in]) + zero[i // n_in])) for i, v in enumerate(data)]
        yield name, "I8", shape, struct.pack(f"<{n_out * n_in}b", *codes)
        yield name + "_scale", "F32", [n_out, 1], struct.pack(f"<{n_out}f", *scale)
        yield name + "_zero_point", "I8", [n_out, 1], struct.pack(f"<{n_out}b", *zero)
    weights = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": False}
    return write_quantised(model, where, {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": weights}}}, linear)


def test_int8_with_zero_points(stories, tmp_path):
    report = smoke("--text", stories / "text.txt", write_int8(Model(stories / "hf-f32"), tmp_path / "m"))[1]
    assert report["verdict"] == "pass", report["reasons"]
    assert report["loss_nats_per_token"] == pytest.approx(0.98759, abs=0.01), "eight bits cost next to nothing"


# ---- packed where a vector must be --------------------------------------------------------------------------------------

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


# ---- packed weights against what they were made of ----------------------------------------------------------------------

def write_nf4(model, where, storage="U8", size=1):
    code = [-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0, 0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983,
            0.562617, 0.72295684, 1.0]
    middle = [(a + b) / 2 for a, b in zip(code, code[1:])]

    def linear(name, shape, data):
        absmax = [max(abs(v) for v in data[i:i + 64]) for i in range(0, len(data), 64)]
        q = [bisect.bisect(middle, v / absmax[i // 64]) for i, v in enumerate(data)]
        state = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": shape}).encode()
        yield name, storage, [len(q) // 2 // size, 1], bytes(a << 4 | b for a, b in zip(q[::2], q[1::2]))
        yield name + ".absmax", "F32", [len(absmax)], struct.pack(f"<{len(absmax)}f", *absmax)
        yield name + ".quant_map", "F32", [16], struct.pack("<16f", *code)
        yield name + ".quant_state.bitsandbytes__nf4", "U8", [len(state)], state

    return write_quantised(model, where, {"quant_method": "bitsandbytes", "load_in_4bit": True}, linear)


def write_awq(model, where):
    """Groups of 32 inputs; words of eight outputs, where they come to whole ones; zeros are 8."""
    order = [0, 4, 1, 5, 2, 6, 3, 7]

    def linear(name, shape, data):
        base, (n_out, n_in) = name[:-len("weight")], shape
        groups = [range(i, min(i + 32, n_in)) for i in range(0, n_in, 32)]
        if n_out % 8:
            yield name, "F32", shape, data.tobytes()
            return
        scale = [[max(abs(data[o * n_in + i]) for i in group) / 7 for o in range(n_out)] for group in groups]
        code = lambda o, i: round(data[o * n_in + i] / scale[i // 32][o]) + 8    # noqa: E731
        words = [sum(code(o + k, i) << 4 * order[k] for k in range(8)) for i in range(n_in) for o in range(0, n_out, 8)]
        yield base + "qweight", "I32", [n_in, n_out // 8], struct.pack(f"<{len(words)}I", *words)
        yield base + "qzeros", "I32", [len(groups), n_out // 8], struct.pack("<I", 0x88888888) * (len(groups) * n_out // 8)
        yield base + "scales", "F32", [len(groups), n_out], b"".join(struct.pack(f"<{n_out}f", *row) for row in scale)

    return write_quantised(model, where, {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}, linear)


PACKED = {"gptq": write_gptq, "nf4": write_nf4, "nf4 in halves": lambda model, where: write_nf4(model, where, "F16", 2),
          "int4": lambda model, where: write_int4(model, where, zeros=False), "fp8": lambda model, where: write_fp8(model, where, scales=True)}


def transposed(model, layer=2):
    """One matrix of queries the wrong way round: quiet, for the loss alone."""
    name = f"model.layers.{layer}.self_attn.q_proj.weight"
    (rows, cols), v = model.tensors[name]
    model.tensors[name] = [rows, cols], array.array("f", (v[j * cols + i] for i in range(rows) for j in range(cols)))
    return model


def reference(tmp_path, model, relation):
    path = tmp_path / "reference.json"
    path.write_text(json.dumps({"relation": relation, "name": "org/base", "report": smoke(model)[1]}))
    return path


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
