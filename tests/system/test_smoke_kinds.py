"""Checkpoints that are not run: encoders, rerankers, vision, speech, parts of pipelines, adapters. Their structure and numbers count."""
import array
import json
import math
import random
import shutil
import subprocess

import pytest

from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import SMOKE, read_tensors, smoke, write_tensors

KINDS = json.loads((ROOT / "tests/data/kinds.json").read_text())
PARTIAL = {"unet", "vae", "flux", "sd3", "detr", "vit-mae"}    # of these only some tensors follow from the configuration
WHOLE = sorted(set(KINDS) - PARTIAL - {"lora"})
TASKS = {
    "bert-cross-encoder": "text-classification", "xlm-roberta-reranker": "text-classification", "distilbert": "text-classification",
    "bart": "text2text-generation", "mbart": "text2text-generation", "t5": "text2text-generation", "pegasus": "summarization",
    "marian": "translation", "marian-two-vocabularies": "translation", "m2m100": "translation", "bart-zero-shot": "text-classification",
    "bert-mlm": "fill-mask", "albert": "fill-mask", "esm": "fill-mask", "whisper": "automatic-speech-recognition",
    "wav2vec2-ctc": "automatic-speech-recognition", "wav2vec2-deep": "automatic-speech-recognition", "hubert-ctc": "automatic-speech-recognition", "blenderbot": "text2text-generation",
    "blenderbot-small": "text2text-generation", "unispeech-ctc": "automatic-speech-recognition", "unispeech-sat": "audio-classification",
    "wav2vec2-classifier": "audio-classification", "wavlm-speakers": "audio-classification", "spectrogram": "audio-classification",
    "clip": "zero-shot-image-classification", "siglip": "zero-shot-image-classification", "segformer": "image-segmentation", "detr": "object-detection",
    **dict.fromkeys(["unet", "vae", "flux", "sd3"], "text-to-image"),
    **dict.fromkeys(["vit", "deit", "beit", "dinov2-gated", "swin", "swinv2", "convnext", "convnextv2", "resnet", "resnet-basic"], "image-classification"),
    **dict.fromkeys(["dinov2", "dinov2-registers", "dinov3", "vit-mae"], "image-feature-extraction"),
}
LAYERS = {
    "distilbert": "n_layers", "t5": "num_layers", "t5-encoder": "num_layers",
    **dict.fromkeys(["whisper", "bart", "bart-zero-shot", "mbart", "pegasus", "marian", "marian-two-vocabularies", "m2m100", "blenderbot", "blenderbot-small"], "decoder_layers"),
    **dict.fromkeys(["albert", "albert-groups"], "num_hidden_groups"),
}


def buffers(name):
    """What is counted or fixed, and no weight; or what only training asks for."""
    return [t for t in KINDS[name]["tensors"] if t.endswith(("num_batches_tracked", "inv_freq", "label_embeddings_concat"))]


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
    assert report["reasons"][0] == f"not run: task {TASKS.get(name, 'feature-extraction')}"
    demanded = len(KINDS[name]["tensors"]) - len(buffers(name))
    assert report["reasons"][1] == f"built as its configuration demands: {demanded} tensors, 0 more that it says nothing of"
    assert report["reasons"][2] == f"all of its {report['params']} numbers were looked at"
    assert not report["findings"]


@pytest.mark.parametrize("name", sorted(PARTIAL))
def test_ends_of_pipelines_parts(tmp_path, name):
    done, report = smoke(build(tmp_path / "m", name))
    assert done.returncode == 5 and report["reasons"][0] == f"not run: task {TASKS[name]}" and "as far as" in report["reasons"][1]
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
    said = KINDS[name]["config"]
    if "depths" in said:
        config = {"depths": [said["depths"][0] + 1, *said["depths"][1:]]}
    elif name in ("clip", "siglip"):
        config = {"text_config": {**said["text_config"], "num_hidden_layers": 3}}
    else:
        config = {LAYERS.get(name, "num_hidden_layers"): 3}
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


NUMBERS = [0, -1, 2.5, 1e300, 2**63 - 1, True, "two", None, [], {}, [1, [2]], [1] * 70, [2000, 1], [2**62] * 3, [None, None, None, None]]


