"""Files that hold tensors and are no model, alone and beside one: adapters, calibration, heads of training, whatever else is kept there."""
import array
import json
import random
import shutil
import struct

import pytest

from tests.system import gguf_file
from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import read_tensors, smoke, write_tensors

STORY = ROOT / "tests/models/tiny-story"
RANDOM = random.Random(3)


def numbers(*shape):
    n = 1
    for d in shape:
        n *= d
    return array.array("f", (RANDOM.gauss(0, 1) for _ in range(n))).tobytes()


def gguf(path, tensors, **keys):
    """F32 tensors of these shapes (slowest dimension first), and keys that are texts."""
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()
    said = b"".join(text(k.replace("_", ".")) + struct.pack("<I", 8) + text(v) for k, v in keys.items())
    gguf_file.write(path, (len(keys), said), {name: (shape[::-1], 0, numbers(*shape)) for name, shape in tensors.items()})


def copy(tmp_path):
    return shutil.copytree(STORY, tmp_path / "m")


def verdicts(report):
    return {a["file"]: a["verdict"] for a in report["artefacts"]}


# ---- GGUFs that say what they are ---------------------------------------------------------------------------------------

LORA = {f"blk.{i}.attn_{p}.weight.lora_{h}": ([4, 64] if h == "a" else [64, 4]) for i in range(3) for p in "qv" for h in "ab"}
ADAPTER = {"general_type": "adapter", "general_architecture": "llama", "adapter_type": "lora"}


def test_adapter_in_a_gguf(tmp_path):
    gguf(tmp_path / "x-lora.gguf", LORA, **ADAPTER)
    done, report = smoke(tmp_path)
    assert done.returncode == 5 and report["reasons"][0] == "not run: task adapter" and "12 tensors are pairs" in report["reasons"][1] and not report["findings"]


@pytest.mark.parametrize("change, rule", [
    ({"blk.1.attn_q.weight.lora_b": None}, "shape.missing"), ({"blk.1.attn_q.weight.lora_a": None}, "shape.missing"),
    ({"blk.1.attn_q.weight.lora_b": [64, 5]}, "shape.pair"), ({"blk.1.attn_v.weight.lora_a": [64, 4]}, "shape.pair"),
    ({n: None for n in LORA}, "shape.missing"), ({n: None for n in LORA if "blk.1" in n}, "shape.layers")])
def test_adapter_in_a_gguf_that_is_damaged(tmp_path, change, rule):
    gguf(tmp_path / "x-lora.gguf", {n: s for n, s in {**LORA, **change, "blk.0.other": [4]}.items() if s}, **ADAPTER)
    done, report = smoke(tmp_path)
    assert done.returncode == 6 and rule in {f["rule"] for f in report["findings"]}, report


def test_adapter_of_the_embedding_lies_the_other_way_round(tmp_path):
    gguf(tmp_path / "x-lora.gguf", {**LORA, "token_embd.weight.lora_a": [512, 4], "token_embd.weight.lora_b": [64, 4]}, **ADAPTER)
    assert smoke(tmp_path)[0].returncode == 5


