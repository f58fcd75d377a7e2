"""Zeros where a write was lost: found at the pages of a file, and not where a model means them."""
import json
import shutil
import struct

import pytest

from tests.system import gguf_file
from tests.system.mutate import Model
from tests.system.test_smoke_formats import write_nf4
from tests.system.test_smoke_runner import copy, read_tensors, smoke, stories, write_gptq, write_tensors    # noqa: F401

PAGE = 4096
UP = "model.layers.2.mlp.up_proj.weight"


def rewrite(where, tensors, shift=40):
    """With the numbers `shift` bytes behind a page: at 40 no row of the fixture's matrices begins at one."""
    write_tensors(where / "model.safetensors", tensors)
    path = where / "model.safetensors"
    raw = path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    pad = -(8 + n) % PAGE + shift
    path.write_bytes(struct.pack("<Q", n + pad) + raw[8:8 + n] + b" " * pad + raw[8 + n:])
    return path


def place(path, name):
    raw = path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    begin, end = json.loads(raw[8:8 + n])[name]["data_offsets"]
    return 8 + n + begin, 8 + n + end


def erase(path, begin, end):
    with open(path, "r+b") as f:
        f.seek(begin)
        f.write(bytes(end - begin))


def gaps(path, *options):
    return [(f["severity"], f["message"]) for f in smoke(*options, path)[1]["findings"] if f["rule"] == "stats.gap"]


def pages(begin, end):
    return range(-(-begin // PAGE) * PAGE, end - PAGE + 1, PAGE)


@pytest.mark.parametrize("isa", ["scalar", "avx2", "--no-run"])
def test_a_page_of_zeros(stories, tmp_path, isa):
    where = copy(stories, tmp_path)
    path = rewrite(where, read_tensors(where / "model.safetensors"))
    assert gaps(where) == []
    first = pages(*place(path, UP))[3]
    erase(path, first, first + PAGE)
    done, report = smoke(*([isa] if isa == "--no-run" else ["--isa", isa]), where)
    text = " ".join(report["reasons"])
    assert done.returncode == 6 and f"tensor {UP} holds 4096 bytes of zeros, from byte {first} of the file on" in text, report["reasons"]


@pytest.mark.parametrize("form", ["gptq", "nf4", "gguf", "stacked"])
def test_a_page_of_zeros_in_other_forms(stories, tmp_path, form):
    if form == "gguf":
        path = tmp_path / "m.gguf"
        shutil.copy(stories / "gguf/wide-Q8_0.gguf", path)
        raw = gguf_file.read(path)[1]["blk.2.ffn_up.weight"]
        at = path.read_bytes().find(max((x for x in raw if isinstance(x, bytes)), key=len))
        first = next(p for p in pages(at + 1, at + 40000) if (p - at) % 272)
        where = path
    else:
        write = {"gptq": write_gptq, "nf4": write_nf4}.get(form)
        where = write(Model(stories / "hf-f32"), tmp_path / "m") if write else shutil.copytree(stories / "as-mixtral", tmp_path / "m")
        path = rewrite(where, read_tensors(where / "model.safetensors"))
        name = {"gptq": "model.layers.2.mlp.up_proj.qweight", "nf4": "model.layers.2.mlp.up_proj.weight"}.get(form,
            "model.layers.2.block_sparse_moe.experts.3.w3.weight")
        first = pages(*place(path, name))[:2][-1]
    erase(path, first, first + PAGE)
    assert [f[0] for f in gaps(where)] == ["reject"]


def test_zeros_over_the_ends_of_tensors(stories, tmp_path):
    where = copy(stories, tmp_path)
    path = rewrite(where, read_tensors(where / "model.safetensors"))
    names = sorted(read_tensors(path), key=lambda n: place(path, n))
    up = names.index(UP)
    first, last = pages(*place(path, names[up]))[-2], pages(*place(path, names[up + 1]))[1]
    erase(path, first, last)
    assert {(severity, message.split()[1]) for severity, message in gaps(where)} == {("reject", names[up]), ("reject", names[up + 1])}


def test_zeros_within_a_row_that_are_no_page(stories, tmp_path):
    where = copy(stories, tmp_path)
    path = rewrite(where, read_tensors(where / "model.safetensors"))
    first = pages(*place(path, UP))[3]
    erase(path, first + 600, first + 600 + PAGE)
    found = gaps(where)
    assert [f[0] for f in found] == ["flag"] and "page" not in found[0][1]
    path = rewrite(where, read_tensors((stories / "hf-f32") / "model.safetensors"))
    erase(path, first, first + PAGE - 20)
    assert gaps(where) == [], "less than a page"


def test_zeros_that_a_model_means(stories, tmp_path):
    """Tokens that never were, units and inputs that were pruned, at whatever place in the file."""
    where = copy(stories, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    for name, (dtype, shape, raw) in list(tensors.items()):
        row = len(raw) // shape[0]
        if name == "model.embed_tokens.weight":
            tensors[name] = dtype, shape, raw[:300 * row] + bytes(90 * row) + raw[390 * row:]
        elif name.endswith("up_proj.weight"):
            tensors[name] = dtype, shape, raw[:40 * row] + bytes(32 * row) + raw[72 * row:]
        elif name.endswith("down_proj.weight"):
            tensors[name] = dtype, shape, b"".join(raw[i * row:i * row + row - 256] + bytes(256) for i in range(shape[0]))
    for shift in (0, 40, 256, 1016, 2048, 4088):
        rewrite(where, tensors, shift)
        assert gaps(where) == []