@pytest.mark.parametrize("name, keys", [
    ("swin", ["depths", "num_heads", "embed_dim", "mlp_ratio", "patch_size"]), ("resnet", ["depths", "hidden_sizes", "layer_type", "embedding_size"]),
    ("convnextv2", ["depths", "hidden_sizes", "patch_size"]), ("segformer", ["depths", "mlp_ratios", "sr_ratios", "patch_sizes"]),
    ("wav2vec2-deep", ["conv_dim", "conv_kernel", "num_conv_pos_embedding_groups", "adapter_attn_dim", "feat_extract_norm"]),
    ("albert-groups", ["num_hidden_groups", "inner_group_num"]), ("wavlm-speakers", ["tdnn_dim", "tdnn_kernel"]), ("dinov2", ["image_size", "mlp_ratio"]),
])
def test_sizes_that_are_none(tmp_path, name, keys):
    """Whatever stands for a size is an answer about this checkpoint: that it is right, or that it is not."""
    where = build(tmp_path / "m", name)
    for key in keys:
        for value in NUMBERS:
            (where / "config.json").write_text(json.dumps({**KINDS[name]["config"], key: value}))
            done, report = smoke(where)
            assert done.returncode in (5, 6), (key, value, done.stderr)
            found = {f["rule"] for f in report["findings"] if f["severity"] == "reject"}
            assert found <= {"shape.config", "shape.shape", "shape.missing"} and bool(found) == (done.returncode == 6), (key, value, found)
            assert found or value is None or key in ("layer_type", "feat_extract_norm", "sr_ratios", "inner_group_num"), (key, value)


def test_more_layers_than_any_model_has(tmp_path):
    where = build(tmp_path / "m", "swin", depths=[600, 600, 600])
    done, report = smoke(where)
    assert done.returncode == 6 and report["findings"][0]["rule"] == "shape.config"


def renamed(tensors, old, new):
    return {name.replace(old, new): t for name, t in tensors.items()}


def without(tensors, part):
    return {name: t for name, t in tensors.items() if part not in name}


def with_one(tensors, name, *shape):
    n = 1
    for d in shape:
        n *= d
    return {**tensors, name: ("F32", list(shape), array.array("f", (0.01 * (1 + i % 7) for i in range(n))).tobytes())}


def weight_norm(tensors):
    return renamed(renamed(tensors, "parametrizations.weight.original0", "weight_g"), "parametrizations.weight.original1", "weight_v")


def biased(tensors, *ends):
    for name in [n for n in tensors if n.endswith(ends)]:
        tensors = with_one(tensors, name.removesuffix("weight") + "bias", tensors[name][1][0])
    return tensors


