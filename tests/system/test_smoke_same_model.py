"""What a model is held against when its build is not that of what it should be: fewer layers, another head, drafts and other sizes beside it."""
import array
import json
import shutil
import struct

import pytest

from tests.system import gguf_file
from tests.system.conftest import ROOT
from tests.system.mutate import Model
from tests.system.registry import Registry
from tests.system.test_smoke_daemon import bring
from tests.system.test_smoke_runner import copy, read_tensors, smoke, stories, write_tensors

TINY = ROOT / "tests/models/tiny-story"
N_LAYERS = 5
__all__ = ["stories"]       # a fixture


def without_layer_gguf(whole, path, lost):
    """As if the model never had that layer: the others are renumbered, and their number says so."""
    (n, keys), tensors = gguf_file.read(whole)
    said = b"llama.block_count" + struct.pack("<I", 4)
    assert keys.count(said + struct.pack("<I", N_LAYERS)) == 1
    keys = keys.replace(said + struct.pack("<I", N_LAYERS), said + struct.pack("<I", N_LAYERS - 1))
    kept = {}
    for name, tensor in tensors.items():
        no = int(name.split(".")[1]) if name.startswith("blk.") else -1
        if no != lost:
            kept[name.replace(f"blk.{no}.", f"blk.{no - 1}.") if no > lost else name] = tensor
    gguf_file.write(path, (n, keys), kept)


def without_layer(model, lost):
    kept = {}
    for name, tensor in model.tensors.items():
        no = int(name.split(".")[2]) if name.startswith("model.layers.") else -1
        if no != lost:
            kept[name.replace(f"layers.{no}.", f"layers.{no - 1}.") if no > lost else name] = tensor
    model.tensors = kept
    model.config["num_hidden_layers"] = N_LAYERS - 1
    return model


def held_against(tmp_path, *others, relation="quantized", change=lambda report: None):
    arguments = []
    for i, (name, where) in enumerate(others):
        path = tmp_path / f"reference-{i}.json"
        report = smoke(where)[1]
        change(report)
        path.write_text(json.dumps({"relation": relation, "name": name, "report": report}))
        arguments += ["--reference", path]
    return arguments


# ---- layers that are gone -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("lost", [1, 4])
def test_a_sibling_that_lost_a_layer(stories, tmp_path, lost):
    where = copy(stories, tmp_path)
    without_layer_gguf(stories / "gguf/stories260K-F16.gguf", where / "m-F16.gguf", lost)
    done, report = smoke(where)
    assert done.returncode == 6 and report["artefacts"][1]["compared"] == ["differs from model.safetensors"]
    assert "has 5 layers, this one 4" in report["reasons"][0]


@pytest.mark.parametrize("relation", ["quantized", "maybe_quantized"])
def test_an_original_with_a_layer_more(stories, tmp_path, relation):
    where = without_layer(Model(stories / "hf-f32"), 2).write(tmp_path / "m")
    done, report = smoke(*held_against(tmp_path, ("org/base", stories / "hf-f32"), relation=relation), where)
    assert report["compared"] == ["differs from org/base"]
    if relation == "quantized":
        assert done.returncode == 6 and "has 5 layers, this one 4 (org/base)" in report["reasons"][0]
    else:
        assert done.returncode == 0 and [f["rule"] for f in report["findings"]] == ["reference"]


def test_daemon_rejects_a_quantised_form_without_a_layer(stories, tmp_path):
    where = tmp_path / "m"
    where.mkdir()
    without_layer_gguf(stories / "gguf/stories260K-Q6_K.gguf", where / "m-Q6_K.gguf", 2)
    with Registry(tmp_path / "reg") as reg:
        bring(reg, copy(stories, tmp_path / "base"), "org/base")
        shown = bring(reg, where, "org/lost-GGUF", base="org/base", relation="quantized", code=5)
        assert shown["state"] == "rejected" and "5 layers, this one 4" in shown["reason"] and shown["smoke"]["compared"][0].startswith("differs from org/base@")


