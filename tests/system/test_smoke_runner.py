"""registryd-smoke by hand: recorded figures on known models, clear answers on everything else."""
import json
import os
import shutil
import struct
import subprocess

import pytest

from tests.system.registry import BIN

SMOKE = BIN / "registryd-smoke"
LAYOUTS = ["hf-f32", "hf-bf16", "hf-f16-sharded-spm", "as-qwen2", "as-gemma", "as-phi3", "as-mixtral"]
ARCHS = ["llama-untied", "mixtral", "qwen2", "qwen2moe", "gemma", "gemma2", "p3-longrope", "starcoder2", "starcoder", "gpt2", "bloom", "grok", "qwen1",
         "phi2-parallel", "phimoe", "deepseek2-v2", "deepseek2-v3"]
EXIT = {"pass": 0, "fail": 6, "not_run": 5, "error": 1}


def smoke(*args, env=None):
    done = subprocess.run([SMOKE, "--json", *map(str, args)], capture_output=True, text=True, timeout=120, env=env)
    assert done.stdout, f"no report; status {done.returncode}, stderr: {done.stderr[-2000:]}"
    return done, json.loads(done.stdout)


@pytest.fixture(scope="module")
def stories(shared):
    return shared / "data/models/stories260K"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_trained_model(stories, layout):
    want = json.loads((stories / "expected.json").read_text())
    done, report = smoke("--text", stories / "text.txt", stories / layout)
    assert done.returncode == 0 and report["verdict"] == "pass", report
    assert report["tokens"] == want["token_ids"]
    assert report["loss_nats_per_token"] == pytest.approx(want["models"][layout]["mean_loss"], rel=1e-4)
    assert report["greedy_text"] == want["models"][layout]["greedy_text"]
    assert report["sandbox"]["seccomp"] and report["sandbox"]["no_new_privs"]


def test_built_in_text(stories):
    done, report = smoke(stories / "hf-f32")
    assert done.returncode == 0 and 0 < report["bits_per_byte"] < 1.5
    again = smoke("--threads", 1, stories / "hf-f32")[1]
    assert again["fingerprint"] == report["fingerprint"], "the same model gives the same fingerprint, whatever the number of threads"


@pytest.mark.parametrize("arch", ARCHS)
def test_architecture(shared, tmp_path, arch):
    archs = shared / "data/models/archs"
    want = json.loads((archs / "expected.json").read_text())
    (tmp_path / "text").write_text(want["text"])
    done, report = smoke("--perplexity-chunk", 128, "--text", tmp_path / "text", archs / f"{arch}.gguf")
    assert report["perplexity"] == pytest.approx(want["models"][arch]["ppl"], rel=1e-3)
    assert done.returncode == EXIT[report["verdict"]] == 6, "random weights are not fit to publish"


def test_quantised_ggufs(stories):
    for name, want in json.loads((stories / "expected-gguf.json").read_text())["files"].items():
        if (stories / "gguf" / name).exists():
            report = smoke("--text", stories / "text.txt", stories / "gguf" / name)[1]
            assert report["loss_nats_per_token"] == pytest.approx(want["mean_loss"], rel=5e-3), name


def copy(stories, tmp_path):
    where = tmp_path / "m"
    shutil.copytree(stories / "hf-f32", where)
    for path in [where, *where.iterdir()]:
        os.chmod(path, 0o755)
    return where


def edit_config(where, **keys):
    config = json.loads((where / "config.json").read_text())
    config.update(keys)
    (where / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v != "absent"}))


@pytest.mark.parametrize("keys, verdict, words", [
    ({"architectures": ["MambaForCausalLM"]}, "not_run", "not run: architecture MambaForCausalLM"),
    ({"architectures": ["BertModel"]}, "not_run", "not run: task feature-extraction"),
    ({"rope_scaling": {"rope_type": "spiral", "factor": 2}}, "not_run", "spiral"),
    ({"hidden_act": "snake"}, "not_run", "snake"),
    ({"attention_multiplier": 0.5}, "fail", "attention_multiplier"),
    ({"num_hidden_layers": 6}, "fail", "model.layers.5"),
    ({"num_hidden_layers": 4}, "fail", "model.layers.4"),
    ({"hidden_size": 128}, "fail", "shape"),
    ({"num_attention_heads": 7}, "fail", "7"),
    ({"num_hidden_layers": -1}, "fail", "num_hidden_layers"),
    ({"tie_word_embeddings": False}, "fail", "lm_head"),
    ({"vocab_size": 256}, "fail", "shape"),
    ({"rms_norm_eps": "small"}, "fail", "rms_norm_eps"),
])
def test_configuration(stories, tmp_path, keys, verdict, words):
    where = copy(stories, tmp_path)
    edit_config(where, **keys)
    done, report = smoke(where)
    assert report["verdict"] == verdict and done.returncode == EXIT[verdict], report
    assert words in " ".join(report["reasons"])


def test_nan_is_found(stories, tmp_path):
    where = copy(stories, tmp_path)
    weights = where / "model.safetensors"
    data = bytearray(weights.read_bytes())
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    at = start + header["model.layers.2.mlp.down_proj.weight"]["data_offsets"][0] + 400
    data[at:at + 4] = struct.pack("<f", float("nan"))
    weights.write_bytes(data)
    done, report = smoke(where)
    assert done.returncode == 6 and "not finite" in " ".join(report["reasons"])


def test_truncated_file(stories, tmp_path):
    where = copy(stories, tmp_path)
    weights = where / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done, report = smoke(where)
    assert done.returncode == 6 and report["findings"][0]["rule"] == "st.truncated"
    done, report = smoke("--inspect", where)
    assert done.returncode == 6 and report["verdict"] == "reject"
    assert {"path": "model.safetensors", "format": "safetensors", "verdict": "reject"} in report["files"]


def test_inspect(stories):
    done, report = smoke("--inspect", stories / "hf-f16-sharded-spm")
    assert done.returncode == 0 and report["verdict"] == "accept" and report["findings"] == []
    assert len([f for f in report["files"] if f["format"] == "safetensors"]) == 3
    assert report["dtypes"] == {"F16": report["params"]} and report["architecture"] == "LlamaForCausalLM"


def test_no_weights(tmp_path):
    done, report = smoke(tmp_path)
    assert done.returncode == 5 and report["verdict"] == "not_run"


def test_usage(stories, tmp_path):
    for args in (["--nonsense", stories], [], ["--device", "tpu", stories], ["--perplexity-chunk", "0", stories]):
        done = subprocess.run([SMOKE, *map(str, args)], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, args
    done = subprocess.run([SMOKE, tmp_path / "absent"], capture_output=True, text=True)
    assert done.returncode == 1 and "No such file" in done.stderr


def test_limits(stories):
    done, report = smoke("--memory", "1M", stories / "hf-f32")
    assert done.returncode in (0, 1)    # a model of a megabyte may be done before the watch looks
    if done.returncode:
        assert report["verdict"] == "error" and "memory" in report["reasons"][0]