AS_PUBLISHED = {
    "a ModernBERT with biases": ("modernbert", lambda t: biased(t, "norm.weight", "Wi.weight", "mlp.Wo.weight"), {"norm_bias": True, "mlp_bias": True}),
    "norms of the first BERTs": ("bert", lambda t: renamed(renamed(t, "LayerNorm.weight", "LayerNorm.gamma"), "LayerNorm.bias", "LayerNorm.beta"), {}),
    "facebook/wav2vec2-base-960h": ("wav2vec2-ctc", weight_norm, {}),
    "a fine-tuned one without a mask": ("wav2vec2-ctc", lambda t: without(t, "masked_spec_embed"), {}),
    "facebook/hubert-base-ls960": ("hubert", weight_norm, {}),
    "facebook/bart-base": ("bart", lambda t: renamed(without(t, "final_logits"), "model.", ""), {"architectures": ["BartModel"]}),
    "the head is what is left of the embedding": ("bart", lambda t: renamed(t, "model.shared", "lm_head"), {}),
    "all names of one matrix": ("mbart", lambda t: {**t, **{name: t["model.shared.weight"] for name in (
        "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")}}, {}),
    "Helsinki-NLP/opus-mt-en-de": ("marian", lambda t: with_one(with_one(t, "model.encoder.embed_positions.weight", 32, 24),
                                                                "model.decoder.embed_positions.weight", 32, 24), {"decoder_vocab_size": None}),
    "facebook/m2m100_418M": ("m2m100", lambda t: {**with_one(t, "model.encoder.embed_positions.weights", 34, 24), "lm_head.weight": t["model.shared.weight"]}, {}),
    "google/pegasus-xsum": ("pegasus", lambda t: without(t, "embed_positions"), {}),
    "google-t5": ("t5", lambda t: renamed(t, "shared", "encoder.embed_tokens"), {"architectures": ["T5WithLMHeadModel"]}),
    "microsoft/swin-tiny-patch4-window7-224": ("swin", lambda t: with_one(t, "swin.encoder.layers.0.blocks.0.attention.self.relative_position_index", 4, 4), {}),
    "facebook/esm2_t6_8M_UR50D": ("esm", lambda t: with_one(renamed(renamed(t, ".gamma", ".weight"), ".beta", ".bias"),
                                                            "esm.embeddings.position_embeddings.weight", 32, 24), {}),
    "albert-base-v2": ("albert", lambda t: {**t, "predictions.decoder.bias": t["predictions.bias"], "albert.pooler.weight": t[
        "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight"], "albert.pooler.bias": t[
        "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.bias"]}, {}),
    "a ViT whose attention has no biases": ("vit", lambda t: {n: v for n, v in t.items() if not n.endswith(("query.bias", "key.bias", "value.bias"))}, {
        "qkv_bias": False}),
    "patches by a pair": ("swin", lambda t: t, {"patch_size": [4, 4], "image_size": [32, 32]}),
    "places of a Swin": ("swin", lambda t: with_one(t, "swin.embeddings.position_embeddings", 1, 64, 8), {"use_absolute_embeddings": True}),
    "a Data2Vec without its pooler": ("beit", lambda t: {n.replace("beit.", ""): v for n, v in t.items() if "pooler" not in n and "classifier" not in n}, {
        "architectures": ["Data2VecVisionModel"]}),
    "labels by their number": ("vit", lambda t: t, {"id2label": None, "num_labels": 3}),
    "answers of a RoBERTa": ("roberta", lambda t: with_one(with_one(t, "qa_outputs.weight", 2, 24), "qa_outputs.bias", 2), {"architectures": ["RobertaForQuestionAnswering"]}),
}


@pytest.mark.parametrize("what", AS_PUBLISHED)
def test_as_published(tmp_path, what):
    """What checkpoints that work have otherwise than transformers writes it today."""
    name, how, config = AS_PUBLISHED[what]
    where = build(tmp_path / "m", name, **config)
    write_tensors(where / "model.safetensors", how(read_tensors(where / "model.safetensors")))
    done, report = smoke(where)
    assert done.returncode == 5 and not report["findings"] and report["reasons"][1].startswith("built as its configuration demands"), report


def test_size_that_a_part_leaves_to_its_class(tmp_path):
    """google/siglip-base says of its halves only what differs: the rest is the class's own, of which twelve layers are not here."""
    text = {k: v for k, v in KINDS["siglip"]["config"]["text_config"].items() if k not in ("num_hidden_layers", "max_position_embeddings")}
    done, report = smoke(build(tmp_path / "m", "siglip", text_config=text))
    found = " ".join(f["message"] for f in report["findings"])
    assert done.returncode == 6 and "text_model.encoder.layers.11.layer_norm1.weight is missing" in found and "[64, 24]" in found, found


@pytest.mark.parametrize("config", [
    {"architectures": ["XLMRobertaXLModel"]}, {"architectures": ["RobertaPreLayerNormModel"]}, {"architectures": ["BertGenerationEncoder"]},
    {"auto_map": {"AutoConfig": "configuration.Config", "AutoModel": "modeling.BertModel"}},
])
def test_what_only_has_such_a_name(tmp_path, config):
    """Other classes, and code of the repository's own: their structure is not BERT's."""
    where = build(tmp_path / "m", "bert", **config)
    write_tensors(where / "model.safetensors", renamed(read_tensors(where / "model.safetensors"), "attention.output", "mixer"))
    done, report = smoke(where)
    assert done.returncode == 5 and report["reasons"][1] == "no kind whose structure is known here" and not report["findings"], report


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


