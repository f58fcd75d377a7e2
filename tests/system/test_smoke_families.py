"""Every tensor of every family is demanded, as tests/golden/*.json has them from transformers; so is the head of a classifier that is built on one."""
import array
import json
import math
import random

import pytest

from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import smoke, write_tensors

GOLDENS = sorted(p.stem for p in (ROOT / "tests/golden").glob("*.json"))
SIGHT = ("vision_tower", "vision_model", "model.vision_tower", "visual", "model.visual", "multi_modal_projector", "model.multi_modal_projector")


def build(where, name, tensors=None, **config):
    """A checkpoint of this golden's tensors, with random numbers."""
    golden, rnd = json.loads((ROOT / f"tests/golden/{name}.json").read_text()), random.Random(name)
    where.mkdir()
    (where / "config.json").write_text(json.dumps({**golden["config"], **config}))
    shapes = {t: s[0] for t, s in golden["tensors"].items()} | (tensors or {})
    made = {t: ("F32", shape, array.array("f", (rnd.gauss(0, 0.02) for _ in range(math.prod(shape)))).tobytes()) for t, shape in shapes.items() if shape}
    write_tensors(where / "model.safetensors", made)
    return made


def verdict(where):
    report = smoke("--no-run", where)[1]
    return report["verdict"], {f["rule"] for f in report["findings"] if f["severity"] == "reject"}


def of_layer(name, tensors):
    """The tensors of a layer in the middle and those of no layer, without those of the tied head and what is packed."""
    numbered = {t: [int(p) for p in t.split(".") if p.isdigit()] for t in tensors}
    return [t for t in tensors if not t.startswith(SIGHT) and (not numbered[t] or numbered[t][0] == 2) and len(numbered[t]) < 2]


@pytest.mark.parametrize("name", [g for g in GOLDENS if "fp8" not in g])
def test_any_tensor_lost(tmp_path, name):
    made = build(tmp_path / "m", name)
    whole = verdict(tmp_path / "m")
    assert "plan.missing" not in whole[1], whole
    for tensor in of_layer(name, made):
        write_tensors(tmp_path / "m/model.safetensors", {t: v for t, v in made.items() if t != tensor})
        assert "plan.missing" in verdict(tmp_path / "m")[1] or tensor.endswith(("lm_head.weight", "embed_tokens.weight", "wte.weight")), tensor


def random_like(*shape):
    rnd = random.Random(1)
    return "F32", list(shape), array.array("f", (rnd.gauss(0, 0.02) for _ in range(math.prod(shape)))).tobytes()


HEADS = {
    "LlamaForSequenceClassification": ("llama", "score", 1, False), "Qwen2ForSequenceClassification": ("qwen2", "score", 3, False),
    "Gemma2ForSequenceClassification": ("gemma2", "score", 1, False), "GPT2ForSequenceClassification": ("gpt2", "score", 2, False),
    "Qwen2ForTokenClassification": ("qwen2", "score", 3, True), "BloomForTokenClassification": ("bloom", "classifier", 2, True),
}


@pytest.mark.parametrize("architecture", HEADS)
def test_heads_of_classifiers(tmp_path, architecture):
    name, head, n, bias = HEADS[architecture]
    made = build(tmp_path / "m", name, architectures=[architecture], **({"id2label": {str(i): f"LABEL_{i}" for i in range(n)}} if n != 2 else {}))
    made = {t: v for t, v in made.items() if t != "lm_head.weight"}
    width = made[next(t for t in made if "norm" in t or "ln_f" in t)][1][0]
    good = {f"{head}.weight": random_like(n, width), **({f"{head}.bias": random_like(n)} if bias else {})}

    def told(tensors):
        write_tensors(tmp_path / "m/model.safetensors", {**made, **tensors})
        return verdict(tmp_path / "m")
    assert told(good) == ("not_run", set())
    for lost in good:
        assert told({t: v for t, v in good.items() if t != lost}) == ("fail", {"plan.missing"}), lost
    assert told({**good, f"{head}.weight": random_like(n + 1, width)}) == ("fail", {"plan.shape"})
    assert told({**good, f"{head}.weight": ("F32", [n, width], bytes(4 * n * width))}) == ("fail", {"stats.zero"})
    if not bias:
        assert told({**good, f"{head}.bias": random_like(n)})[0] == "not_run"
    else:
        assert told({**good, f"{head}.bias": random_like(n + 1)}) == ("fail", {"plan.shape"})


def test_labels_are_counted_by_number_too(tmp_path):
    made = build(tmp_path / "m", "llama", architectures=["LlamaForSequenceClassification"], num_labels=5)
    for n, verdict_of in ((5, "not_run"), (2, "fail")):
        write_tensors(tmp_path / "m/model.safetensors", {**made, "score.weight": random_like(n, 64)})
        assert verdict(tmp_path / "m")[0] == verdict_of


def test_a_bias_that_the_configuration_takes_away(tmp_path):
    made = build(tmp_path / "m", "qwen2", architectures=["Qwen2ForTokenClassification"], token_classification_bias=False)
    write_tensors(tmp_path / "m/model.safetensors", {**made, "score.weight": random_like(2, 64)})
    assert verdict(tmp_path / "m") == ("not_run", set())


@pytest.mark.parametrize("architecture, auto_map", [("LlamaForRewardModel", None), ("LlamaForSequenceClassification", {"AutoModelForSequenceClassification": "own.Model"})])
def test_heads_that_are_not_known_are_not_demanded(tmp_path, architecture, auto_map):
    made = build(tmp_path / "m", "llama", architectures=[architecture], **({"auto_map": auto_map} if auto_map else {}))
    for head in ({}, {"score.0.weight": random_like(64, 64), "score.2.weight": random_like(1, 64)}, {"v_head.weight": random_like(1, 64)}):
        write_tensors(tmp_path / "m/model.safetensors", {**made, **head})
        assert verdict(tmp_path / "m") == ("not_run", set()), head


def test_a_head_of_values_beside_a_language_model_is_named(tmp_path):
    """Training with rewards saves it under the class of the model, which passes over it."""
    made = build(tmp_path / "m", "llama")
    before = verdict(tmp_path / "m")[0]
    write_tensors(tmp_path / "m/model.safetensors", {**made, "v_head.summary.weight": random_like(1, 64), "v_head.summary.bias": random_like(1)})
    assert verdict(tmp_path / "m") == (before, set())
    write_tensors(tmp_path / "m/model.safetensors", {**made, "w_head.summary.weight": random_like(1, 64)})
    assert verdict(tmp_path / "m")[0] == "fail"


@pytest.mark.parametrize("labels", [{"id2label": {}}, {"id2label": [1]}, {"num_labels": -3}, {"num_labels": 1 << 40}, {"num_labels": "many"}, {"id2label": None}])
def test_odd_labels(tmp_path, labels):
    made = build(tmp_path / "m", "llama", architectures=["LlamaForSequenceClassification"], **labels)
    write_tensors(tmp_path / "m/model.safetensors", {**made, "score.weight": random_like(2, 64)})
    assert verdict(tmp_path / "m") == ("not_run", set())