OTHERS = {
    "x-lora.gguf": (LORA, ADAPTER),
    "calibration.gguf": ({"blk.0.attn_q.weight.in_sum2": [1, 64]}, {"general_type": "imatrix"}),
    "images.gguf": ({"v.patch_embd.weight": [4, 4]}, {"general_architecture": "clip", "general_type": "mmproj"}),
    "direction.gguf": ({"direction.1": [64]}, {"general_architecture": "controlvector", "controlvector_model": "llama"}),
    "words.gguf": ({}, {"general_architecture": "llama", "general_type": "model"}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_ggufs_that_are_no_model(tmp_path, name):
    """They count for nothing beside one, and are nothing alone."""
    where = copy(tmp_path)
    gguf(where / name, OTHERS[name][0], **OTHERS[name][1])
    done, report = smoke(where)
    assert done.returncode == 0 and verdicts(report) == {"model.safetensors": "pass", name: "not_run"}, report
    (where / "model.safetensors").unlink()
    done, report = smoke(where)
    assert done.returncode == 5 and report["reasons"][0].startswith("not run: "), report


def test_damage_in_them_counts(tmp_path):
    where = copy(tmp_path)
    gguf(where / "x-lora.gguf", {n: s for n, s in LORA.items() if n != "blk.0.attn_q.weight.lora_a"}, **ADAPTER)
    done, report = smoke(where)
    assert done.returncode == 6 and report["file"] == "x-lora.gguf"


def split(whole, where, drop=()):
    """As llama-gguf-split --no-tensor-first-split leaves it: all that is said in the first part, all tensors in the others."""
    (n, raw), tensors = gguf_file.read(whole)
    tensors = {name: t for name, t in tensors.items() if name not in drop}

    def number(key, kind, value):
        return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I" + kind[1], *((2, value) if kind == "<H" else (5, value)))
    for no, names in enumerate([[], list(tensors)[::2], list(tensors)[1::2]]):
        said = number("split.no", "<H", no) + number("split.count", "<H", 3) + number("split.tensors.count", "<i", len(tensors))
        gguf_file.write(where / f"m-0000{no + 1}-of-00003.gguf", (n + 3, raw + said) if no == 0 else (3, said), {name: tensors[name] for name in names})


def test_first_part_without_tensors(shared, tmp_path):
    """It is no vocabulary: the model is run, and must be whole."""
    whole = shared / "data/models/stories260K/gguf/stories260K-F32.gguf"
    split(whole, tmp_path)
    done, report = smoke(tmp_path)
    assert done.returncode == 0 and report["fingerprint"] == smoke(whole)[1]["fingerprint"], report["reasons"]
    split(whole, tmp_path, drop=["blk.4.ffn_up.weight"])
    shutil.copytree(STORY, tmp_path, dirs_exist_ok=True)
    done, report = smoke(tmp_path)
    assert done.returncode == 6 and verdicts(report) == {"model.safetensors": "pass", "m-00001-of-00003.gguf": "fail"}
    assert "blk.4.ffn_up.weight is missing" in report["reasons"][0]


# ---- safetensors of other kinds -----------------------------------------------------------------------------------------

BESIDE = {
    "value_head.safetensors": "v_head.summary.weight", "medusa_lm_head.safetensors": "0.0.linear.weight", "embeddings.safetensors": "embeddings",
    "steering.safetensors": "layer_3", "sae.safetensors": "W_enc", "scales.safetensors": "layers.0.k_scale",
}


@pytest.mark.parametrize("name", BESIDE)
def test_files_of_other_kinds_beside_a_model(tmp_path, name):
    where = copy(tmp_path)
    write_tensors(where / name, {BESIDE[name]: ("F32", [4, 64], numbers(4, 64))})
    done, report = smoke(where)
    assert done.returncode == 0 and verdicts(report) == {"model.safetensors": "pass", name: "not_run"}, report
    other = next(a for a in report["artefacts"] if a["file"] == name)
    assert "no model by itself" in other["reasons"][0] and "all of its 256 numbers" in " ".join(other["reasons"])
    write_tensors(where / name, {BESIDE[name]: ("F32", [4, 64], b"\xff" * 1024)})
    done, report = smoke(where)
    assert done.returncode == 6 and report["file"] == name, "numbers that are none count there too"


def test_adapter_beside_its_base(tmp_path):
    where = copy(tmp_path)
    (where / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "base_model_name_or_path": "org/base", "target_modules": ["q_proj"]}))
    write_tensors(where / "adapter_model.safetensors", {f"base_model.model.model.layers.0.self_attn.q_proj.lora_{h}.weight": ("F32", s, numbers(*s))
                                                        for h, s in (("A", [4, 96]), ("B", [96, 4]))})
    done, report = smoke(where)
    assert done.returncode == 0 and verdicts(report) == {"model.safetensors": "pass", "adapter_model.safetensors": "not_run"}


@pytest.mark.parametrize("name", ["model.safetensors", "model.fp16.safetensors", "pytorch_model.safetensors", "consolidated.safetensors", "only.safetensors"])
def test_a_model_without_a_tensor_of_a_model_is_none(tmp_path, name):
    """Whatever is called like a model is one, and so is the only file there is."""
    where = copy(tmp_path)
    if name == "only.safetensors":
        (where / "model.safetensors").unlink()
    write_tensors(where / name, {"something.else": ("F32", [4, 64], numbers(4, 64))})
    done, report = smoke(where)
    assert done.returncode == 6 and report["file"] == name
    assert f"{name}: tensor model.embed_tokens.weight is missing, under this and every other known prefix" in " ".join(report["reasons"])


@pytest.mark.parametrize("keep", [lambda n: "layers.1." in n, lambda n: n == "model.norm.weight", lambda n: "o_proj" in n])
def test_a_part_of_a_model_is_a_damaged_one(tmp_path, keep):
    where = copy(tmp_path)
    write_tensors(where / "rest.safetensors", {n: t for n, t in read_tensors(where / "model.safetensors").items() if keep(n)})
    done, report = smoke(where)
    assert done.returncode == 6 and report["file"] == "rest.safetensors"
