"""What a file lists as the parts of a whole must be there and fit: the modules of a sentence encoder, the components of a pipeline."""
import array
import json
import shutil

import pytest

from tests.system.test_smoke_daemon import Registry, bring
from tests.system.test_smoke_kinds import build
from tests.system.test_smoke_runner import smoke, write_tensors


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def matrix(*shape):
    n = shape[0] * (shape[1] if len(shape) > 1 else 1)
    return "F32", list(shape), array.array("f", ((i * 37 % 101 - 50) / 100 for i in range(1, n + 1))).tobytes()


def listed(where, *modules):
    put(where / "modules.json", [{"idx": i, "name": str(i), "path": path, "type": kind if "." in kind else f"sentence_transformers.models.{kind}"}
                                 for i, (path, kind) in enumerate(modules)])


def encoder(where):
    """Token vectors of 24 numbers, their mean, 24 to 16, 16 to 8, a norm, and the length made 1, of which nothing is saved."""
    build(where, "mpnet")
    listed(where, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Dense", "Dense"), ("4_LayerNorm", "LayerNorm"), ("5_Normalize", "Normalize"))
    put(where / "1_Pooling/config.json", {"word_embedding_dimension": 24, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True})
    dense(where / "2_Dense", 24, 16)
    dense(where / "3_Dense", 16, 8, bias=False)
    put(where / "4_LayerNorm/config.json", {"dimension": 8})
    write_tensors(where / "4_LayerNorm/model.safetensors", {"norm.weight": matrix(8), "norm.bias": matrix(8)})
    return where


def dense(where, n_in, n_out, bias=True, **config):
    put(where / "config.json", {"in_features": n_in, "out_features": n_out, "bias": bias, "activation_function": "torch.nn.modules.activation.Tanh", **config})
    write_tensors(where / "model.safetensors", {"linear.weight": matrix(n_out, n_in), **({"linear.bias": matrix(n_out)} if bias else {})})


def test_encoder_whose_modules_fit(tmp_path):
    done, report = smoke(encoder(tmp_path / "m"))
    assert done.returncode == 5 and not report["findings"] and report["structure"] == "pass", report
    assert [a["file"] for a in report["artefacts"]] == ["model.safetensors", "2_Dense/model.safetensors", "3_Dense/model.safetensors", "4_LayerNorm/model.safetensors"]
    assert all(any("built as its configuration demands" in r for r in a["reasons"]) for a in report["artefacts"])


@pytest.mark.parametrize("harm, why", [
    (lambda m: (m / "2_Dense/model.safetensors").unlink(), "a Dense in 2_Dense, where its weights are not"),
    (lambda m: shutil.rmtree(m / "3_Dense"), "a Dense in 3_Dense, where its config.json is not"),
    (lambda m: shutil.rmtree(m / "1_Pooling"), "a Pooling in 1_Pooling, where its config.json is not"),
    (lambda m: (m / "4_LayerNorm/model.safetensors").unlink(), "a LayerNorm in 4_LayerNorm, where its weights are not"),
    (lambda m: (m / "model.safetensors").unlink(), "a Transformer in the root, where its weights are not"),
    (lambda m: dense(m / "2_Dense", 48, 16), "2_Dense takes vectors of 48 elements, and what is before it gives 24"),
    (lambda m: dense(m / "2_Dense", 24, 12), "3_Dense takes vectors of 16 elements, and what is before it gives 12"),
    (lambda m: dense(m / "3_Dense", 16, 4, bias=False), "4_LayerNorm takes vectors of 8 elements, and what is before it gives 4"),
    (lambda m: put(m / "2_Dense/config.json", {"in_features": 24}), "2_Dense gives no usable in_features and out_features"),
    (lambda m: put(m / "1_Pooling/config.json", {"embedding_dimension": 24, "pooling_mode": ["cls", "mean"]}), "2_Dense takes vectors of 24 elements, and what is before it gives 48"),
    (lambda m: put(m / "1_Pooling/config.json", {"word_embedding_dimension": 384}), "1_Pooling takes vectors of 384 elements, and what is before it gives 24"),
])
def test_encoder_whose_modules_do_not(tmp_path, harm, why):
    where = encoder(tmp_path / "m")
    harm(where)
    done, report = smoke(where)
    assert done.returncode == 6 and report["file"] == "modules.json" and report["verdict"] == "fail" and why in report["reasons"][0], report
    assert any(f["path"] == "modules.json" and f["severity"] == "reject" and why in f["message"] for f in report["findings"])


OTHERS = {
    "projection": ({"in_features": 24, "out_features": 16, "bias": False, "use_residual": True}, {"linear.weight": matrix(16, 24), "residual.weight": matrix(16, 24)}),
    "layers": ({"word_embedding_dimension": 24, "layer_start": 1, "num_hidden_layers": 2}, {"layer_weights": matrix(2)}),
    "words": ({"vocab": ["a", "b"], "word_weights": {"a": 1.5}, "unknown_word_weight": 1}, {"emb_layer.weight": matrix(2, 1)}),
    "sparse": ({"input_dim": 24, "hidden_dim": 48, "k": 8, "k_aux": 16, "normalize": False, "dead_threshold": 30},
               {"encoder.weight": matrix(48, 24), "pre_bias": matrix(24), "latent_bias": matrix(48)}),
    "sparse, by its decoder": ({"input_dim": 24, "hidden_dim": 48, "k": 8}, {"decoder.linear.weight": matrix(48, 24), "pre_bias": matrix(24), "latent_bias": matrix(48)}),
    "weights of tokens": ({"frozen": False}, {"weight": matrix(98)}),
}
ONE_OF = {"decoder.linear.weight": "encoder.weight"}     # what is asked for where neither name is there


@pytest.mark.parametrize("name, lost", [(name, lost) for name, (_, tensors) in OTHERS.items() for lost in [None, *tensors]])
def test_module_by_itself(tmp_path, name, lost):
    config, tensors = OTHERS[name]
    put(tmp_path / "config.json", config)
    write_tensors(tmp_path / "model.safetensors", {k: v for k, v in tensors.items() if k != lost} or {"other": matrix(2)})
    done, report = smoke(tmp_path)
    assert done.returncode == (6 if lost else 5) and (not lost or any(f["rule"] == "shape.missing" and ONE_OF.get(lost, lost) in f["message"] for f in report["findings"])), report
    assert lost or not report["findings"]


@pytest.mark.parametrize("folder, lost", [("2_Dense", "linear.bias"), ("4_LayerNorm", "norm.bias"), ("4_LayerNorm", "norm.weight")])
def test_tensor_that_a_module_lacks(tmp_path, folder, lost):
    where = encoder(tmp_path / "m")
    whole = {"2_Dense": {"linear.weight": matrix(16, 24), "linear.bias": matrix(16)}, "4_LayerNorm": {"norm.weight": matrix(8), "norm.bias": matrix(8)}}[folder]
    write_tensors(where / folder / "model.safetensors", {k: v for k, v in whole.items() if k != lost})
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "shape.missing" and lost in f["message"] for f in report["findings"]), report


