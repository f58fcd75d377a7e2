"""The runner as the daemon's child: what it tells of itself on the way, and what becomes of a model that it dies of."""
import re
import subprocess
import sys
import time

import pytest

from tests.system.conftest import ROOT
from tests.system.registry import BIN, Registry

MODEL = ROOT / "tests/models/tiny-story"
REAL = BIN / "registryd-smoke"


def stub(where, inspect="", test="", head=""):
    """A runner that does something of its own where it inspects or tests, and is the real one else."""
    path = where / "runner"
    where.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""#!{sys.executable} -SE
import os, signal, sys, time
def tell(line):
    os.write(3, (line + "\\n").encode())
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)
{head}
if "--inspect" in sys.argv:
    {inspect or "pass"}
else:
    {test or "pass"}
os.execv({str(REAL)!r}, [{str(REAL)!r}, *sys.argv[1:]])
""")
    path.chmod(0o755)
    return path


def registry(tmp_path, runner, settings=""):
    return Registry(tmp_path / "reg", settings=f"smoke: {{program: {runner}, device: cpu{settings}}}\n")


def phases_until(reg, pattern):
    """What a job says it is doing, until it says that."""
    end, seen = time.monotonic() + 60, []
    while time.monotonic() < end:
        for job in reg.json("jobs"):
            phase = (job.get("progress") or {}).get("phase")
            if phase and phase not in seen:
                seen.append(phase)
            if phase and re.search(pattern, phase):
                return seen
        time.sleep(0.02)
    raise AssertionError(f"no job said {pattern}: {seen}")


def test_progress_reaches_jobs(tmp_path):
    gate = tmp_path / "go"
    lines = ["open 0 0 2 3 b.gguf", "test 12 32 2 3 b.gguf"]
    runner = stub(tmp_path, test=f"[tell(x) for x in {lines!r}]; wait_for({str(gate)!r})")
    with registry(tmp_path, runner) as reg:
        reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0", "--no-wait")
        phases_until(reg, r"^testing 12/32 layers of b\.gguf \(2 of 3\)$")
        assert "testing 12/32 layers" in reg.ctl("jobs").stdout
        gate.touch()
        until_done(reg)
        assert reg.json("show", "org/m")["state"] == "published"


def until_done(reg):
    end = time.monotonic() + 60
    while any(j["state"] in ("queued", "running") for j in reg.json("jobs")):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_watching_shows_it(tmp_path):
    gate = tmp_path / "go"
    runner = stub(tmp_path, test=f"tell('test 1 3 1 1 model.safetensors'); wait_for({str(gate)!r})")
    with registry(tmp_path, runner) as reg:
        reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0", "--no-wait")
        watch = subprocess.Popen(reg.command("jobs", "--watch"), stdout=subprocess.PIPE, text=True)
        try:
            assert any("testing 1/3 layers of model.safetensors" in line for line in watch.stdout)
            gate.touch()
            assert any("published" in line for line in watch.stdout)
        finally:
            watch.kill()
            watch.wait()


@pytest.mark.parametrize("junk", [
    "b'test 12 32 2 3'", "b'test 33 32 1 1 a\\n'", "b'test 1 99999999999 1 1 a\\n'", "b'test -1 3 1 1 a\\n'", "b'dance 1 3 1 1 a\\n'", "b'\\xff\\x00\\n' * 5000",
    "b'x' * 60000 + b'\\n'", "b'test 1 3 4 3 a\\n'", "b'test 1 3 1 1 \\x1b[2J\\xff' + b'y' * 2000 + b'\\n'"])
def test_what_it_tells_is_foreign_input(tmp_path, junk):
    """Nonsense is passed over, and a flood of it holds nobody up."""
    runner = stub(tmp_path, test=f"os.set_blocking(3, True); [os.write(3, {junk}) for _ in range(50)]")
    with registry(tmp_path, runner) as reg:
        reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0")
        assert reg.json("show", "org/m")["state"] == "published"


def rejected(reg, code):
    reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0", code=code)
    return reg.json("show", "org/m")


@pytest.mark.parametrize("number", [4, 6, 7, 8, 9, 11, 31])
def test_dying_of_a_file_rejects_it(tmp_path, number):
    runner = stub(tmp_path, inspect=f"tell('inspect 0 0 5 0 model.safetensors'); os.kill(os.getpid(), {number})")
    with registry(tmp_path, runner) as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "rejected"
        finding = next(f for f in shown["findings"] if f["rule"] == "inspector-crash")
        assert finding["path"] == "model.safetensors" and finding["severity"] == "reject"
        assert re.match(rf"inspector stopped by signal {number} \(.*\) at inspecting model\.safetensors", finding["message"])
        assert f"inspector stopped by signal {number}" in reg.ctl("why", "org/m").stdout


def test_dying_while_it_runs_the_model_rejects_it(tmp_path):
    runner = stub(tmp_path, test="tell('test 1 3 1 1 model.safetensors'); print('half a report', flush=True); os.kill(os.getpid(), 11)")
    with registry(tmp_path, runner) as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "rejected" and shown["smoke"]["verdict"] == "fail"
        assert shown["smoke"]["reasons"][0].startswith("inspector stopped by signal 11 (Segmentation fault) at testing 1/3 layers of model.safetensors")


def test_reading_without_end_rejects(tmp_path):
    runner = stub(tmp_path, inspect="tell('inspect 0 0 5 0 model.safetensors'); time.sleep(600)")
    with registry(tmp_path, runner, ", timeout: 1s") as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "rejected"
        assert any("inspector stopped by signal 9 after 1 s at inspecting model.safetensors" in f["message"] for f in shown["findings"])


def test_a_test_without_end_holds(tmp_path):
    """A model may be too large for this machine, and sound."""
    runner = stub(tmp_path, test="tell('test 2 3 1 1 model.safetensors'); time.sleep(600)")
    with registry(tmp_path, runner, ", timeout: 2s") as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "held" and shown["smoke"]["verdict"] == "error"
        assert "after 2 s at testing 2/3 layers of model.safetensors" in shown["smoke"]["reasons"][0]


def test_memory_has_a_limit_while_reading_too(tmp_path):
    with registry(tmp_path, REAL, ", memory: 1MB") as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "rejected"
        assert any(f["rule"] == "inspect.limit" and "of memory" in f["message"] for f in shown["findings"])


def test_a_runner_that_can_not_start_says_nothing_about_the_model(tmp_path):
    with registry(tmp_path, tmp_path / "nothing-here") as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "held"
