"""registryd-smoke on a GPU: the same recorded figures as on the processor. Twice: on the emulated device of tests/cuda_host, always, and on a
real one, where there is one (pytest -m gpu, or script/gpu-check)."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.system.test_smoke_runner import ARCHS, EXIT

BUILD = Path(os.environ["REGISTRYD_BUILD"])
PROGRAMS = {"emulated": BUILD / "tests/emulated/registryd-smoke", "gpu": BUILD / "bin/registryd-smoke"}
EMULATED_ARCHS = ["bloom", "deepseek2-v3"]	# it is slow


def run(device, *args):
    done = subprocess.run([PROGRAMS[device], "--json", "--device", "cuda", *map(str, args)], capture_output=True, text=True, timeout=600)
    assert done.stdout, f"no report; status {done.returncode}, stderr: {done.stderr[-2000:]}"
    return done, json.loads(done.stdout)


@pytest.fixture(scope="module", params=["emulated", "gpu"])
def device(request, tmp_path_factory):
    if request.param == "gpu":
        empty = tmp_path_factory.mktemp("none")
        reasons = run("gpu", empty)[1]["reasons"]
        if not Path("/proc/driver/nvidia/version").exists():
            pytest.skip("no NVIDIA driver here, so no GPU to test: " + "; ".join(reasons))
    return request.param


@pytest.fixture(scope="module")
def stories(shared):
    return shared / "data/models/stories260K"


@pytest.fixture(scope="module")
def text(device, stories):
    """What to run where no figures are expected: a real device takes the built-in text, the emulated one something shorter."""
    return [] if device == "gpu" else ["--text", stories / "text.txt"]


@pytest.mark.parametrize("layout", ["hf-f32", "hf-bf16", "hf-f16-sharded-spm", "as-mixtral"])
def test_trained_model(device, stories, layout):
    want = json.loads((stories / "expected.json").read_text())["models"][layout]
    done, report = run(device, "--text", stories / "text.txt", stories / layout)
    assert done.returncode == 0 and report["verdict"] == "pass", report
    assert report["device"].startswith("cuda:")
    assert report["loss_nats_per_token"] == pytest.approx(want["mean_loss"], rel=1e-4)
    assert report["greedy_text"] == want["greedy_text"]
    assert report["decode_tokens_per_s"] > 0 and report["gpu_peak_bytes"] > 0
    assert report["platform"]["gpu"] and report["platform"]["compute_capability"] and report["platform"]["cuda_runtime"]
    assert report["sandbox"]["seccomp"] and report["sandbox"]["no_new_privs"]


def test_fingerprint_repeats(device, stories, text):
    first, second = (run(device, *text, stories / "hf-bf16")[1]["fingerprint"] for _ in range(2))
    assert first == second and first["path"].count(",") == 2


def test_more_than_the_memory(device, stories, text):
    """A model that may not stay on the device gives the same figures, bit by bit."""
    free = run(device, *text, stories / "hf-f32")[1]
    budget = free["gpu_peak_bytes"] - 100_000
    tight = run(device, "--device-memory", budget, *text, stories / "hf-f32")[1]
    assert tight["verdict"] == "pass", tight["reasons"]
    assert tight["gpu_peak_bytes"] <= budget
    assert tight["fingerprint"] == free["fingerprint"]


def test_quantised_ggufs(device, stories):
    seen = 0
    files = json.loads((stories / "expected-gguf.json").read_text())["files"]
    for name in sorted(files)[:: 1 if device == "gpu" else 5]:
        want = files[name]
        if (stories / "gguf" / name).exists():
            report = run(device, "--text", stories / "text.txt", stories / "gguf" / name)[1]
            assert report["loss_nats_per_token"] == pytest.approx(want["mean_loss"], rel=5e-3), name
            seen += 1
    assert seen > 1


@pytest.mark.parametrize("arch", ARCHS)
def test_architecture(device, shared, tmp_path, arch):
    if device == "emulated" and arch not in EMULATED_ARCHS:
        pytest.skip("left to a real device: its mechanisms are in the others and in the goldens")
    archs = shared / "data/models/archs"
    want = json.loads((archs / "expected.json").read_text())
    (tmp_path / "text").write_text(want["text"])
    done, report = run(device, "--perplexity-chunk", 128, "--text", tmp_path / "text", archs / f"{arch}.gguf")
    assert report["perplexity"] == pytest.approx(want["models"][arch]["ppl"], rel=1e-3)
    assert done.returncode == EXIT[report["verdict"]] == 6, "random weights are not fit to publish"


@pytest.mark.parametrize("call", [900, 3000])
def test_a_card_that_fails_is_no_verdict_on_the_checkpoint(stories, call):
    """While the text is run, and while the continuation is."""
    env = os.environ | {"EMU_FAIL_AT": str(call), "EMU_FAIL_CODE": "cudaErrorLaunchFailure"}
    done = subprocess.run([PROGRAMS["emulated"], "--json", "--device", "cuda", stories / "hf-f32"], capture_output=True, text=True, env=env, timeout=600)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["verdict"] == "error", report["verdict"]
    assert "GPU 0 (" in report["reasons"][-1] and "noticed in" in report["reasons"][-1]


def test_a_device_that_is_not_there(stories):
    for program, device in (("emulated", "cuda:7"), ("gpu", "cuda:99")):
        done = subprocess.run([PROGRAMS[program], "--json", "--device", device, stories / "hf-f32"], capture_output=True, text=True, timeout=100)
        report = json.loads(done.stdout)
        assert done.returncode == 1 and report["verdict"] == "error" and report["reasons"][0].startswith(f"device {device}: "), report