def test_encoder_in_a_folder_of_its_own(tmp_path):
    """As the first releases saved it, with its weights as a pickle or exported; and a projection of every token, as ColBERTs have it."""
    build(tmp_path / "m/0_Transformer", "mpnet")
    listed(tmp_path / "m", ("0_Transformer", "Transformer"), ("1_Dense", "pylate.models.Dense.Dense"))
    dense(tmp_path / "m/1_Dense", 24, 16, bias=False)
    assert smoke(tmp_path / "m")[0].returncode == 5
    dense(tmp_path / "m/1_Dense", 32, 16, bias=False)
    assert "1_Dense takes vectors of 32 elements, and what is before it gives 24" in smoke(tmp_path / "m")[1]["reasons"][0]
    dense(tmp_path / "m/1_Dense", 24, 16, bias=False)
    (tmp_path / "m/0_Transformer/model.safetensors").rename(tmp_path / "m/0_Transformer/pytorch_model.bin")
    assert smoke(tmp_path / "m")[0].returncode == 5
    (tmp_path / "m/0_Transformer/onnx").mkdir()
    (tmp_path / "m/0_Transformer/pytorch_model.bin").rename(tmp_path / "m/0_Transformer/onnx/model.onnx")
    assert smoke(tmp_path / "m")[0].returncode == 5