def test_reports_of_old_tell_layers_alone(stories, tmp_path):
    """Of their numbers the head's are a part, stored or not: where those are others, that nothing is compared is said."""
    def of_old(report):
        for key in ("width", "experts", "layer_params"):
            del report["fingerprint"][key]
    base = held_against(tmp_path, ("org/base", stories / "hf-f32"), change=of_old)
    done, report = smoke(*base, without_layer(Model(stories / "hf-f32"), 2).write(tmp_path / "m"))
    assert done.returncode == 6 and report["compared"] == ["differs from org/base"]
    m = Model(stories / "hf-f32")
    m.tensors["lm_head.weight"] = m.tensors["model.embed_tokens.weight"][0], array.array("f", [v * 1.01 for v in m.values("model.embed_tokens.weight")])
    m.config["tie_word_embeddings"] = False
    done, report = smoke(*base, m.write(tmp_path / "untied"))
    assert done.returncode == 0 and report["compared"][0].startswith("is not compared with org/base: that has not the 292800 numbers of this one"), report["compared"]
    assert smoke(*base, stories / "hf-bf16")[1]["compared"] == ["agrees with org/base"]


def test_layers_for_further_tokens_do_not_count(stories, tmp_path):
    """They stand behind the last in one form and are left out of the other."""
    m = Model(stories / "hf-f32")
    m.config["num_nextn_predict_layers"] = 1
    m.tensors.update({n.replace("layers.4.", "layers.5."): t for n, t in m.tensors.items() if "layers.4." in n})
    where = m.write(tmp_path / "m")
    shutil.copyfile(stories / "gguf/stories260K-Q6_K.gguf", where / "m-Q6_K.gguf")
    done, report = smoke(where)
    assert done.returncode == 0 and report["artefacts"][1]["compared"] == ["agrees with model.safetensors"], report["reasons"]
    figures = [[a["fingerprint"][k] for k in ("width", "experts", "layer_params")] for a in report["artefacts"]]
    assert figures[0] == figures[1] == [64, 0, N_LAYERS * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 172)]


# ---- heads --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("good", [True, False])
def test_a_head_that_is_stored_does_not_make_another_model(stories, tmp_path, good):
    m = Model(stories / "hf-f32")
    shape, values = m.tensors["model.embed_tokens.weight"]
    noise = [1 if good else 1 + 0.4 * (((i * 7919 + 13) % 1000) / 500 - 1) for i in range(len(values))]
    m.tensors["lm_head.weight"] = shape, array.array("f", (v * (1 + 1e-7 * (i % 2)) * k for i, (v, k) in enumerate(zip(values, noise))))
    m.config["tie_word_embeddings"] = False
    done, report = smoke(*held_against(tmp_path, ("org/base", stories / "hf-f32")), m.write(tmp_path / "m"))
    assert report["compared"] == [f"{'agrees with' if good else 'differs from'} org/base"], report["reasons"]
    assert done.returncode == (0 if good else 6)


