"""35 ways to damage a trained model: which layer of checks sees which, and that good models raise no alarm."""
import json
import os
import shutil
import subprocess

import pytest

from tests.system.conftest import ROOT
from tests.system.mutate import MUTATIONS, Model
from tests.system.test_smoke_runner import LAYOUTS, SMOKE, smoke

OWN_MODELS = ROOT / "tests/models"
# What each layer of checks is to catch of the 35: a change that makes any of them blinder fails here.
CAUGHT = {"A": 1, "B": 8, "C": 19, "D": 33}
SANITIZED = os.environ.get("REGISTRYD_SANITIZE", "") != ""
not_sanitized = pytest.mark.skipif(SANITIZED, reason="a matter of numbers, which are those of the build without sanitizers")
FORWARD = ("no better", "order should matter", "one and the same", "not finite", "positions are wrong", "certain", "looks in wrong places",
           "do not belong together")


def layers_that_see(report):
    """A: structure and tokenizer, B: statistics, C: the forward pass, D: the reference. A policy's limits are no part of it."""
    seen, reasons = set(), " | ".join(report["reasons"])
    rules = {f["rule"].split(".")[0] for f in report["findings"] if f["severity"] == "reject"}
    if rules & {"st", "idx", "plan", "config"} or "the tokenizer" in reasons:
        seen.add("A")
    if "stats" in rules:
        seen.add("B")
    if any(words in reasons for words in FORWARD):
        seen.add("C")
    if "reference" in reasons:
        seen.add("D")
    return seen


@not_sanitized
def test_mutations(shared, tmp_path, record_property):
    good = shared / "data/models/stories260K/hf-f32"
    reference = tmp_path / "reference.json"
    reference.write_text(json.dumps(smoke(good)[1]))
    assert len(MUTATIONS) == 35
    counts, missed = {"A": 0, "B": 0, "C": 0, "D": 0}, []
    for i, (name, (kind, mutate)) in enumerate(MUTATIONS.items()):
        m = Model(good)
        mutate(m)
        where = m.write(tmp_path / str(i))
        compared = smoke("--reference", reference, where)[1]
        seen = layers_that_see(compared)
        for layer in seen:
            counts[layer] += 1
        print(f"{name:40} {kind:6} {''.join(sorted(seen)):5} {compared['loss_nats_per_token']}")
        if kind == "gross":
            alone = smoke(where)[1]
            if alone["verdict"] != "fail" or not layers_that_see(alone) <= seen - {"D"} or not layers_that_see(alone):
                missed.append(f"{name}: not rejected without a reference, or for something else")
        if compared["verdict"] != "fail" or not seen:
            missed.append(f"{name}: not rejected with a reference")
    print("caught by layer:", counts)
    record_property("caught", json.dumps(counts))
    assert not missed
    assert counts == CAUGHT


@pytest.mark.skipif(not SANITIZED, reason="test_mutations sees more")
def test_mutations_come_to_a_verdict(shared, tmp_path):
    """Whatever the numbers are: nothing is read or counted out of bounds on the way."""
    good = shared / "data/models/stories260K/hf-f32"
    for i, (name, (_, mutate)) in enumerate(MUTATIONS.items()):
        m = Model(good)
        mutate(m)
        assert smoke("--text", good.parent / "text.txt", m.write(tmp_path / str(i)))[1]["verdict"] in ("pass", "fail"), name


