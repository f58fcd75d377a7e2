"""Checkpoints that are not run: encoders, rerankers, vision, speech, parts of pipelines, adapters. Their structure and numbers count."""
import array
import json
import random
import shutil
import subprocess

import pytest

from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import SMOKE, read_tensors, smoke, write_tensors

KINDS = json.loads((ROOT / "tests/data/kinds.json").read_text())
PARTIAL = {"unet", "vae", "flux", "sd3"}    # of these only some tensors follow from the configuration
WHOLE = sorted(set(KINDS) - PARTIAL - {"lora"})


def build(where, name, **config):
    """A checkpoint of this kind with random numbers, of a size that its place calls for."""
    kind, rnd, tensors = KINDS[name], random.Random(name), {}
    for tensor, shape in kind["tensors"].items():
        n = 1
        for d in shape:
            n *= d
        tensors[tensor] = "F32", shape, array.array("f", (rnd.gauss(0, 0.02) for _ in range(n))).tobytes()
    where.mkdir(parents=True)
    write_tensors(where / kind["file"], tensors)
    (where / kind["config_file"]).write_text(json.dumps({**kind["config"], **config}))
    return where


def change(where, name, tensor, how):
    path = where / KINDS[name]["file"]
    tensors = read_tensors(path)
    how(tensors, tensor)
    write_tensors(path, tensors)


def some_matrix(name):
    """One in the middle of the model."""
    names = [t for t, shape in KINDS[name]["tensors"].items() if len(shape) == 2 and min(shape) > 1 and "." in t and any(c.isdigit() for c in t)]
    return names[len(names) // 2]


@pytest.mark.parametrize("name", WHOLE)
def test_built_as_demanded(tmp_path, name):
    done, report = smoke(build(tmp_path / "m", name))
    assert done.returncode == 5 and report["verdict"] == "not_run", report
    assert report["reasons"][0].startswith("not run: task ")
    assert report["reasons"][1] == f"built as its configuration demands: {len(KINDS[name]['tensors'])} tensors, 0 more that it says nothing of"
    assert report["reasons"][2] == f"all of its {report['params']} numbers were looked at"
    assert not report["findings"]


@pytest.mark.parametrize("name", sorted(PARTIAL))
def test_ends_of_pipelines_parts(tmp_path, name):
    done, report = smoke(build(tmp_path / "m", name))
    assert done.returncode == 5 and report["reasons"][0] == "not run: task text-to-image" and "as far as" in report["reasons"][1]
    assert not [f for f in report["findings"] if f["severity"] == "reject"]


@pytest.mark.parametrize("name", WHOLE)
def test_tensor_missing(tmp_path, name):
    where, tensor = build(tmp_path / "m", name), some_matrix(name)
    change(where, name, tensor, lambda tensors, t: tensors.pop(t))
    done, report = smoke(where)
    assert done.returncode == 6 and f"tensor {tensor} is missing" in " ".join(report["reasons"])


@pytest.mark.parametrize("name", WHOLE)
def test_tensor_of_another_shape(tmp_path, name):
    where, tensor = build(tmp_path / "m", name), some_matrix(name)

    def cut(tensors, t):
        dtype, (rows, cols), raw = tensors[t]
        tensors[t] = dtype, [rows - 1, cols], raw[:-4 * cols]
    change(where, name, tensor, cut)
    done, report = smoke(where)
    assert done.returncode == 6 and tensor in " ".join(report["reasons"]) and "shape" in " ".join(report["reasons"])


@pytest.mark.parametrize("name", WHOLE)
def test_layer_more_than_there_is(tmp_path, name):
    layers = {"distilbert": "n_layers", "t5": "num_layers", "t5-encoder": "num_layers", "whisper": "decoder_layers"}.get(name, "num_hidden_layers")
    config = {layers: 3}
    if name in ("clip", "siglip"):
        config = {"text_config": {**KINDS[name]["config"]["text_config"], layers: 3}}
    done, report = smoke(build(tmp_path / "m", name, **config))
    assert done.returncode == 6 and "missing" in " ".join(report["reasons"])


@pytest.mark.parametrize("name", sorted(KINDS))
def test_nan(tmp_path, name):
    where, tensor = build(tmp_path / "m", name), some_matrix(name)

    def spoil(tensors, t):
        dtype, shape, raw = tensors[t]
        values = array.array("f", raw)
        values[len(values) // 2] = float("nan")
        tensors[t] = dtype, shape, values.tobytes()
    change(where, name, tensor, spoil)
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "stats.nonfinite" and tensor in f["message"] for f in report["findings"])


@pytest.mark.parametrize("name", WHOLE)
def test_zeros_where_a_download_stopped(tmp_path, name):
    where, tensor = build(tmp_path / "m", name), some_matrix(name)
    change(where, name, tensor, lambda tensors, t: tensors.update({t: (*tensors[t][:2], bytes(len(tensors[t][2])))}))
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "stats.zero" for f in report["findings"] if f["severity"] == "reject")


