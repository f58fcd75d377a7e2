"""The first layer of checks: what is written twice in a checkpoint must agree, and nothing in it may be passed over in silence."""
import array
import json
import os
import shutil
import struct
import subprocess

import pytest

from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import SMOKE, smoke, write_tensors, read_tensors

TIED = ROOT / "tests/models/tiny-story"             # 768 tokens, the head is the embedding
UNTIED = ROOT / "tests/models/tiny-story-bpe"       # 512 tokens, two shards, its own head


def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "m")


def edit(path, **keys):
    o = json.loads(path.read_text())
    o.update(keys)
    path.write_text(json.dumps(o))


def rules(report, severity):
    return {(f["rule"], f["path"]) for f in report["findings"] if f["severity"] == severity}


@pytest.mark.parametrize("file, key, value, words", [
    ("config.json", "eos_token_id", 768, "eos_token_id 768 has no row"),
    ("config.json", "eos_token_id", [2, 900], "eos_token_id 900 has no row"),
    ("config.json", "pad_token_id", 768, "pad_token_id 768"),
    ("generation_config.json", "bos_token_id", 5000, "bos_token_id 5000"),
    ("generation_config.json", "eos_token_id", [2, 768], "eos_token_id 768"),
    ("generation_config.json", "pad_token_id", 1 << 40, "pad_token_id 1099511627776"),
])
def test_ids_have_a_row(tmp_path, file, key, value, words):
    where = copy(TIED, tmp_path)
    edit(where / file, **{key: value})
    done, report = smoke(where)
    assert done.returncode == 6 and words in " ".join(report["reasons"])
    assert ("config.token_id", file) in rules(report, "reject")
    assert report["bits_per_byte"] < 1, "what else there is to know is still found out"


@pytest.mark.parametrize("value", [None, -1, [1, 2]])
def test_ids_that_mean_none_and_lists_are_fine(tmp_path, value):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", pad_token_id=value)
    done, report = smoke(where)
    assert done.returncode == 0 and not report["findings"]