def test_one_of_two_configurations_is_wanted(tmp_path):
    where = encoder(tmp_path / "m")
    (where / "config.json").unlink()
    assert any("in the root, where its config.json or adapter_config.json is not" in f["message"] for f in smoke(where)[1]["findings"])


@pytest.mark.parametrize("kind", ["sentence_transformers.models.Unheard", "custom_st.Transformer", "org/other--module.Pooling"])
def test_module_of_another_type_is_named(tmp_path, kind):
    where = encoder(tmp_path / "m")
    listed(where, ("", "Transformer"), ("1_Pooling", kind), ("2_Dense", "Dense"))
    done, report = smoke(where)
    assert done.returncode == 5 and [f["rule"] for f in report["findings"]] == ["parts.unknown"] and kind in report["findings"][0]["message"], report


def router(where, at="", **config):
    """Questions go through one Dense, documents through two."""
    folder = where / at
    put(folder / "router_config.json", {"types": {k: "sentence_transformers.base.modules.dense.Dense" for k in ("q_0", "d_0", "d_1")},
                                        "structure": {"query": ["q_0"], "document": ["d_0", "d_1"]}, "parameters": {}, **config})
    dense(folder / "q_0", 24, 8)
    dense(folder / "d_0", 24, 16)
    dense(folder / "d_1", 16, 8)