def test_holes(tmp_path):
    """A matrix of which a third is zero, where its likes in other layers have none."""
    where, rnd = build(tmp_path / "m", "bert", num_hidden_layers=6), random.Random(1)
    tensors = read_tensors(where / "model.safetensors")
    for name, (dtype, shape, raw) in list(tensors.items()):
        for layer in range(2, 6) if ".layer.0." in name else ():
            tensors[name.replace(".0.", f".{layer}.")] = dtype, shape, array.array("f", (rnd.gauss(0, 0.02) for _ in range(len(raw) // 4))).tobytes()
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 5 and not report["findings"], report["findings"]
    name = "encoder.layer.3.output.dense.weight"
    dtype, shape, raw = tensors[name]
    tensors[name] = dtype, shape, raw[:len(raw) // 3] + bytes(len(raw) // 12 * 4) + raw[len(raw) // 3 + len(raw) // 12 * 4:]
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 6 and [(f["rule"], name in f["message"]) for f in report["findings"]] == [("stats.holes", True)]


@pytest.mark.parametrize("name", ["bert", "whisper", "unet", "lora"])
def test_cut_file(tmp_path, name):
    where = build(tmp_path / "m", name)
    path = where / KINDS[name]["file"]
    path.write_bytes(path.read_bytes()[:-100])
    assert smoke(where)[0].returncode == 6


def test_size_that_the_configuration_lacks(tmp_path):
    where = build(tmp_path / "m", "bert")
    (where / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "num_hidden_layers": "two"}))
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "shape.config" for f in report["findings"])


def test_sentence_encoder(tmp_path):
    """A pooling that does not fit the encoder; a layer behind it with a file of its own."""
    where = build(tmp_path / "m", "mpnet")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
               {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
    (where / "modules.json").write_text(json.dumps(modules))
    (where / "1_Pooling").mkdir()
    (where / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}))
    (where / "2_Dense").mkdir()
    (where / "2_Dense/config.json").write_text(json.dumps({"in_features": 24, "out_features": 8, "bias": True}))
    values = array.array("f", range(1, 24 * 8 + 1)).tobytes()
    write_tensors(where / "2_Dense/model.safetensors", {"linear.weight": ("F32", [8, 24], values), "linear.bias": ("F32", [8], values[:32])})
    done, report = smoke(where)
    assert done.returncode == 5 and [a["file"] for a in report["artefacts"]] == ["model.safetensors", "2_Dense/model.safetensors"], report
    write_tensors(where / "2_Dense/model.safetensors", {"linear.weight": ("F32", [24, 8], values)})
    done, report = smoke(where)
    assert done.returncode == 6 and report["findings"][0]["path"] == "2_Dense/model.safetensors"
    (where / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 384}))
    assert any(f["rule"] == "shape.pooling" for f in smoke(where)[1]["findings"])


def test_tokenizer_with_more_tokens_than_rows(tmp_path):
    """A word-piece vocabulary of 99 fits an embedding of 99 rows; one of 100 does not."""
    where = build(tmp_path / "m", "bert")
    for n, status in ((99, 5), (100, 6)):
        vocab = {"[UNK]": 0, **{f"w{i}": i for i in range(1, n)}}
        (where / "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}}))
        done, report = smoke(where)
        assert done.returncode == status, report["reasons"]
    assert "token 99, but the embedding only 99 rows" in report["reasons"][0]


def test_pipeline_of_folders(tmp_path):
    """Each part has a verdict, and one that is damaged is the whole's."""
    where = tmp_path / "m"
    for name, folder in (("unet", "unet"), ("vae", "vae"), ("clip-text", "text_encoder")):
        build(where / folder, name)
    (where / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}))
    done, report = smoke(where)
    assert done.returncode == 5 and [(a["file"].split("/")[0], a["verdict"]) for a in report["artefacts"]] == [
        ("text_encoder", "not_run"), ("unet", "not_run"), ("vae", "not_run")]
    change(where / "vae", "vae", "decoder.conv_in.weight", lambda tensors, t: tensors.pop(t))
    done, report = smoke(where)
    assert done.returncode == 6 and [a["verdict"] for a in report["artefacts"]] == ["not_run", "not_run", "fail"] and report["file"].startswith("vae/")


def test_adapter(tmp_path):
    done, report = smoke(build(tmp_path / "m", "lora"))
    assert done.returncode == 5 and report["reasons"][0] == "not run: task adapter" and not report["findings"]