def padded(stories, where, rows, change=lambda m: None):
    """The trained model with more rows than tokens; change(m) to its tensors first."""
    m = Model(stories / "hf-f32")
    change(m)
    for name in [n for n in ("model.embed_tokens.weight", "lm_head.weight") if n in m.tensors]:
        (n, width), values = m.tensors[name]
        m.tensors[name] = [n + len(rows) // width, width], array.array("f", [*values, *rows])
        m.config["vocab_size"] = n + len(rows) // width
    return m.write(where)


ZEROS = [0.0] * 64 * 64


def test_a_vocabulary_that_is_padded(stories, tmp_path):
    """Rows that no token has cost a little, which is no other model: the one with more of them the more, whichever is held against the other."""
    plain, more = stories / "hf-f32", padded(stories, tmp_path / "more", ZEROS)
    for where, other in (plain, more), (more, plain):
        done, report = smoke(*held_against(tmp_path, ("org/base", other)), where)
        assert done.returncode == 0 and report["compared"][0].startswith("agrees with org/base: the vocabulary has "), report
    rows = [0.01 * ((i * 7919 + 13) % 101 - 50) / 50 for i in range(640)]    # as a program begins new tokens
    done, report = smoke(*held_against(tmp_path, ("org/base", plain)), padded(stories, tmp_path / "new", rows))
    assert done.returncode == 0 and "522 rows, and there 512" in report["compared"][0], report


def nudged(name, share):
    def change(m):
        values = m.values(name)
        m.tensors[name] = m.tensors[name][0], array.array("f", [v * (1 + share * (i % 7 == 0)) for i, v in enumerate(values)])
    return change


def untied(share):
    def change(m):
        m.tensors["lm_head.weight"] = m.tensors["model.embed_tokens.weight"]
        m.config["tie_word_embeddings"] = False
        nudged("lm_head.weight", share)(m)
    return change


@pytest.mark.parametrize("change, why", [
    (untied(1e-4), "the logits of the tokens that come next"), (nudged("model.layers.1.self_attn.v_proj.weight", 5e-4), "the residual stream"),
    (nudged("model.norm.weight", 1e-4), "the logits of the tokens that come next")])
def test_a_padded_vocabulary_hides_nothing(stories, tmp_path, change, why):
    done, report = smoke(*held_against(tmp_path, ("org/base", stories / "hf-f32")), padded(stories, tmp_path / "m", ZEROS, change))
    assert done.returncode == 6 and report["compared"] == ["differs from org/base"] and any(why in r for r in report["reasons"]), report


def test_rows_that_cost_more_than_padding(stories, tmp_path):
    """And a report of old, which does not tell how many there were, is held to the letter."""
    rows = [v * 1.5 for v in Model(stories / "hf-f32").values("model.embed_tokens.weight")[:64 * 300]]
    done, report = smoke(*held_against(tmp_path, ("org/base", stories / "hf-f32")), padded(stories, tmp_path / "m", rows))
    assert done.returncode == 6 and "upwards" in " ".join(report["reasons"]), report

    def of_old(report):
        report["fingerprint"].pop("vocab")
    done, report = smoke(*held_against(tmp_path, ("org/base", stories / "hf-f32"), change=of_old), padded(stories, tmp_path / "old", ZEROS))
    assert done.returncode == 6 and report["compared"] == ["differs from org/base"]


# ---- other models -------------------------------------------------------------------------------------------------------

def transposed_gguf(whole, path):
    keys, tensors = gguf_file.read(whole)
    dims, kind, raw = tensors["blk.1.attn_q.weight"]
    q = array.array("f", raw)
    tensors["blk.1.attn_q.weight"] = dims, kind, array.array("f", (q[j * 64 + i] for i in range(64) for j in range(64))).tobytes()
    gguf_file.write(path, keys, tensors)


@pytest.mark.parametrize("good", [True, False])
def test_another_model_beside_it_is_passed_over(stories, tmp_path, good):
    """The first of the folder is of another width; the first that is the same model counts."""
    where = shutil.copytree(TINY, tmp_path / "m")
    shutil.copyfile(stories / "gguf/stories260K-F16.gguf", where / "a-F16.gguf")
    if good:
        shutil.copyfile(stories / "gguf/stories260K-F32.gguf", where / "b-F32.gguf")
    else:
        transposed_gguf(stories / "gguf/stories260K-F32.gguf", where / "b-F32.gguf")
    done, report = smoke(where)
    compared = [a.get("compared") for a in report["artefacts"]]
    assert compared[0] is None and compared[2] == [f"{'agrees with' if good else 'differs from'} a-F16.gguf"]
    assert compared[1] == ["is not compared with model.safetensors: that is 96 wide, this one 64"]
    assert done.returncode == (0 if good else 6)


def test_an_original_of_another_width(stories, tmp_path):
    """The only one it says it has, or one of several that a repository of several models has."""
    done, report = smoke(*held_against(tmp_path, ("org/tiny", TINY)), stories / "hf-bf16")
    assert done.returncode == 6 and report["compared"] == ["differs from org/tiny"] and "is 96 wide, this one 64 (org/tiny)" in report["reasons"][0]
    done, report = smoke(*held_against(tmp_path, ("org/tiny", TINY), ("org/base", stories / "hf-f32")), stories / "hf-bf16")
    assert done.returncode == 0, report["reasons"]
    assert report["compared"] == ["is not compared with org/tiny: that is 96 wide, this one 64", "agrees with org/base"]


def test_an_original_that_is_one_of_several_in_its_repository(stories, tmp_path):
    where = shutil.copytree(TINY, tmp_path / "m")
    shutil.copyfile(stories / "gguf/stories260K-F16.gguf", where / "a-F16.gguf")
    done, report = smoke(*held_against(tmp_path, ("org/both", where)), stories / "gguf/stories260K-Q6_K.gguf")
    assert done.returncode == 0 and report["compared"] == ["agrees with org/both"], report["reasons"]


def quieter(stories, where, kind):
    """The trained model with a weaker network, as another training would leave it: in safetensors or as a GGUF."""
    if kind == "gguf":
        keys, tensors = gguf_file.read(stories / "gguf/stories260K-F32.gguf")
        for n, (dims, t, raw) in tensors.items():
            if n.endswith("ffn_up.weight"):
                tensors[n] = dims, t, array.array("f", (v * 0.8 for v in array.array("f", raw))).tobytes()
        gguf_file.write(where, keys, tensors)
        return
    m = Model(stories / "hf-f32")
    for layer in range(N_LAYERS):
        m.set_layer(layer, "mlp.up_proj", [v * 0.8 for v in m.layer(layer, "mlp.up_proj")])
    m.write(where)


def test_a_model_in_a_folder_comes_before_the_one_above(stories, tmp_path):
    """What lies beside it has a configuration of its own, and may be another model than the root's. A folder of GGUFs alone has not."""
    where = copy(stories, tmp_path)
    quieter(stories, where / "chat", "safetensors")
    quieter(stories, where / "chat/c-F32.gguf", "gguf")
    (where / "chat/gguf").mkdir()
    quieter(stories, where / "chat/gguf/c-F32.gguf", "gguf")
    (where / "gguf").mkdir()
    for kind in ("F32", "Q6_K"):
        shutil.copyfile(stories / f"gguf/stories260K-{kind}.gguf", where / f"gguf/m-{kind}.gguf")
    done, report = smoke(where)
    assert done.returncode == 0, report["reasons"]
    assert {a["file"]: a.get("compared") for a in report["artefacts"]} == {
        "model.safetensors": None, "chat/model.safetensors": None, "chat/c-F32.gguf": ["agrees with chat/model.safetensors"],
        "chat/gguf/c-F32.gguf": ["agrees with chat/model.safetensors"], "gguf/m-F32.gguf": ["agrees with model.safetensors"],
        "gguf/m-Q6_K.gguf": ["agrees with model.safetensors"]}
    shutil.copyfile(stories / "gguf/stories260K-F32.gguf", where / "chat/c-F32.gguf")
    done, report = smoke(where)
    assert done.returncode == 6 and {a["file"]: a["verdict"] for a in report["artefacts"]}["chat/c-F32.gguf"] == "fail"


# ---- what a precision may cost ------------------------------------------------------------------------------------------

def q4_0(raw):
    """Blocks of 32: a scale by the number of the largest size, which becomes -8."""
    values, out = array.array("f", raw), []
    for block in (values[i:i + 32] for i in range(0, len(values), 32)):
        d = struct.unpack("<e", struct.pack("<e", max(block, key=abs) / -8))[0]
        q = [min(15, int(v / d + 8.5)) for v in block]
        out.append(struct.pack("<e", d) + bytes(a | b << 4 for a, b in zip(q[:16], q[16:])))
    return b"".join(out)


def quantise(path, tensors, keys, where):
    new = {n: (dims, 2, q4_0(raw)) if "blk." in n and len(dims) == 2 and where(n, dims) else (dims, kind, raw) for n, (dims, kind, raw) in tensors.items()}
    gguf_file.write(path, keys, new)
    return path


def test_the_coarse_part_of_a_form_says_what_it_may_cost(stories, tmp_path):
    """Rows that are no whole blocks stay as they were, which is no reason to ask more of the others: 0.15 nats are for four bits."""
    keys, tensors = gguf_file.read(stories / "gguf/stories260K-F32.gguf")
    mixed = quantise(tmp_path / "mixed.gguf", tensors, keys, lambda n, dims: dims[0] % 32 == 0)
    base = held_against(tmp_path, ("org/base", stories / "hf-f32"))
    done, report = smoke(*base, mixed)
    assert done.returncode == 0 and report["compared"] == ["agrees with org/base"] and report["fingerprint"]["bits"] == 4.5, report["reasons"]
    assert report["loss_nats_per_token"] > 1.1785 + 0.05


@pytest.mark.parametrize("names, bits", [(("blk.1.attn_output.weight",), 8.5), (("attn_q.weight", "attn_output.weight"), 4.5)])
def test_of_less_than_a_tenth_nothing_follows(stories, names, bits, tmp_path):
    keys, tensors = gguf_file.read(stories / "gguf/wide-Q8_0.gguf")
    coarse = gguf_file.read(stories / "gguf/wide-Q4_0.gguf")[1]
    gguf_file.write(tmp_path / "m.gguf", keys, {n: coarse[n] if n.endswith(names) else t for n, t in tensors.items()})
    assert smoke(tmp_path / "m.gguf")[1]["fingerprint"]["bits"] == bits


# ---- other weights of the same types ------------------------------------------------------------------------------------

def by_hand(tmp_path, where):
    path = tmp_path / "by-hand.json"
    path.write_text(json.dumps(smoke(where)[1]))
    return ["--reference", path]


def test_one_quantised_anew_may_differ_a_little(stories, tmp_path):
    """With scales a little smaller, as a program that looks for the least error finds them."""
    keys, tensors = gguf_file.read(stories / "gguf/wide-Q4_0.gguf")
    base = by_hand(tmp_path, stories / "gguf/wide-Q4_0.gguf")
    for n, (dims, kind, raw) in tensors.items():
        if kind == 2:
            blocks = (raw[i:i + 18] for i in range(0, len(raw), 18))
            tensors[n] = dims, kind, b"".join(struct.pack("<e", struct.unpack("<e", b[:2])[0] * 0.995) + b[2:] for b in blocks)
    gguf_file.write(tmp_path / "m.gguf", keys, tensors)
    done, report = smoke(*base, tmp_path / "m.gguf")
    assert done.returncode == 0, report["reasons"]
    assert report["compared"][0].startswith("agrees with wide-Q4_0.gguf: other weights of the same types; the loss is off by 0.0"), report["compared"]
    assert report["compared"][0].endswith("and may be by 0.05")


def test_one_page_of_another_tensor_is_more_than_that(stories, tmp_path):
    """Held against the same file as it was; against another form of the model it is within what four bits cost."""
    keys, tensors = gguf_file.read(stories / "gguf/wide-IQ4_XS.gguf")
    base = by_hand(tmp_path, stories / "gguf/wide-IQ4_XS.gguf")
    dims, kind, raw = tensors["blk.1.ffn_up.weight"]
    tensors["blk.1.ffn_up.weight"] = dims, kind, tensors["blk.3.ffn_up.weight"][2][:4096] + raw[4096:]
    gguf_file.write(tmp_path / "m.gguf", keys, tensors)
    assert smoke(tmp_path / "m.gguf")[1]["verdict"] == "pass"
    done, report = smoke(*base, tmp_path / "m.gguf")
    assert done.returncode == 6 and report["compared"] == ["differs from wide-IQ4_XS.gguf"] and "may differ by 0.05" in report["reasons"][0], report


def test_weights_of_another_revision_are_named_such(stories, tmp_path):
    m = Model(stories / "hf-f32")
    m.tensors["model.norm.weight"] = [64], array.array("f", [v * 1.001 for v in m.values("model.norm.weight")])
    done, report = smoke(*held_against(tmp_path, ("org/m", stories / "hf-f32"), relation="other_weights"), m.write(tmp_path / "m"))
    assert done.returncode == 0 and report["compared"] == ["agrees with org/m: other weights of the same types; 0.792 bits a byte for 0.792"]