@pytest.mark.parametrize("harm, why", [
    (lambda m: None, None), (lambda m: (m / "2_Router/router_config.json").rename(m / "2_Router/config.json"), None),     # as Asym was saved
    (lambda m: (m / "2_Router/d_1/model.safetensors").unlink(), "a Dense in 2_Router/d_1, where its weights are not"),
    (lambda m: shutil.rmtree(m / "2_Router/q_0"), "a Dense in 2_Router/q_0, where its config.json is not"),
    (lambda m: dense(m / "2_Router/d_1", 12, 8), "2_Router/d_1 takes vectors of 12 elements, and what is before it gives 16"),
    (lambda m: dense(m / "2_Router/q_0", 48, 8), "2_Router/q_0 takes vectors of 48 elements, and what is before it gives 24"),
    (lambda m: (m / "2_Router/router_config.json").unlink(), "a Router in 2_Router, where its router_config.json or config.json is not"),
    (lambda m: router(m, "2_Router", types={"q_0": "sentence_transformers.models.Dense"}), "sends texts to d_0, and its types do not say what that is"),
    (lambda m: router(m, "2_Router", structure={}), "no types and structure of a router"),
    (lambda m: router(m, "2_Router", types={"../x": "sentence_transformers.models.Dense"}, structure={"a": ["../x"]}), '"../x", which is no folder below it'),
    (lambda m: router(m, "2_Router", types={".": "sentence_transformers.models.Router"}, structure={"a": ["."]}), '".", which is no folder below it'),
    (lambda m: router(m, "2_Router", types={"": "sentence_transformers.models.Router"}, structure={"a": [""]}), '"", which is no folder below it'),
])
def test_router(tmp_path, harm, why):
    where = encoder(tmp_path / "m")
    listed(where, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Router", "Router"))
    router(where, "2_Router")
    harm(where)
    done, report = smoke(where)
    assert done.returncode == (6 if why else 5), report
    assert any(f["path"] == "modules.json" and why in f["message"] for f in report["findings"]) if why else not report["findings"], report


def test_task_of_modules_in_folders(tmp_path):
    """A router has no weights of its own, and what comes first of its modules tells nothing of the whole; a table of vectors has no configuration."""
    where = tmp_path / "m"
    for folder in "query_0_StaticEmbedding", "static":
        (where / folder).mkdir(parents=True)
        write_tensors(where / folder / "model.safetensors", {"embedding.weight": matrix(99, 24)})
        put(where / folder / "tokenizer.json", {})
    build(where / "document_0_Transformer", "mpnet")
    put(where / "document_1_Pooling/config.json", {"embedding_dimension": 24, "pooling_mode": "mean"})
    modules = "sentence_transformers.base.modules."
    put(where / "router_config.json", {"types": {"query_0_StaticEmbedding": modules + "StaticEmbedding", "document_0_Transformer": modules + "Transformer",
                                                 "document_1_Pooling": modules + "Pooling"},
                                       "structure": {"query": ["query_0_StaticEmbedding"], "document": ["document_0_Transformer", "document_1_Pooling"]}})
    listed(where, ("", "Router"), ("1_Dense", "Dense"))
    dense(where / "1_Dense", 24, 16)
    listed(where / "static", (".", "StaticEmbedding"))
    done, report = smoke(where)
    assert done.returncode == 5 and not report["findings"], report
    assert report["file"] == "modules.json" and report["reasons"][0] == "not run: task sentence-similarity" and "each of the 5 modules" in report["reasons"][1]
    assert next(a for a in report["artefacts"] if a["file"].startswith("static/"))["reasons"][0] == "not run: task sentence-similarity"
    (where / "query_0_StaticEmbedding/tokenizer.json").unlink()
    assert smoke(where)[0].returncode == 6


def test_routers_in_routers(tmp_path):
    """Each may name the next many times."""
    where = encoder(tmp_path / "m")
    listed(where, ("", "Transformer"), *[("r", "Router")])
    folder = where
    for i in range(12):
        folder = folder / "r"
        put(folder / "router_config.json", {"types": {"r": "sentence_transformers.models.Router"}, "structure": {str(k): ["r"] * 20 for k in range(20)}})
    done, report = smoke(where)
    assert done.returncode == 6


@pytest.mark.parametrize("path", ["../m/1_Pooling", "1_Pooling/../../m", "/", "/.", "/tmp", "./..", "x" * 1100])
def test_path_that_leads_out(tmp_path, path):
    where = encoder(tmp_path / "m")
    listed(where, ("", "Transformer"), (path, "Pooling"))
    found = smoke(where)[1]["findings"]
    assert [f["rule"] for f in found] == ["parts.unknown"] and "no folder below it" in found[0]["message"]


def test_paths_with_dots(tmp_path):
    """As model2vec writes them in all its models: the libraries join them to the folder."""
    where = encoder(tmp_path / "m")
    for root, pooling, narrow in ((".", "./1_Pooling", "./2_Dense/"), ("./", "1_Pooling/.", "././/2_Dense"), ("", "1_Pooling/", "2_Dense//")):
        listed(where, (root, "Transformer"), (pooling, "Pooling"), (narrow, "Dense"), ("3_Dense", "Dense"))
        done, report = smoke(where)
        assert done.returncode == 5 and not report["findings"], report["findings"]
        dense(where / "2_Dense", 48, 16)
        assert "2_Dense takes vectors of 48 elements, and what is before it gives 24" in smoke(where)[1]["reasons"][0]
        dense(where / "2_Dense", 24, 16)
    listed(where, (".", "StaticEmbedding"), ("1_Pooling", "Pooling"))
    assert "a StaticEmbedding in the root, where its tokenizer.json is not" in smoke(where)[1]["reasons"][0]


@pytest.mark.parametrize("value", [[], {}, [[]], [None, 1, "a"], {"path": 1}, [{"type": 1, "path": []}], [{"path": "x" * 3000}], [{}] * 501,
                                   {"a": ["x", "y/" * 900]}, {"../..": ["x", "y"], "": ["x", "y"]}, {str(i): ["x", "y"] for i in range(400)}])
def test_lists_of_anything(tmp_path, value):
    where = encoder(tmp_path / "m")
    for name in "modules.json", "model_index.json":
        put(where / name, value)
    put(where / "1_Pooling/config.json", {"word_embedding_dimension": 2**62, "pooling_mode": ["cls"] * 9})
    assert smoke(where)[0].returncode in (5, 6)
    listed(where, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"))
    assert smoke(where)[0].returncode in (5, 6)


def test_head_of_setfit(tmp_path):
    where = encoder(tmp_path / "m")
    put(where / "config_setfit.json", {"labels": ["a", "b"]})
    assert [f["rule"] for f in smoke(where)[1]["findings"]] == ["parts.head"]
    (where / "model_head.pkl").write_bytes(b"\x80\x04}.")
    assert not smoke(where)[1]["findings"]


# ---- pipelines ----------------------------------------------------------------------------------------------------------

INDEX = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.31.0", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
         "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "PNDMScheduler"],
         "feature_extractor": ["transformers", "CLIPImageProcessorPil"], "safety_checker": [None, None], "image_encoder": None, "requires_safety_checker": False}


def pipeline(where):
    for name, folder in (("unet", "unet"), ("vae", "vae"), ("clip-text", "text_encoder")):
        build(where / folder, name)
    put(where / "scheduler/scheduler_config.json", {"_class_name": "PNDMScheduler"})
    put(where / "tokenizer/tokenizer_config.json", {})
    put(where / "tokenizer/tokenizer.json", {})
    put(where / "feature_extractor/preprocessor_config.json", {})
    put(where / "model_index.json", INDEX)
    return where


def test_pipeline_that_is_whole(tmp_path):
    done, report = smoke(pipeline(tmp_path / "m"))
    assert done.returncode == 5 and report["file"] == "model_index.json" and report["reasons"] == [
        "not run: task text-to-image", "each of the 6 parts that model_index.json names is here"] and not report["findings"], report
    assert report["structure"] == "pass" and [a["file"].split("/")[0] for a in report["artefacts"]] == ["text_encoder", "unet", "vae", "model_index.json"]


@pytest.mark.parametrize("gone, why", [
    ("unet", "it names unet (UNet2DConditionModel), and the folder unet/ is not here"),
    ("unet/config.json", "it names unet (UNet2DConditionModel), and in unet/ is no config.json"),
    ("vae/diffusion_pytorch_model.safetensors", "it names vae (AutoencoderKL), and in vae/ are no weights"),
    ("text_encoder/model.safetensors", "it names text_encoder (CLIPTextModel), and in text_encoder/ are no weights"),
    ("tokenizer", "it names tokenizer (CLIPTokenizer), and the folder tokenizer/ is not here"),
    ("scheduler/scheduler_config.json", "it names scheduler (PNDMScheduler), and in scheduler/ is no scheduler_config.json"),
    ("feature_extractor", "it names feature_extractor (CLIPImageProcessorPil), and the folder feature_extractor/ is not here"),
])
def test_pipeline_that_lacks_a_part(tmp_path, gone, why):
    where = pipeline(tmp_path / "m")
    shutil.rmtree(where / gone) if (where / gone).is_dir() else (where / gone).unlink()
    done, report = smoke(where)
    assert done.returncode == 6 and report["file"] == "model_index.json" and report["reasons"][0] == why, report
    assert [f["message"] for f in report["findings"] if f["rule"] == "parts.missing"] == [why]


def swap(a, b):
    for x, y in ((a, a.with_name("kept")), (b, a), (a.with_name("kept"), b)):
        x.rename(y)


def rename(where, part, name):
    next((where / part).glob("*.safetensors")).rename(where / part / name)


def only_as(variant, but=None):
    def harm(where):
        for part, stem in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model")):
            rename(where, part, f"{stem}.{but if but and part == 'vae' else variant}.safetensors")
    return harm


@pytest.mark.parametrize("harm, why", [
    (lambda m: swap(m / "unet", m / "vae"), "it names unet (UNet2DConditionModel), and unet/config.json says AutoencoderKL"),
    (lambda m: put(m / "vae/config.json", {**json.loads((m / "vae/config.json").read_text()), "_class_name": "FluxTransformer2DModel"}), "and vae/config.json says FluxTransformer2DModel"),
    (lambda m: rename(m, "unet", "model.safetensors"), "in unet/ are no weights under a name that diffusers reads (diffusion_pytorch_model.safetensors)"),
    (lambda m: rename(m, "text_encoder", "diffusion_pytorch_model.safetensors"), "in text_encoder/ are no weights under a name that transformers reads (model.safetensors)"),
    (only_as("fp16", "ema"), "vae is here only as variant ema, and others of its parts only as fp16: no one variant loads all of it"),
    (only_as("fp16"), None), (lambda m: rename(m, "vae", "diffusion_pytorch_model.ema.safetensors"), None),
    (lambda m: (rename(m, "vae", "diffusion_pytorch_model.fp16-00001-of-00001.safetensors"), rename(m, "text_encoder", "model-00001-of-00001.fp16.safetensors")), None),
])
def test_components_are_what_their_library_loads(tmp_path, harm, why):
    where = pipeline(tmp_path / "m")
    harm(where)
    messages = [f["message"] for f in smoke(where)[1]["findings"] if f["path"] == "model_index.json"]
    assert any(why in m for m in messages) if why else not messages, messages


MODEL = ["config.json", "diffusion_pytorch_model.safetensors"]


@pytest.mark.parametrize("library, class_name, names, severity", [
    ("diffusers", "AdaptiveProjectedMixGuidance", ["guider_config.json"], None), ("diffusers", "AdaptiveProjectedMixGuidance", ["other.json"], "reject"),
    ("diffusers", "NewThing", ["thing_config.json"], "flag"), ("their_library", "Thing", ["thing.json"], "flag"), ("diffusers", "NewThing", ["README.md"], "reject"),
    ("diffusers", "UNet2DConditionModel", ["thing_config.json"], "reject"), ("transformers", "NewThing", ["generation_config.json"], "reject"),
    ("diffusers", "NewThing", ["diffusion_pytorch_model.safetensors.index.json"], "reject"), ("diffusers", "NewThing", ["config.json"], "reject"),
    ("transformers", "NewVideoProcessor", ["video_preprocessor_config.json"], None), ("transformers", "WhisperFeatureExtractor", ["processor_config.json"], None),
    ("ace_step", "AceStepAudioTokenizer", MODEL, None), ("diffusers", "Cosmos3AVAEAudioTokenizer", MODEL, None), ("diffusers", "Cosmos3AVAEAudioTokenizer", MODEL[:1], "reject"),
    ("diffusers", "Cosmos3AVAEAudioTokenizer", MODEL[1:], "reject"), ("transformers", "NewAudioTokenizer", ["config.json", "model.safetensors"], None),
    ("transformers", "BertTokenizer", ["config.json"], "reject"), ("kolors", "ChatGLMTokenizer", ["config.json", "tokenizer.model"], None),
    ("kolors", "ChatGLMTokenizer", ["tokenizer_config.json"], "reject")])
def test_a_part_is_what_its_class_and_folder_say(tmp_path, library, class_name, names, severity):
    """A class that is not known may keep no weights, and its configuration under another name; and tokenizers of sounds are models."""
    where = pipeline(tmp_path / "m")
    for name in names:
        put(where / "thing" / name, {})
        if name.endswith(".safetensors"):
            write_tensors(where / "thing" / name, {"weight": matrix(4, 4)})
    put(where / "model_index.json", {**INDEX, "thing": [library, class_name]})
    assert [f["severity"] for f in smoke(where)[1]["findings"] if f["rule"].startswith("parts.")] == [severity] * bool(severity)


@pytest.mark.parametrize("class_name, names, good", [
    ("CLIPTokenizer", ["tokenizer_config.json", "special_tokens_map.json"], False), ("CLIPTokenizer", ["vocab.json"], False), ("CLIPTokenizer", ["vocab.json", "merges.txt"], True),
    ("CLIPTokenizerFast", ["tokenizer.json"], True), ("T5TokenizerFast", ["tokenizer_config.json"], False), ("T5Tokenizer", ["spiece.model"], True),
    ("XLMRobertaTokenizer", ["sentencepiece.bpe.model"], True), ("BertTokenizer", ["vocab.txt"], True), ("QwenTokenizer", ["qwen.tiktoken"], True),
    ("ByT5Tokenizer", ["tokenizer_config.json"], True), ("ByT5Tokenizer", [], False)])
def test_a_tokenizer_has_tokens(tmp_path, class_name, names, good):
    where = pipeline(tmp_path / "m")
    shutil.rmtree(where / "tokenizer")
    put(where / "tokenizer/README.md", "")
    for name in names:
        put(where / "tokenizer" / name, {})
    put(where / "model_index.json", {**INDEX, "tokenizer": ["transformers", class_name]})
    messages = [f["message"] for f in smoke(where)[1]["findings"] if f["rule"] == "parts.missing"]
    assert not messages if good else "in tokenizer/ is no " in messages[0]


def pickled(where, part, stem, *numbers, variant="", named="12", index="{stem}.bin.index{variant}.json"):
    """A part in two shards, of which these are there, and these are named."""
    for path in (where / part).glob("*.safetensors"):
        path.unlink()
    shard = f"{stem}{variant}-0000{{}}-of-00002.bin"
    for n in numbers:
        (where / part / shard.format(n)).write_bytes(b"PK")
    if named:
        put(where / part / index.format(stem=stem, variant=variant), {"weight_map": {f"t{n}": shard.format(n) for n in named}})


@pytest.mark.parametrize("part, stem", [("unet", "diffusion_pytorch_model"), ("text_encoder", "pytorch_model")])
@pytest.mark.parametrize("there, more, why", [
    ((1, 2), {}, None), ((1, 2), {"variant": ".fp16"}, None), ((1, 2), {"variant": ".fp16", "index": "{stem}.bin{variant}.index.json"}, None),
    ((1,), {}, "of its shards {}-00002-of-00002.bin is not here"), ((2,), {}, "of its shards {}-00001-of-00002.bin is not here"),
    ((1, 2), {"named": ""}, "is no index that names its shards"), ((), {}, "are no weights")])
def test_shards_of_pickles(tmp_path, part, stem, there, more, why):
    where = pipeline(tmp_path / "m")
    pickled(where, part, stem, *there, **more)
    messages = [f["message"] for f in smoke(where)[1]["findings"] if f["rule"].startswith("parts.")]
    assert why.format(stem) in messages[0] if why else not messages, messages


@pytest.mark.parametrize("safe, lost, severity", [("", "", "flag"), (".fp16", ".fp16", "flag"), ("", ".fp16", "reject"), (".fp16", "", "reject")])
def test_shards_of_pickles_beside_safetensors(tmp_path, safe, lost, severity):
    """Which libraries look for first: of the same variant they stand for a pickle that was lost."""
    where = pipeline(tmp_path / "m")
    kept = (where / "unet/diffusion_pytorch_model.safetensors").read_bytes()
    pickled(where, "unet", "diffusion_pytorch_model", 1, variant=lost)
    (where / f"unet/diffusion_pytorch_model{safe}.safetensors").write_bytes(kept)
    found = [f for f in smoke(where)[1]["findings"] if f["rule"].startswith("parts.")]
    assert [f["severity"] for f in found] == [severity] and "00002-of-00002.bin is not here" in found[0]["message"], found


def test_an_index_that_was_left_behind(tmp_path):
    """As a selection without pickles leaves it."""
    where = pipeline(tmp_path / "m")
    put(where / "unet/diffusion_pytorch_model.bin.index.json", {"weight_map": {"a": "diffusion_pytorch_model-00001-of-00002.bin"}})
    assert not smoke(where)[1]["findings"]


@pytest.mark.parametrize("harm, why", [
    (lambda m: None, None), (lambda m: shutil.rmtree(m / "controlnet_2"), None), (lambda m: (m / "controlnet_note.txt").write_text(""), None),
    (lambda m: shutil.rmtree(m / "controlnet_1"), "controlnet_1 (ControlNetModel), and the folder controlnet_1/ is not here"),
    (lambda m: shutil.rmtree(m / "controlnet"), "controlnet (ControlNetModel), and the folder controlnet/ is not here"),
    (lambda m: (m / "controlnet_2/config.json").unlink(), "and in controlnet_2/ is no config.json"),
    (lambda m: (m / "controlnet_1/diffusion_pytorch_model.bin").unlink(), "and in controlnet_1/ are no weights"),
    (lambda m: put(m / "controlnet_1/config.json", {"_class_name": "AutoencoderKL"}), "and controlnet_1/config.json says AutoencoderKL")])
def test_several_control_nets(tmp_path, harm, why):
    """Each in a folder of its own, of which the list names the first; how many there are it does not say."""
    where = pipeline(tmp_path / "m")
    for name in "controlnet", "controlnet_1", "controlnet_2":
        put(where / name / "config.json", {"_class_name": "ControlNetModel"})
        (where / name / "diffusion_pytorch_model.bin").write_bytes(b"PK")
    put(where / "model_index.json", {**INDEX, "controlnet": ["diffusers", "MultiControlNetModel"]})
    harm(where)
    found = [f for f in smoke(where)[1]["findings"] if f["rule"].startswith("parts.")]
    assert [f["severity"] for f in found] == ["reject"] * bool(why) and all(why in f["message"] for f in found), found


def test_a_component_under_another_name_of_its_class_is_named(tmp_path):
    where = pipeline(tmp_path / "m")
    put(where / "model_index.json", {**INDEX, "vae": ["diffusers", "AutoencoderKLTemporalDecoder"]})
    done, report = smoke(where)
    assert done.returncode == 5 and [(f["rule"], f["severity"]) for f in report["findings"]] == [("parts.class", "flag")]


@pytest.mark.parametrize("pipe, task", [
    ("WanPipeline", "text-to-video"), ("WanImageToVideoPipeline", "image-to-video"), ("StableVideoDiffusionPipeline", "image-to-video"), ("AudioLDM2Pipeline", "text-to-audio"),
    ("DDPMPipeline", "unconditional-image-generation"), ("StableDiffusionXLImg2ImgPipeline", "image-to-image"), ("FluxKontextPipeline", "image-to-image"),
    ("FluxPipeline", "text-to-image"), ("OurOwn", "text-to-image"), (["pipeline", "OurOwn"], "text-to-image"), ("CogVideoXPipeline", "text-to-video"),
    ("Cosmos2TextToImagePipeline", "text-to-image"), ("QwenImagePipeline", "text-to-image")])
def test_task_of_a_pipeline(tmp_path, pipe, task):
    where = pipeline(tmp_path / "m")
    put(where / "model_index.json", {**INDEX, "_class_name": pipe})
    assert smoke(where)[1]["reasons"][0] == f"not run: task {task}"


def test_pipeline_in_a_folder(tmp_path):
    where = pipeline(tmp_path / "m/pipe")
    assert smoke(tmp_path / "m")[1]["file"] == "pipe/model_index.json"
    (where / "vae/diffusion_pytorch_model.safetensors").unlink()
    done, report = smoke(tmp_path / "m")
    assert done.returncode == 6 and report["file"] == report["findings"][0]["path"] == "pipe/model_index.json"


def test_parts_in_other_forms(tmp_path):
    """Only the half-precision variant, a pickle, an export; and a part of the repository's own code, which saves what it likes."""
    where = pipeline(tmp_path / "m")
    (where / "unet/diffusion_pytorch_model.safetensors").rename(where / "unet/diffusion_pytorch_model.fp16.safetensors")
    (where / "vae/diffusion_pytorch_model.safetensors").rename(where / "vae/diffusion_pytorch_model.bin")
    shutil.rmtree(where / "text_encoder")
    (where / "text_encoder").mkdir()
    (where / "text_encoder/model.onnx").write_bytes(b"\x08\x07")
    (where / "judge").mkdir()
    (where / "judge/my_judge.py").write_text("class Judge: pass\n")
    put(where / "model_index.json", {**INDEX, "text_encoder": ["diffusers", "OnnxRuntimeModel"], "judge": ["my_judge", "Judge"]})
    assert smoke(where)[0].returncode == 5


def test_pipeline_of_pickles_only(tmp_path):
    """Its numbers are not looked at, but that all of it is there is."""
    where = pipeline(tmp_path / "m")
    for path in list(where.glob("*/*.safetensors")):
        path.rename(path.with_name(f"{'pytorch_model' if path.stem == 'model' else path.stem}.bin"))
    done, report = smoke(where)
    assert done.returncode == 5 and report["reasons"][0] == "not run: task text-to-image" and report["structure"] is None
    (where / "unet/diffusion_pytorch_model.bin").unlink()
    assert smoke(where)[0].returncode == 6


def test_only_what_is_whole_is_published(tmp_path):
    """On structure and statistics, as the policy allows; and once more with another card, against what was said before."""
    policy = "smoke: {for: [{task: text-to-image, require: inspect}, {task: sentence-similarity, require: inspect}]}\n"
    with Registry(tmp_path / "reg", policy=policy) as reg:
        for name, task, where, part in (("org/p", "text-to-image", pipeline(tmp_path / "p"), "unet"), ("org/e", "sentence-similarity", encoder(tmp_path / "e"), "2_Dense")):
            shown = bring(reg, where, name, task=task)
            assert shown["state"] == "published", shown
            put(where / "notes.json", {"more": 1})
            shown = bring(reg, where, name, task=task)
            assert shown["state"] == "published", shown
            shutil.rmtree(where / part)
            reg.ctl("import", where, "--as", f"{name}-part", code=5)
            shown = reg.json("show", f"{name}-part")
            assert shown["state"] == "rejected" and part in json.dumps(shown["smoke"]["reasons"]), shown