@pytest.mark.parametrize("token, rows, status", [("<mask>", 98, 5), ("<mask>", 97, 6), ("last", 98, 6)])
def test_mask_without_a_row(tmp_path, token, rows, status):
    """facebook/bart-large-cnn has none for it, and never needs it. Any other token does."""
    where = build(tmp_path / "m", "bert", vocab_size=rows)
    tensors = read_tensors(where / "model.safetensors")
    dtype, (_, width), raw = tensors["embeddings.word_embeddings.weight"]
    tensors["embeddings.word_embeddings.weight"] = dtype, [rows, width], raw[:rows * width * 4]
    write_tensors(where / "model.safetensors", tensors)
    vocab = {"[UNK]": 0, **{f"w{i}": i for i in range(1, 98)}, token: 98}
    (where / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None, "added_tokens": [
            {"id": 98, "content": token, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}],
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}}))
    done, report = smoke(where)
    assert done.returncode == status, report


@pytest.mark.parametrize("lost", ["embeddings.norm.bias", "final_norm.bias", "layers.0.mlp_norm.bias", "layers.1.attn_norm.bias"])
def test_biases_that_the_configuration_means(tmp_path, lost):
    where = build(tmp_path / "m", "modernbert", norm_bias=True)
    write_tensors(where / "model.safetensors", without(biased(read_tensors(where / "model.safetensors"), "norm.weight"), lost))
    done, report = smoke(where)
    assert done.returncode == 6 and [(f["rule"], lost in f["message"]) for f in report["findings"]] == [("shape.missing", True)], report


def test_pipeline_of_folders(tmp_path):
    """Each part has a verdict, and one that is damaged is the whole's."""
    where = tmp_path / "m"
    for name, folder in (("unet", "unet"), ("vae", "vae"), ("clip-text", "text_encoder")):
        build(where / folder, name)
    (where / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}))
    done, report = smoke(where)
    assert done.returncode == 5 and [(a["file"].split("/")[0], a["verdict"]) for a in report["artefacts"]] == [
        ("text_encoder", "not_run"), ("unet", "not_run"), ("vae", "not_run"), ("model_index.json", "not_run")]
    change(where / "vae", "vae", "decoder.conv_in.weight", lambda tensors, t: tensors.pop(t))
    done, report = smoke(where)
    assert done.returncode == 6 and [a["verdict"] for a in report["artefacts"]] == ["not_run", "not_run", "fail", "not_run"] and report["file"].startswith("vae/")


@pytest.mark.parametrize("name", ["bert", "vit"])
def test_tensor_that_the_index_lacks(tmp_path, name):
    where, shard = build(tmp_path / "m", name), "model-00001-of-00001.safetensors"
    (where / "model.safetensors").rename(where / shard)
    listed, index = dict.fromkeys(KINDS[name]["tensors"], shard), where / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    assert smoke(where)[0].returncode == 5
    listed.pop(some_matrix(name))
    index.write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "shape.unlisted" and some_matrix(name) in f["message"] for f in report["findings"])


@pytest.mark.parametrize("name, config", [
    ("wavlm", {"adapter_attn_dim": 8}), ("wavlm-speakers", {"adapter_attn_dim": 8, "do_stable_layer_norm": True}), ("wav2vec2-ctc", {"adapter_attn_dim": 8})])
def test_languages_adapters_that_no_class_builds(tmp_path, name, config):
    """Only wav2vec 2.0 and HuBERT have them, and only in layers of the stable kind."""
    assert not KINDS[name]["config"].get("do_stable_layer_norm")
    done, report = smoke(build(tmp_path / "m", name, **config))
    assert done.returncode == 5 and not report["findings"], report


@pytest.mark.parametrize("architecture, task", [
    ("BigBirdPegasusForConditionalGeneration", "summarization"), ("PegasusXForConditionalGeneration", "summarization"),
    ("MvpForConditionalGeneration", "text2text-generation"), ("UMT5ForConditionalGeneration", "text2text-generation"),
    ("Qwen3VLMoeForConditionalGeneration", "image-text-to-text"), ("LlavaNextForConditionalGeneration", "image-text-to-text"),
    ("SmolVLMForConditionalGeneration", "image-text-to-text"), ("T5Gemma2ForConditionalGeneration", "image-text-to-text"),
    ("Idefics3ForConditionalGeneration", "image-text-to-text"), ("NobodyKnowsForConditionalGeneration", None)])
