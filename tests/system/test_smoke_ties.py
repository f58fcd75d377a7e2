"""Models that are not run: a matrix that is stored under several names is one."""
import array

import pytest

from tests.system.test_smoke_kinds import build
from tests.system.test_smoke_runner import read_tensors, smoke, write_tensors

TIED = {    # the first, which is stored, and what it is tied to
    "t5": ("shared", ["encoder.embed_tokens", "decoder.embed_tokens", "lm_head"]), "t5-encoder": ("shared", ["encoder.embed_tokens"]),
    "bart": ("model.shared", ["model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head"]),
    "bart-zero-shot": ("model.shared", ["model.encoder.embed_tokens", "model.decoder.embed_tokens"]),
    "marian": ("model.shared", ["model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head"]),
    "m2m100": ("model.shared", ["lm_head"]), "whisper": ("model.decoder.embed_tokens", ["proj_out"]),
    "bert-mlm": ("bert.embeddings.word_embeddings", ["cls.predictions.decoder"]), "albert": ("albert.embeddings.word_embeddings", ["predictions.decoder"]),
    "esm": ("esm.embeddings.word_embeddings", ["lm_head.decoder"]),
}


def told(where, name, **more):
    """The verdict with more tensors: {module: (type, raw)} in the shape of the first, which is left as it was."""
    path, first = where / "model.safetensors", TIED[name][0] + ".weight"
    kept = read_tensors(path)
    write_tensors(path, {**kept, **{f"{module}.weight": (dtype, kept[first][1], raw) for module, (dtype, raw) in more.items()}})
    done, report = smoke(where)
    write_tensors(path, kept)
    return report["verdict"], sorted({(f["rule"], f["severity"]) for f in report["findings"] if f["rule"] != "shape.unexpected"})


def first_of(where, name):
    return read_tensors(where / "model.safetensors")[TIED[name][0] + ".weight"][2]


def changed(raw):
    values = array.array("f", raw)
    values[len(values) // 2] += 0.01
    return values.tobytes()


def as_bf16(raw):
    return array.array("H", (int.from_bytes(raw[i + 2:i + 4], "little") for i in range(0, len(raw), 4))).tobytes()


@pytest.mark.parametrize("name", TIED)
def test_what_is_tied_is_one(tmp_path, name):
    where = build(tmp_path / "m", name)
    raw = first_of(where, name)
    same = {module: ("F32", raw) for module in TIED[name][1]}
    assert told(where, name, **same) == ("not_run", [])
    for module in same:
        assert told(where, name, **{**same, module: ("F32", changed(raw))}) == ("fail", [("plan.tied", "reject")]), module


def test_rounding_is_no_difference(tmp_path):
    where = build(tmp_path / "m", "t5")
    raw = first_of(where, "t5")
    assert told(where, "t5", **{"encoder.embed_tokens": ("BF16", as_bf16(raw))}) == ("not_run", [])
    values = array.array("f", raw)
    values[5] += 1
    assert told(where, "t5", **{"encoder.embed_tokens": ("BF16", as_bf16(values.tobytes()))}) == ("fail", [("plan.tied", "reject")])


@pytest.mark.parametrize("name, module", [("t5", "lm_head"), ("bert-mlm", "cls.predictions.decoder"), ("bart", "lm_head"), ("whisper", "proj_out")])
def test_a_head_that_the_configuration_unties(tmp_path, name, module):
    where = build(tmp_path / "m", name, tie_word_embeddings=False)
    assert told(where, name, **{module: ("F32", changed(first_of(where, name)))}) == ("not_run", [])


@pytest.mark.parametrize("name, architecture, module", [("bert-mlm", "BertForQuestionAnswering", "cls.predictions.decoder"), ("bart-zero-shot", None, "lm_head")])
def test_a_head_that_its_class_does_not_have(tmp_path, name, architecture, module):
    """Left over from what it was trained from: nobody loads it."""
    where = build(tmp_path / "m", name, **({"architectures": [architecture]} if architecture else {}))
    assert ("plan.tied", "reject") not in told(where, name, **{module: ("F32", changed(first_of(where, name)))})[1]


def test_two_vocabularies_are_two(tmp_path):
    done, report = smoke(build(tmp_path / "m", "marian-two-vocabularies"))
    assert done.returncode == 5 and not report["findings"]