@pytest.mark.parametrize("name", ["tiny-story", "tiny-story-bpe"])
def test_no_false_alarm_on_our_own(name):
    report = smoke(OWN_MODELS / name)[1]
    assert report["verdict"] == "pass" and not report["findings"], (report["reasons"], report["findings"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_false_alarm(shared, tmp_path, layout):
    stories = shared / "data/models/stories260K"
    reference = tmp_path / "reference.json"
    reference.write_text(json.dumps(smoke(stories / "hf-f32")[1]))
    report = smoke("--reference", reference, stories / layout)[1]
    assert report["verdict"] == "pass" and not report["findings"], (report["reasons"], report["findings"])


@not_sanitized
def test_no_false_alarm_on_quantised(shared, tmp_path):
    stories = shared / "data/models/stories260K"
    for path in sorted((stories / "gguf").glob("*.gguf")):
        report = smoke(path)[1]
        assert report["verdict"] == "pass" and not report["findings"], (path.name, report["reasons"], report["findings"])


def test_siblings_are_compared(shared, tmp_path):
    """GGUFs in a directory with the original: each gets a verdict, and has to agree with it."""
    stories = shared / "data/models/stories260K"
    where = Model(stories / "hf-f32").write(tmp_path / "good")
    for kind in ("F16", "Q6_K"):
        (where / f"m-{kind}.gguf").write_bytes((stories / f"gguf/stories260K-{kind}.gguf").read_bytes())
    done, report = smoke(where)
    assert done.returncode == 0 and [a["verdict"] for a in report["artefacts"]] == ["pass"] * 3, report["artefacts"]
    m = Model(stories / "hf-f32")
    MUTATIONS["q_proj of one layer transposed"][1](m)
    where = m.write(tmp_path / "bad")
    (where / "m-F16.gguf").write_bytes((stories / "gguf/stories260K-F16.gguf").read_bytes())
    done, report = smoke(where)
    assert done.returncode == 6 and [a["verdict"] for a in report["artefacts"]] == ["pass", "fail"] and "reference" in report["reasons"][0]


@pytest.mark.parametrize("layout, kind", [("hf-bf16", "BF16"), ("hf-f16-sharded-spm", "F16")])
def test_of_halves_one_may_have_kept_its_norms(shared, tmp_path, layout, kind):
    """Matrices of the same 16 bits: a GGUF's norms are as they were trained, those beside it rounded as well. More than that is damage."""
    stories = shared / "data/models/stories260K"
    where = shutil.copytree(stories / layout, tmp_path / "m", copy_function=shutil.copyfile)
    gguf = shutil.copyfile(stories / f"gguf/stories260K-{kind}.gguf", where / "m.gguf")
    done, report = smoke(where)
    assert done.returncode == 0 and [a["verdict"] for a in report["artefacts"]] == ["pass"] * 2, report["artefacts"]
    reference = tmp_path / "reference.json"
    reference.write_text(json.dumps(smoke(gguf)[1]))
    gguf.unlink()
    assert smoke("--reference", reference, where)[0].returncode == 0
    for other in ("BF16", "F16"):
        report = smoke("--reference", reference, stories / f"gguf/stories260K-{other}.gguf")[1]
        assert report["verdict"] == "pass", (other, report["reasons"])
    m = Model(stories / "hf-f32")
    MUTATIONS["q_proj of one layer transposed"][1](m)
    assert smoke("--reference", reference, m.write(tmp_path / "bad"))[0].returncode == 6


def test_unwritten_changes_nothing(shared, tmp_path):
    """Writing the good model back must not look like damage: else the mutations prove nothing."""
    good = shared / "data/models/stories260K/hf-f32"
    reference = tmp_path / "reference.json"
    reference.write_text(json.dumps(smoke(good)[1]))
    assert smoke("--reference", reference, Model(good).write(tmp_path / "same"))[1]["verdict"] == "pass"


@pytest.mark.parametrize("options", [["--no-run"], ["--inspect"], None, ["--tokens", 40], ["--perplexity-chunk", 40]])
def test_reports_that_no_run_can_be_held_against(shared, tmp_path, options):
    """They say nothing of the model: the test is an error, and the model not at fault."""
    stories = shared / "data/models/stories260K"
    reference = tmp_path / "reference.json"
    reference.write_text(json.dumps(smoke(*options, stories / "hf-f32")[1] if options else {"model_type": "llama"}))
    done = subprocess.run([SMOKE, "--reference", reference, stories / "hf-f32"], capture_output=True, text=True)
    said = "make both with the same --tokens" if options and options[0] == "--tokens" else "holds no report of a run"
    assert done.returncode == 1 and said in done.stdout + done.stderr, (done.stdout, done.stderr)


@pytest.mark.parametrize("relation", ["quantized", "same_weights", "other_weights"])
def test_figures_of_another_length_of_text_are_not_compared(shared, tmp_path, relation):
    """A report that the daemon kept may be of a runner that read more or less of the text: that is no fault of the model's."""
    good, reference = shared / "data/models/stories260K/hf-f32", tmp_path / "reference.json"
    said = {"relation": relation, "name": "org/base", "report": smoke("--tokens", 100, good)[1]}
    said["report"]["bits_per_byte"] -= 1
    if relation == "other_weights":
        said["report"]["fingerprint"]["weights"] = "0" * 64
    reference.write_text(json.dumps(said))
    done, report = smoke("--reference", reference, good)
    assert done.returncode == 0 and report["verdict"] == "pass" and not report["findings"], report["reasons"]
    assert report["compared"] == [f"is not compared with org/base: that run is of 100 tokens of the text, this one of {report['prompt_tokens']}"]
    assert smoke("--reference", reference, "--tokens", 100, good)[1]["compared"] == ["differs from org/base" if relation == "other_weights" else "agrees with org/base"]


def short(stories, where):
    m = Model(stories / "hf-f32")
    m.config["max_position_embeddings"] = 100
    return m.write(where)


def test_a_context_that_ends_the_text_where_it_did_not(shared, tmp_path):
    """Of the weights that are served the configuration was changed."""
    stories, reference = shared / "data/models/stories260K", tmp_path / "reference.json"
    reference.write_text(json.dumps({"relation": "same_weights", "name": "org/base", "report": smoke(stories / "hf-f32")[1]}))
    done, report = smoke("--reference", reference, short(stories, tmp_path / "short"))
    assert report["prompt_tokens"] == 100 and report["compared"] == ["differs from org/base"]
    assert [f["message"].split(",")[0] for f in report["findings"]] == ["its context ends the text after 100 tokens"]


@pytest.mark.parametrize("shorter", ["original", "form"])
def test_forms_with_other_contexts_are_not_compared(shared, tmp_path, shorter):
    """A GGUF may be made for a shorter context: what it loses on less of the text says nothing of its numbers. Given by hand that is an error of the test."""
    stories, reference = shared / "data/models/stories260K", tmp_path / "reference.json"
    gguf, less = stories / "gguf/stories260K-F32.gguf", short(stories, tmp_path / "m")
    whole, cut = smoke(gguf)[1]["prompt_tokens"], 100
    why = "is not compared with {}: that run is of {} tokens of the text, this one of {}"
    form, original, had, has = (less, gguf, whole, cut) if shorter == "form" else (gguf, less, cut, whole)
    report = smoke(original)[1]
    for relation in ("quantized", "other_weights"):
        said = {**report, "fingerprint": {**report["fingerprint"], "weights": "0" * 64}}
        reference.write_text(json.dumps({"relation": relation, "name": "org/base", "report": said}))
        done, held = smoke("--reference", reference, form)
        assert done.returncode == 0 and held["compared"] == [why.format("org/base", had, has)] and not held["findings"], held
    reference.write_text(json.dumps(report))
    done, held = smoke("--reference", reference, form)
    assert done.returncode == 1 and "make both with the same --tokens" in held["reasons"][0], held
    if shorter == "original":
        shutil.copyfile(gguf, less / "m.gguf")
        done, held = smoke(less)
        assert done.returncode == 0 and held["artefacts"][1]["compared"] == [why.format("model.safetensors", cut, whole)]