def test_tasks_by_name(tmp_path, architecture, task):
    """What a class is for is known or not, and never guessed."""
    write_tensors(tmp_path / "model.safetensors", {"a.weight": ("F32", [2, 2], array.array("f", [1, 2, 3, 4]).tobytes())})
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    report = smoke(tmp_path)[1]
    assert report["verdict"] == "not_run" and report["reasons"][0] == (f"not run: task {task}" if task else f"not run: architecture {architecture}")


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
    where, tensors = embedder(tmp_path / "m", architecture, root, is_causal=architecture == "LlamaForCausalLM", num_labels=1)
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


@pytest.mark.parametrize("rows, architecture, status", [(1, "MultipleChoice", 5), (1, "SequenceClassification", 6), (2, "SequenceClassification", 5), (0, "SequenceClassification", 6)])
def test_rows_of_a_head(tmp_path, rows, architecture, status):
    """One that chooses between texts gives each a number; one that classifies has a row for each of its labels, two where it names none."""
    where = build(tmp_path / "m", "deberta-v2", architectures=["DebertaV2For" + architecture])
    tensors = {"deberta." + n: t for n, t in read_tensors(where / "model.safetensors").items()}
    tensors = with_one(with_one(tensors, "pooler.dense.weight", 24, 24), "pooler.dense.bias", 24)
    if rows:
        tensors["classifier.weight"] = "F32", [rows, 24], array.array("f", [0.5, -0.25] * (12 * rows)).tobytes()
        tensors["classifier.bias"] = "F32", [rows], array.array("f", [0.5, -0.25][:rows]).tobytes()
    write_tensors(where / "model.safetensors", tensors)
    done, report = smoke(where)
    assert done.returncode == status, report


# ---- packed -------------------------------------------------------------------------------------------------------------

RANDOM = random.Random(4)


def floats(*shape):
    return "F32", list(shape), array.array("f", (RANDOM.uniform(0.01, 0.02) for _ in range(math.prod(shape)))).tobytes()


def words(dtype, size, *shape):
    """Of bytes that are no NaN of FP8."""
    return dtype, list(shape), bytes(RANDOM.randrange(40, 60) for _ in range(size * math.prod(shape)))


NF4 = [-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0, 0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983,
       0.562617, 0.72295684, 1.0]