@pytest.mark.parametrize("config, rule", [
    ({"r": 8}, "shape.rank"), ({"rank_pattern": {}}, "shape.rank"), ({"target_modules": ["q_proj", "v_proj", "down_proj", "o_proj"]}, "shape.target"),
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


# ---- several artefacts --------------------------------------------------------------------------------------------------

STORY = ROOT / "tests/models/tiny-story-bpe"


def variant(where, name):
    """The same shards and index once more, as a variant is named."""
    index = json.loads((where / "model.safetensors.index.json").read_text())
    for shard in sorted(set(index["weight_map"].values())):
        (where / shard.replace("model-", f"model.{name}-")).write_bytes((where / shard).read_bytes())
    index["weight_map"] = {t: s.replace("model-", f"model.{name}-") for t, s in index["weight_map"].items()}
    (where / f"model.safetensors.index.{name}.json").write_text(json.dumps(index))


def test_shards_of_two_variants(tmp_path):
    where = shutil.copytree(STORY, tmp_path / "m")
    variant(where, "fp16")
    done, report = smoke(where)
    assert done.returncode == 0
    assert [(a["file"], a["verdict"]) for a in report["artefacts"]] == [("model.safetensors.index.json", "pass"), ("model.safetensors.index.fp16.json", "pass")]
    assert report["artefacts"][1]["compared"] == ["agrees with model.safetensors.index.json"]
    shard = where / "model.fp16-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-64])
    done, report = smoke(where)
    assert done.returncode == 6 and [a["verdict"] for a in report["artefacts"]] == ["pass", "fail"]


def test_shards_without_their_index(tmp_path):
    where = shutil.copytree(STORY, tmp_path / "m")
    (where / "model.safetensors.index.json").unlink()
    done, report = smoke(where)
    assert done.returncode == 6 and "missing" in " ".join(report["reasons"])


def test_quantisations_in_folders(shared, tmp_path):
    stories = shared / "data/models/stories260K/gguf"
    where = tmp_path / "m"
    kinds = ["Q8_0", "Q6_K", "Q4_K_M", "Q4_0"]
    for kind in kinds:
        (where / kind).mkdir(parents=True)
        shutil.copy(stories / f"wide-{kind}.gguf", where / kind)
    shutil.copy(stories / "wide-Q6_K.gguf", where / "mmproj-Q6_K.gguf")
    done, report = smoke(where)
    found = {a["file"]: a["verdict"] for a in report["artefacts"]}
    assert done.returncode == 0 and found == {"mmproj-Q6_K.gguf": "not_run", **{f"{k}/wide-{k}.gguf": "pass" for k in kinds}}
    for kind in set(kinds) - {"Q6_K", "Q4_0"}:
        shutil.rmtree(where / kind)
    path = where / "Q4_0/wide-Q4_0.gguf"
    data = bytearray(path.read_bytes())
    data[-100000:-50000] = bytes(50000)
    path.chmod(0o644)
    path.write_bytes(data)
    done, report = smoke(where)
    assert done.returncode == 6 and report["file"] == "Q4_0/wide-Q4_0.gguf"
    assert any(f["rule"] == "stats.holes" and f["path"] == report["file"] for f in report["findings"])


def test_too_many_artefacts_are_an_error_and_not_passed_over(tmp_path):
    for i in range(301):
        (tmp_path / f"{i}.gguf").write_bytes(b"GGUF")
    done = subprocess.run([SMOKE, "--json", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1 and "more than 300 checkpoints" in done.stderr


def embedder(where, architecture, root="", **config):
    """The project's own language model as the base of another thing: no head, and its tensors where such files have them."""
    shutil.copytree(ROOT / "tests/models/tiny-story", where)
    tensors = {root + name.removeprefix("model."): t for name, t in read_tensors(where / "model.safetensors").items() if name != "lm_head.weight"}
    write_tensors(where / "model.safetensors", tensors)
    said = json.loads((where / "config.json").read_text())
    (where / "config.json").write_text(json.dumps({**said, "architectures": [architecture], **config}))
    return where, tensors


DECODERS = {
    "an embedder": ("LlamaModel", "", "feature-extraction"),
    "a reranker": ("LlamaForSequenceClassification", "model.", "text-classification"),
    "a sentence encoder that calls itself a language model": ("LlamaForCausalLM", "", "sentence-similarity"),
}


@pytest.mark.parametrize("kind", DECODERS)
def test_language_models_as_something_else(tmp_path, kind):
    """They are not run, and built as their family demands."""
    architecture, root, task = DECODERS[kind]
    where, tensors = embedder(tmp_path / "m", architecture, root, is_causal=architecture == "LlamaForCausalLM")
    if architecture == "LlamaForCausalLM":
        (where / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]))
    if architecture.endswith("Classification"):
        tensors["score.weight"] = "F32", [1, 96], array.array("f", [0.5] * 48 + [-0.25] * 48).tobytes()
        write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == 5 and report["reasons"][0] == f"not run: task {task}" and not report["findings"], report
    removed = next(n for n in tensors if n.endswith("layers.1.mlp.up_proj.weight"))
    write_tensors(where / "model.safetensors", {n: t for n, t in tensors.items() if n != removed})
    done, report = smoke(where)
    assert done.returncode == 6 and any(removed in f["message"] and f["rule"] == "plan.missing" for f in report["findings"]), report
