"""Zeros where a write was lost: found at the pages of a file, and not where a model means them."""
import array
import json
import shutil
import struct

import pytest

from tests.system import gguf_file
from tests.system.mutate import Model
from tests.system.packed_forms import write_nf4
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


# ---- many of them: more are never better than one ---------------------------------------------------------------------------

def widen(where, times):
    """The same function, with rows enough for some dozens of pages to be few of them."""
    tensors = read_tensors(where / "model.safetensors")
    for name, (dtype, shape, raw) in list(tensors.items()):
        if ".mlp." not in name:
            continue
        if name.endswith("down_proj.weight"):
            row = array.array("f", raw)
            tensors[name] = dtype, [shape[0], shape[1] * times], b"".join(
                array.array("f", [v / times for v in row[i:i + shape[1]]]).tobytes() * times for i in range(0, len(row), shape[1]))
        else:
            tensors[name] = dtype, [shape[0] * times, shape[1]], raw * times
    config = json.loads((where / "config.json").read_text())
    (where / "config.json").write_text(json.dumps({**config, "intermediate_size": 172 * times}))
    return tensors


@pytest.mark.parametrize("lost", [2, 16, 17, 60])
def test_many_pages_of_zeros(stories, tmp_path, lost):
    where = copy(stories, tmp_path)
    path = rewrite(where, widen(where, 32))
    assert gaps(where, "--no-run") == []
    places = pages(*place(path, UP))[3::5][:lost]
    assert len(places) == lost
    for first in places:
        erase(path, first, first + PAGE)
    (severity, message), = gaps(where, "--no-run")
    assert severity == "reject" and f"from byte {places[0]} of the file on, and {lost - 1} times more" in message, message


@pytest.mark.parametrize("lost", [1, 20])
def test_pages_of_zeros_among_zeros_that_a_model_means(stories, tmp_path, lost):
    """Runs that end anywhere are meant, where they are many; so many pages among them are not."""
    where = copy(stories, tmp_path)
    path = rewrite(where, widen(where, 32))
    begin, end = place(path, UP)
    for i, first in enumerate(pages(begin, end)[2::12][:25]):
        at = first + 1234 + 8 * i
        erase(path, at, at + PAGE + 1000)
    assert gaps(where, "--no-run") == []
    for first in pages(begin, end)[8::12][:lost]:
        erase(path, first, first + PAGE)
    assert [f[0] for f in gaps(where, "--no-run")] == (["reject"] if lost > 1 else [])


@pytest.mark.parametrize("lost", [6, 60])
def test_a_long_run_of_pages_among_short_ones_that_a_model_means(stories, tmp_path, lost):
    """Chance may put an end at a page, but makes none far longer than all others."""
    where = copy(stories, tmp_path)
    path = rewrite(where, widen(where, 32))
    begin, end = place(path, UP)
    for i, first in enumerate(pages(begin, end)[100::7][:25]):
        at = first + 1234 + 8 * i
        erase(path, at, at + PAGE + 1000)
    first = pages(begin, end)[8]
    erase(path, first, first + lost * PAGE)
    found = gaps(where, "--no-run")
    assert [f[0] for f in found] == (["reject"] if lost > 6 else [])
    assert lost == 6 or f"holds {lost * PAGE} bytes of zeros, from byte {first} of the file on" in found[0][1], found


def test_columns_of_zeros_at_pages(stories, tmp_path):
    """Inputs that were pruned, which begin at a page in every fourth row."""
    where = copy(stories, tmp_path)
    tensors = widen(where, 32)
    name = "model.layers.2.mlp.down_proj.weight"
    dtype, shape, raw = tensors[name]
    row = len(raw) // shape[0]
    for shift in range(0, PAGE, 8):
        if (place(rewrite(where, tensors, shift), name)[0]) % PAGE == 0:
            break
    tensors[name] = dtype, shape, b"".join(raw[i:i + PAGE] + bytes(2 * PAGE) + raw[i + 3 * PAGE:i + row] for i in range(0, len(raw), row))
    rewrite(where, tensors, shift)
    (severity, message), = gaps(where, "--no-run")
    assert severity == "flag" and "at one place of many rows" in message


# ---- the last page of a file is cut, and one may lie in two tensors ---------------------------------------------------------

def test_the_end_of_a_file(stories, tmp_path):
    where = copy(stories, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    last = max((n for n in tensors if n.endswith("proj.weight")), key=lambda n: len(tensors[n][2]))
    tensors = {**{n: t for n, t in tensors.items() if n != last}, last: tensors[last]}
    for shift in range(4, PAGE, 8):
        path = rewrite(where, tensors, shift - 4)
        size = path.stat().st_size
        if size % PAGE > 100 and (size // PAGE * PAGE - place(path, last)[0]) % 256:
            break
    assert gaps(where, "--no-run") == []
    erase(path, size // PAGE * PAGE, size)
    (severity, message), = gaps(where, "--no-run")
    assert severity == "reject" and f"from byte {size // PAGE * PAGE} of the file on" in message


def test_a_page_in_two_tensors(stories, tmp_path):
    where = copy(stories, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    path = rewrite(where, tensors)
    names = sorted(tensors, key=lambda n: place(path, n))
    up = names.index(UP)
    border = place(path, UP)[1]
    for shift in range(40, PAGE, 8):
        path = rewrite(where, tensors, shift)
        border = place(path, UP)[1]
        if 300 < border % PAGE < PAGE - 300 and (border - border % PAGE - place(path, UP)[0]) % 256:
            break
    erase(path, border // PAGE * PAGE, border // PAGE * PAGE + PAGE)
    assert ("reject", UP) in {(severity, message.split()[1]) for severity, message in gaps(where, "--no-run")}, names[up + 1]


def test_zeros_at_the_end_of_a_file_that_a_model_means(stories, tmp_path):
    """The last inputs of a matrix, pruned: they are zero in the row above, too."""
    where = copy(stories, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    name = "model.layers.4.mlp.down_proj.weight"
    dtype, shape, raw = tensors[name]
    row = len(raw) // shape[0]
    raw = b"".join(raw[i:i + row - 256] + bytes(256) for i in range(0, len(raw), row))
    tensors = {**{n: t for n, t in tensors.items() if n != name}, name: (dtype, shape, raw)}
    for shift in range(0, PAGE, 8):
        path = rewrite(where, tensors, shift)
        if path.stat().st_size % PAGE == 256:
            break
    assert gaps(where, "--no-run") == []