def nf4(rows, cols):
    state = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [rows, cols]}).encode()
    return {"weight": words("U8", 1, rows * cols // 2, 1),
            "weight.absmax": floats(-(-rows * cols // 64)), "weight.quant_map": ("F32", [16], array.array("f", NF4).tobytes()), "weight.quant_state.bitsandbytes__nf4": ("U8", [len(state)], state)}


PACKED = {    # by what quantization_config says, and what then stands for the weight of a linear layer
    "nf4": ({"quant_method": "bitsandbytes", "load_in_4bit": True}, nf4),
    "int8": ({"quant_method": "bitsandbytes", "load_in_8bit": True},
             lambda rows, cols: {"weight": words("I8", 1, rows, cols), "SCB": floats(rows), "weight_format": ("U8", [], b"\0")}),
    "fp8": ({"quant_method": "fp8", "weight_block_size": [128, 128]},
            lambda rows, cols: {"weight": words("F8_E4M3", 1, rows, cols), "weight_scale_inv": floats(1, 1)}),
    "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 8},
             lambda rows, cols: {"qweight": words("I32", 4, cols // 8, rows), "qzeros": words("I32", 4, cols // 8, rows // 8), "scales": floats(cols // 8, rows),
                                 "g_idx": ("I32", [cols], array.array("i", (i // 8 for i in range(cols))).tobytes())}),
    "int4": ({"quant_method": "compressed-tensors", "format": "pack-quantized",
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "strategy": "channel", "symmetric": True}}}},
             lambda rows, cols: {"weight_packed": words("I32", 4, rows, cols // 8), "weight_scale": floats(rows, 1),
                                 "weight_shape": ("I64", [2], array.array("q", [rows, cols]).tobytes())}),
    "torchao": ({"quant_method": "torchao"},
                lambda rows, cols: {"weight:_data": words("I8", 1, rows, cols), "weight:_scale": floats(rows)}),
}


SCALES = ("weight.absmax", "SCB", "weight_scale_inv", "scales", "weight_scale")


def pack(where, name, form):
    """Packs the layers that can be; returns their names."""
    config, parts = PACKED[form]
    path, tensors, stems = where / KINDS[name]["file"], {}, []
    for tensor, (dtype, shape, raw) in read_tensors(path).items():
        if len(shape) != 2 or not tensor.endswith(".weight") or "embed" in tensor or shape[0] % 8 or shape[1] % 8:
            tensors[tensor] = dtype, shape, raw
            continue
        stems.append(tensor.removesuffix("weight"))
        tensors.update({stems[-1] + part: value for part, value in parts(*shape).items()})
    write_tensors(path, tensors)
    path = where / KINDS[name]["config_file"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": config}))
    return stems


@pytest.mark.parametrize("form", PACKED)
@pytest.mark.parametrize("name", ["bert-cross-encoder", "vit", "t5", "whisper", "flux"])
def test_packed_as_its_configuration_says(tmp_path, name, form):
    plain, where = smoke(build(tmp_path / "plain", name))[1], build(tmp_path / "m", name)
    stems = pack(where, name, form)
    done, report = smoke(where)
    assert done.returncode == 5 and report["reasons"][:2] == plain["reasons"][:2] and report["findings"] == plain["findings"], report
    assert stems and any("form that is not known here" in r for r in report["reasons"]) == (form == "torchao")


@pytest.mark.parametrize("form", PACKED)
def test_damage_that_packing_does_not_hide(tmp_path, form):
    name = "bert-cross-encoder"
    where = build(tmp_path / "m", name)
    stem = next(s for s in pack(where, name, form) if s.endswith("layer.1.intermediate.dense."))
    parts, whole = PACKED[form][1], read_tensors(where / "model.safetensors")
    damages = [({}, "is missing")]    # by what is left of one layer
    if form != "torchao":
        some = parts(40, 24)
        scale = next(p for p in some if p in SCALES)
        damages += [({p: v for p, v in some.items() if p != scale}, stem.removesuffix(".")), ({**some, scale: floats(7, 3)}, stem.removesuffix(".")),
                    (parts(40, 16), "where config.json means [40, 24]")]
    for left, said in damages:
        rest = {t: v for t, v in whole.items() if not t.startswith(stem) or t.endswith(".bias")}
        write_tensors(where / "model.safetensors", {**rest, **{stem + p: v for p, v in left.items()}})
        done, report = smoke(where)
        assert done.returncode == 6 and said in report["reasons"][0] and stem in report["reasons"][0] + ".", (left.keys(), report["reasons"])


@pytest.mark.parametrize("form", [f for f in PACKED if f != "torchao"])
def test_numbers_that_packing_does_not_hide(tmp_path, form):
    where = build(tmp_path / "m", "bert-cross-encoder")
    stem = next(s for s in pack(where, "bert-cross-encoder", form) if s.endswith("layer.1.intermediate.dense."))
    whole = read_tensors(where / "model.safetensors")
    codes, scale = (next(stem + p for p in parts if stem + p in whole) for parts in (("weight", "qweight", "weight_packed"), SCALES))
    for part, byte, rule in ((scale, 0, "stats.zero"), (codes, 49, "stats.constant")):
        dtype, shape, raw = whole[part]
        write_tensors(where / "model.safetensors", {**whole, part: (dtype, shape, bytes([byte]) * len(raw))})
        done, report = smoke(where)
        assert done.returncode == 6 and rule in {f["rule"] for f in report["findings"] if codes in f["message"].split()}, (part, report["findings"])


@pytest.mark.parametrize("form", ["fp8", "int8"])
def test_packed_must_be_said_to_be(tmp_path, form):
    where = build(tmp_path / "m", "bert-cross-encoder")
    pack(where, "bert-cross-encoder", form)
    config = json.loads((where / "config.json").read_text())
    config.pop("quantization_config")
    (where / "config.json").write_text(json.dumps(config))
    done, report = smoke(where)
    assert done.returncode == 6 and "no quantization_config tells programs so" in report["reasons"][0], report["reasons"]


def test_packing_that_can_not_be_is_refused(tmp_path):
    where = build(tmp_path / "m", "bert", quantization_config={"quant_method": "gptq", "bits": 5})
    done, report = smoke(where)
    assert done.returncode == 6 and "gptq with 5 bits" in report["reasons"][0], report["reasons"]
