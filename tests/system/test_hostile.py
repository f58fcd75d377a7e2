"""The hostile corpus through the program itself, in its sandbox: each file gets the manifest's verdict and exit status."""
import json
import subprocess
from pathlib import Path

import pytest

from tests.system.registry import BIN

ROOT = Path(__file__).resolve().parents[2]
SMOKE = BIN / "registryd-smoke"
DATA = ROOT / "tests/data"
CASES = [c for c in json.loads((DATA / "hostile-manifest.json").read_text())["cases"] if c["group"] != "oms"]    # signatures: need a key


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    where = tmp_path_factory.mktemp("hostile")
    subprocess.run(["tar", "--zstd", "-xf", DATA / "hostile.tar.zst", "-C", where], check=True)
    return where


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["path"])
def test_verdict(corpus, case):
    path = corpus / case["path"]
    path = path.parent if case["opt"].get("dir") else path
    done = subprocess.run([SMOKE, "--inspect", "--json", path], capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    rules = {f["rule"] for f in report["findings"]}
    assert report["verdict"] == case["expect"], report["findings"]
    assert done.returncode == (6 if case["expect"] == "reject" else 0)
    assert case["code"] == "ok" or case["code"] in rules
    assert case["code"] != "ok" or not rules
    assert done.stderr == ""