def remove_token(where, token):
    """The tokenizer loses a token; its row in the embedding stays, as padding."""
    tokenizer = json.loads((where / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["content"] != token]
    tokenizer["model"]["vocab"].pop(token, None)
    (where / "tokenizer.json").write_text(json.dumps(tokenizer))
    edit(where / "tokenizer_config.json", eos_token=None)


PAD = {"content": "[PAD]", "special": True, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}


def beside(where, kind, id):
    """A token that tokenizer.json does not know, as other files say it."""
    if kind == "added_tokens.json":
        (where / kind).write_text(json.dumps({"[PAD]": id}))
    elif kind == "special_tokens_map.json":
        (where / kind).write_text(json.dumps({"pad_token": {"content": "[PAD]"}}))
    elif kind == "decoder":
        edit(where / "tokenizer_config.json", added_tokens_decoder={str(id): PAD})
    elif kind == "list":
        edit(where / "tokenizer_config.json", additional_special_tokens=["[PAD]"])
    else:
        edit(where / "tokenizer_config.json", pad_token="[PAD]")


BESIDE = ["added_tokens.json", "special_tokens_map.json", "decoder", "list", "name"]


@pytest.mark.parametrize("kind", BESIDE)
def test_tokens_beside_tokenizer_json_need_rows(tmp_path, kind):
    """The library gives a token that the vocabulary lacks the next id, whatever id the file says."""
    where = copy(TIED, tmp_path)
    beside(where, kind, 1500)
    (tmp_path / "text").write_text("Once [PAD] upon a time there was a little girl")
    done, report = smoke(where)
    assert done.returncode == 6 and "the tokenizer has a token 768" in " ".join(report["reasons"])
    tensors = read_tensors(where / "model.safetensors")
    dtype, shape, raw = tensors["model.embed_tokens.weight"]
    tensors["model.embed_tokens.weight"] = dtype, [shape[0] + 8, shape[1]], raw + raw[:len(raw) // shape[0] * 8]
    write_tensors(where / "model.safetensors", tensors)
    edit(where / "config.json", vocab_size=shape[0] + 8)
    done, report = smoke(where)
    assert done.returncode == 0, "a row for it makes it good"
    assert 768 in smoke("--text", tmp_path / "text", where)[1]["tokens"]


def test_files_that_repeat_tokens_are_harmless(tmp_path):
    where = copy(TIED, tmp_path)
    known = json.loads((where / "tokenizer.json").read_text())["added_tokens"]
    assert known
    (where / "added_tokens.json").write_text(json.dumps({t["content"]: t["id"] + 900 for t in known}))
    (where / "special_tokens_map.json").write_text(json.dumps({"pad_token": known[0]["content"], "additional_special_tokens": [t["content"] for t in known]}))
    done, report = smoke(where)
    assert done.returncode == 0 and not report["findings"]
    assert report["tokens"] == smoke(TIED)[1]["tokens"]
    edit(where / "tokenizer_config.json", added_tokens_decoder={str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in known})
    (where / "special_tokens_map.json").write_text('{"pad_token": "[PAD]"}')
    done, report = smoke(where)
    assert done.returncode == 0 and not report["findings"], "which the library does not look into then"


def test_a_text_must_be_able_to_end(tmp_path):
    where = copy(UNTIED, tmp_path)
    remove_token(where, "<|end_of_text|>")
    done, report = smoke(where)
    assert done.returncode == 6 and "no text ends" in " ".join(report["reasons"])


def test_another_end_than_the_tokenizers_is_named(tmp_path):
    where = copy(TIED, tmp_path)
    edit(where / "generation_config.json", eos_token_id=7)
    done, report = smoke(where)
    assert done.returncode == 0 and ("config.token_id", "generation_config.json") in rules(report, "flag")


def test_head_tied_and_yet_another(tmp_path):
    where = copy(UNTIED, tmp_path)
    edit(where / "config.json", tie_word_embeddings=True)
    done, report = smoke(where)
    assert done.returncode == 6 and any(rule == "plan.tied" for rule, _ in rules(report, "reject"))
    assert "lm_head.weight is not model.embed_tokens.weight" in " ".join(report["reasons"])


def add_head(where, change=0):
    tensors = read_tensors(where / "model.safetensors")
    dtype, shape, raw = tensors["model.embed_tokens.weight"]
    head = array.array("H", raw)
    head[-1] ^= change
    tensors["lm_head.weight"] = dtype, shape, head.tobytes()
    write_tensors(where / "model.safetensors", tensors)


def test_head_tied_and_stored_as_well_is_fine(tmp_path):
    where = copy(TIED, tmp_path)
    add_head(where)
    done, report = smoke(where)
    assert done.returncode == 0 and not report["findings"]


def test_one_bit_of_a_tied_head(tmp_path):
    where = copy(TIED, tmp_path)
    add_head(where, change=1)
    assert smoke(where)[0].returncode == 6


def as_float(raw):
    """Of BF16, each as it is in F32."""
    return array.array("I", [v << 16 for v in array.array("H", raw)]).tobytes()


def add_wide_head(where, change=None):
    """A head in F32 beside an embedding in BF16."""
    tensors = read_tensors(where / "model.safetensors")
    _, shape, raw = tensors["model.embed_tokens.weight"]
    head = array.array("f", as_float(raw))
    if change:
        head[-1] = change(head[-1])
    tensors["lm_head.weight"] = "F32", shape, head.tobytes()
    write_tensors(where / "model.safetensors", tensors)


@pytest.mark.parametrize("change", [None, lambda v: v * 1.003])
def test_a_tied_head_in_another_type_may_be_rounded(tmp_path, change):
    where = copy(TIED, tmp_path)
    add_wide_head(where, change)
    done, report = smoke(where)
    assert done.returncode == 0 and not report["findings"]


def test_a_tied_head_in_another_type_that_is_another(tmp_path):
    where = copy(TIED, tmp_path)
    add_wide_head(where, lambda v: v * 1.05)
    done, report = smoke(where)
    assert done.returncode == 6 and any(rule == "plan.tied" for rule, _ in rules(report, "reject"))


def test_a_tied_head_of_another_shape(tmp_path):
    where = copy(TIED, tmp_path)
    add_wide_head(where)
    tensors = read_tensors(where / "model.safetensors")
    dtype, shape, raw = tensors["lm_head.weight"]
    tensors["lm_head.weight"] = dtype, [shape[0] - 1, shape[1]], raw[:-4 * shape[1]]
    write_tensors(where / "model.safetensors", tensors)
    assert smoke(where)[0].returncode == 6


def test_a_tied_head_that_can_not_be_compared_is_named(tmp_path):
    where = copy(TIED, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    _, shape, raw = tensors["model.embed_tokens.weight"]
    tensors["lm_head.weight"] = "I8", shape, raw[1::2]
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 0 and any(rule == "plan.tied" for rule, _ in rules(report, "flag"))


def test_a_tied_model_of_which_the_head_was_kept(tmp_path):
    """safetensors' save_model writes memory that two tensors share once, under the name that comes first."""
    where = copy(TIED, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 0 and any(rule == "plan.tied" for rule, _ in rules(report, "flag"))
    assert report["bits_per_byte"] == smoke(TIED)[1]["bits_per_byte"]
    edit(where / "config.json", tie_word_embeddings=False)
    assert smoke(where)[0].returncode == 6, "else there is no embedding"


def test_head_not_tied_and_yet_the_same_is_named(tmp_path):
    where = copy(TIED, tmp_path)
    add_head(where)
    edit(where / "config.json", tie_word_embeddings=False)
    done, report = smoke(where)
    assert done.returncode == 0 and any(rule == "plan.tied" for rule, _ in rules(report, "flag"))


@pytest.mark.parametrize("key, value", [("embedding_multiplier", 12.0), ("position_embedding_type", "relative"), ("parallel_block", True), ("query_gate", 1)])
def test_unknown_mathematics(tmp_path, key, value):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", **{key: value})
    done, report = smoke(where)
    assert done.returncode == 6 and key in " ".join(report["reasons"])


@pytest.mark.parametrize("key, value, word", [("alibi", True, "alibi is true"), ("interpolate_factor", 2, "interpolate_factor is 2"), ("norm_type", "rms", "norm_type")])
def test_known_mathematics_with_another_value_is_not_run(tmp_path, key, value, word):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", **{key: value})
    done, report = smoke(where)
    assert done.returncode == 5 and word in " ".join(report["reasons"])


def test_unknown_key_that_sounds_harmless_is_named(tmp_path):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", flux_compensator=3)
    done, report = smoke(where)
    assert done.returncode == 0 and "flux_compensator" in report["findings"][0]["message"] and report["findings"][0]["severity"] == "flag"


def test_leftovers_of_classes_and_tools_raise_no_alarm(tmp_path):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", temperature=1.0, repetition_penalty=1.0, id2label={"0": "LABEL_0"}, pruned_heads={}, unsloth_fixed=True, top_k=50,
         output_attentions=False, image_token_index=5, attention_probs=None, **{"transformers.js_config": {"dtype": "q4"}})
    done, report = smoke(where)
    assert done.returncode == 0 and not report["findings"]


def test_index_and_shards(tmp_path):
    where = copy(UNTIED, tmp_path)
    path = where / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["metadata"]["total_size"] += 2
    path.write_text(json.dumps(index))
    report = smoke(where)[1]
    assert any(rule == "idx.total_size" for rule, _ in rules(report, "flag"))
    index["weight_map"].pop("model.norm.weight")
    path.write_text(json.dumps(index))
    done, report = smoke(where)
    assert done.returncode == 6 and "tensor model.norm.weight is not in the index" in " ".join(report["reasons"])
    assert any(rule == "plan.unlisted" for rule, _ in rules(report, "reject")) and any(rule == "idx.unlisted" for rule, _ in rules(report, "flag"))
    index["weight_map"]["model.norm.weight"] = "model-00001-of-00002.safetensors" if "00002" in index["weight_map"]["lm_head.weight"] else "x"
    index["weight_map"]["model.layers.9.mlp.up_proj.weight"] = "model-00002-of-00002.safetensors"
    path.write_text(json.dumps(index))
    done, report = smoke(where)
    assert done.returncode == 6 and any(rule == "idx.missing_tensor" for rule, _ in rules(report, "reject"))


def test_what_nothing_needs_may_be_unlisted(tmp_path):
    """A tied head, and frequencies that every program works out itself."""
    where = copy(TIED, tmp_path)
    add_head(where)
    tensors = read_tensors(where / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = "F32", [4], struct.pack("<4f", 1, 0.1, 0.01, 0.001)
    (where / "model.safetensors").unlink()
    write_tensors(where / "model-00001-of-00001.safetensors", tensors)
    listed = {n: "model-00001-of-00001.safetensors" for n in tensors if n != "lm_head.weight" and not n.endswith("inv_freq")}
    (where / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    done, report = smoke(where)
    assert done.returncode == 0 and len([f for f in report["findings"] if f["rule"] == "idx.unlisted"]) == 2


def test_tensor_that_nothing_needs(tmp_path):
    where = copy(TIED, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    tensors["model.layers.0.mlp.adapter.weight"] = "F32", [2], bytes(8)
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 6 and any(rule == "plan.unexpected" for rule, _ in rules(report, "reject"))


def test_eight_bit_floats_need_scales_whatever_the_configuration_says(tmp_path):
    where = copy(TIED, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    dtype, shape, raw = tensors[name]
    tensors[name] = "F8_E4M3", shape, raw[1::2]
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 6 and "scale" in " ".join(report["reasons"]), report["reasons"]


# ---- every weight file belongs to a checkpoint --------------------------------------------------------------------------

def strays(report):
    return {f["path"] for f in report["findings"] if f["rule"] == "idx.stray" and f["severity"] == "reject"}


def test_part_that_no_index_names(tmp_path):
    """Beside a good model lie numbers that are none, in a file that nothing loads: they would be published with it."""
    where = copy(TIED, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    nan = {n: (dtype, shape, b"\xff\x7f" * (len(raw) // 2)) for n, (dtype, shape, raw) in tensors.items()}
    write_tensors(where / "model-00002-of-00003.safetensors", nan)
    done, report = smoke(where)
    assert done.returncode == 6 and strays(report) == {"model-00002-of-00003.safetensors"}
    assert any(f["rule"] == "stats.nonfinite" for f in report["findings"]), "and its numbers were looked at"
    assert [a["verdict"] for a in report["artefacts"]] == ["pass", "fail"]


def test_shard_more_than_the_index_has(tmp_path):
    where = copy(UNTIED, tmp_path)
    assert smoke(where)[0].returncode == 0
    shutil.copy(where / "model-00002-of-00002.safetensors", where / "model-00003-of-00003.safetensors")
    done, report = smoke(where)
    assert done.returncode == 6 and strays(report) == {"model-00003-of-00003.safetensors"}


@pytest.mark.parametrize("name", ["y-Q4_K_M-00002-of-00003.gguf", "gguf/y-00003-of-00002.gguf"])
def test_part_of_a_gguf_that_has_no_first(tmp_path, name):
    where = copy(TIED, tmp_path)
    (where / name).parent.mkdir(exist_ok=True)
    (where / name).write_bytes(b"garbage")
    done, report = smoke(where)
    assert done.returncode == 6 and strays(report) == {name}


@pytest.mark.parametrize("name", [".hidden.safetensors", ".cache/model.safetensors", "a/b/c/d/e/f/model.safetensors"])
def test_weights_in_odd_places_are_looked_at(tmp_path, name):
    where = copy(TIED, tmp_path)
    (where / name).parent.mkdir(parents=True, exist_ok=True)
    (where / name).write_bytes(b"garbage")
    done, report = smoke(where)
    assert done.returncode == 6 and {a["file"]: a["verdict"] for a in report["artefacts"]} == {"model.safetensors": "pass", name: "fail"}


def gguf(tensors, **keys):
    """A GGUF with numbers for keys (U16, or I32 where they are called so) and F32 vectors of four."""
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys) + 1) + text("general.architecture") + struct.pack("<I", 8) + text("llama")
    for key, value in keys.items():
        out += text(key.replace("_", ".")) + (struct.pack("<Ii", 5, value) if "tensors" in key else struct.pack("<IH", 2, value))
    for i, name in enumerate(tensors):
        out += text(name) + struct.pack("<IQIQ", 1, 4, 0, 32 * i)
    return out + b"\0" * (-len(out) % 32) + b"".join(struct.pack("<4f", 1, 2, 3, 4) + bytes(16) for _ in tensors)[:32 * len(tensors)]


@pytest.mark.parametrize("first, second, words", [
    ({"split_no": 0, "split_count": 2, "split_tensors_count": 3}, {"split_no": 1, "split_count": 2}, None),
    ({"split_no": 0, "split_count": 2}, {"split_no": 0, "split_count": 2}, "is called part 2 of 2, and says that it is part 1 of 2"),
    ({"split_no": 0, "split_count": 2}, {"split_no": 1, "split_count": 3}, "says that it is part 2 of 3"),
    ({"split_no": 0, "split_count": 3}, {"split_no": 1, "split_count": 2}, "is called part 1 of 2, and says that it is part 1 of 3"),
    ({}, {"split_no": 1, "split_count": 2}, "says nothing of parts"),
    ({"split_no": 0, "split_count": 2}, {}, "says nothing of parts"),
    ({"split_no": 0, "split_count": 2, "split_tensors_count": 99}, {"split_no": 1, "split_count": 2}, "all parts hold 99 tensors, and they hold 3"),
])
def test_parts_of_a_gguf_say_the_same(tmp_path, first, second, words):
    (tmp_path / "m-00001-of-00002.gguf").write_bytes(gguf(["a", "b"], **first))
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(gguf(["c"], **second))
    report = smoke(tmp_path)[1]
    said = [f["message"] for f in report["findings"] if f["rule"] == "gguf.split"]
    assert report["verdict"] == "fail" and (words in said[0] if words else not said), (said, report["reasons"])


@pytest.mark.parametrize("no, words", [(0, "it is part 1 of 2 of a split model and not called so"), (1, "it is part 2 of 2 of a split model; the first part is wanted")])
def test_parts_of_a_gguf_that_were_renamed(tmp_path, no, words):
    (tmp_path / "part.gguf").write_bytes(gguf(["a"], split_no=no, split_count=2))
    done, report = smoke(tmp_path)
    assert done.returncode == 6 and words in report["reasons"][0], report["reasons"]


# ---- keys that a class does not look at, and those that it does ---------------------------------------------------------

@pytest.mark.parametrize("keys", [
    {"final_logit_softcapping": 0.5}, {"attn_logit_softcapping": 0.5}, {"partial_rotary_factor": 0.5}, {"rotary_pct": 0.5},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
    {"dual_chunk_attention_config": {"chunk_size": 262144, "local_size": 8192}}])
@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "MistralForCausalLM"])
def test_keys_of_other_classes_change_nothing(tmp_path, architecture, keys):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", architectures=[architecture])
    good = smoke(where)[1]
    assert json.loads((where / "config.json").read_text()).get("rope_theta", 10000.0) == 10000.0
    edit(where / "config.json", **keys)
    report = smoke(where)[1]
    assert report["verdict"] == "pass" and report["loss_nats_per_token"] == good["loss_nats_per_token"], report["reasons"]


def test_chunks_that_a_text_would_leave_are_not_run(tmp_path):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", dual_chunk_attention_config={"chunk_size": 256})
    done, report = smoke(where)
    assert done.returncode == 5 and "chunk_size" in report["reasons"][0]


def test_packed_by_mlx_is_not_run(tmp_path):
    where = copy(TIED, tmp_path)
    edit(where / "config.json", quantization={"bits": 4, "group_size": 64})
    done, report = smoke(where)
    assert done.returncode == 5 and "mlx" in report["reasons"][0]


@pytest.mark.parametrize("token", ["<s>", "</s>", "<unk>"])
def test_a_text_may_spell_special_tokens(shared, tmp_path, token):
    (tmp_path / "text").write_text(f"Once upon a time there was a little girl named Lily. {token} She liked to play in the park every day and was happy. One day she saw a big ball.")
    done, report = smoke("--text", tmp_path / "text", shared / "data/models/stories260K/hf-f32")
    assert "give the text back" not in " ".join(report["reasons"]) and done.returncode == 0, report["reasons"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_links_are_an_error_with_a_hint(tmp_path, name):
    """A cache of downloads consists of links, which the sandbox does not follow: that is not the model's fault."""
    where = copy(TIED, tmp_path)
    shutil.move(where / name, tmp_path / "blob")
    (where / name).symlink_to("../blob")
    done, report = smoke(where)
    assert done.returncode == 1 and report["verdict"] == "error" and f"{name} is a link" in report["reasons"][0]


def test_normalisers_that_double_a_text(tmp_path):
    where = copy(TIED, tmp_path)
    tokenizer = json.loads((where / "tokenizer.json").read_text())
    double = {"type": "Replace", "pattern": {"String": "e"}, "content": "ee"}
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [double] * 40}
    (where / "tokenizer.json").write_text(json.dumps(tokenizer))
    done = subprocess.run([SMOKE, "--json", where], capture_output=True, text=True, timeout=20)
    assert done.returncode == 6 and "the normalizer makes more than" in done.stdout


# ---- a context too short to judge by ------------------------------------------------------------------------------------

@pytest.mark.parametrize("n", [1, 2, 8, 31])
def test_a_short_context_switches_nothing_off(shared, tmp_path, n):
    where = copy(shared / "data/models/stories260K/hf-f32", tmp_path)
    for path in where.iterdir():
        path.chmod(0o644)
    edit(where / "config.json", max_position_embeddings=n)
    done, report = smoke(where)
    assert done.returncode == 0 and report["prompt_tokens"] == 64
    tensors = read_tensors(where / "model.safetensors")
    for name in [name for name in tensors if ".gate_proj." in name]:
        other = name.replace("gate", "up")
        tensors[name], tensors[other] = tensors[other], tensors[name]
    write_tensors(where / "model.safetensors", tensors)
    assert smoke(where)[0].returncode == 6


@pytest.mark.parametrize("n", [1, 2, 31])
def test_a_context_that_ends_is_too_short(tmp_path, n):
    """Frequencies that depend on the length behind it are not run there."""
    where = copy(TIED, tmp_path)
    edit(where / "config.json", max_position_embeddings=n, rope_scaling={"type": "dynamic", "factor": 2.0})
    done, report = smoke(where)
    assert done.returncode == 5 and "too few tokens to judge" in report["reasons"][0], report["reasons"]
    assert "nan" not in " ".join(report["reasons"])


def test_few_tokens_are_no_pass():
    done, report = smoke("--tokens", 31, TIED)
    assert done.returncode == 5 and "too few tokens to judge" in report["reasons"][0]
    assert smoke("--tokens", 32, TIED)[0].returncode == 0


# ---- clear answers ------------------------------------------------------------------------------------------------------

def test_no_weights_have_no_figures(tmp_path):
    report = smoke(tmp_path)[1]
    assert report["verdict"] == "not_run" and all(report[k] is None for k in ("bits_per_byte", "loss_nats_per_token", "perplexity", "load_s", "tokens_per_s"))


@pytest.mark.parametrize("id", [-1, 1 << 40])
def test_token_with_an_id_out_of_range(tmp_path, id):
    where = copy(TIED, tmp_path)
    tokenizer = json.loads((where / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"][next(iter(tokenizer["model"]["vocab"]))] = id
    (where / "tokenizer.json").write_text(json.dumps(tokenizer))
    done, report = smoke(where)
    assert done.returncode == 6 and report["verdict"] == "fail" and f"has id {id}" in " ".join(report["reasons"])


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "x.gguf", "tokenizer.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("inspect", [False, True])
def test_pipes_are_not_waited_for(tmp_path, name, inspect):
    where = copy(TIED, tmp_path)
    (where / name).unlink(missing_ok=True)
    os.mkfifo(where / name)
    done = subprocess.run([SMOKE, "--json", *["--inspect"] * inspect, where], capture_output=True, text=True, timeout=30)
    assert done.returncode in (1, 5, 6), done.stdout[-500:]


def test_instruction_sets(tmp_path):
    done = subprocess.run([SMOKE, "--isa", "foo", TIED], capture_output=True, text=True)
    assert done.returncode == 2 and '"foo"' in done.stderr and done.stderr.count("\n") == 1
    flags = next(line for line in open("/proc/cpuinfo") if line.startswith("flags")).split()
    for isa, flag in (("avx2", "avx2"), ("avx512", "avx512f"), ("amx", "amx_bf16")):
        if flag not in flags:
            done, report = smoke("--isa", isa, TIED)
            assert done.returncode == 1 and f"this processor has no {isa}" in " ".join(report["reasons"])


@pytest.mark.parametrize("name, shape", [
    ("model.layers.0.self_attn.q_proj.weight", lambda s: [1, *s]), ("model.layers.0.self_attn.q_proj.weight", lambda s: [*s, 1]),
    ("model.layers.0.mlp.up_proj.weight", lambda s: s[::-1]), ("model.layers.0.input_layernorm.weight", lambda s: [1, *s]),
    ("model.norm.weight", lambda s: [*s, 1]), ("model.embed_tokens.weight", lambda s: [1, *s]),
])
def test_shapes_are_exact(tmp_path, name, shape):
    where = copy(TIED, tmp_path)
    tensors = read_tensors(where / "model.safetensors")
    dtype, dims, raw = tensors[name]
    tensors[name] = dtype, shape(dims), raw
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 6 and f"tensor {name} has the shape {shape(dims)}, expected {dims}" in " ".join(report["reasons"])
