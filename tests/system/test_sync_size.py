"""
Revisions of many files and of huge ones: the daemon's memory does not follow their number or size. REGISTRYD_MANY=100000 asks for as many files
(a quarter of an hour) instead of 10,000.
"""
import json
import os
import re
import time
from pathlib import Path

import pytest

from tests.hub import Sparse
from tests.system.registry import Registry
from tests.system.sync_case import CARD, NAME, POLICY, get, settings

MIB = 1 << 20
MANY = int(os.environ.get("REGISTRYD_MANY", 10_000))


@pytest.fixture
def many(tmp_path, hub):
    """A registry, and a model of many small files upstream whose limits are no matter here."""
    hub.options.rate_limits = {bucket: (10**9, seconds) for bucket, (_, seconds) in hub.options.rate_limits.items()}
    content = {f"d{i // 1000}/{i // 100 % 10}/f{i}.txt": f"{i}\n" for i in range(MANY)}
    hub.add_model(NAME, {"README.md": CARD, "config.json": "{}", **content})
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, stall="30s")) as reg:
        yield reg


def check_memory(reg, most):
    """The most since the daemon began, or since this was asked last."""
    status, peak = Path(f"/proc/{reg.process.pid}/status"), r"VmHWM:\s+(\d+) kB"
    if not os.environ.get("REGISTRYD_SANITIZE"):     # sanitizers keep what was freed
        assert int(re.search(peak, status.read_text())[1]) * 1024 < most, status.read_text()
    Path(f"/proc/{reg.process.pid}/clear_refs").write_text("5")


# What 10,000 files take over the 14 MiB of a daemon that has just begun must be a fraction of what is promised: the Hub has models of ten times as many.
ROOM = 40 * MIB if MANY <= 10_000 else 64 * MIB


def test_many_files(many, hub):
    """All come, once each, and the whole stays within what is promised for a small catalog."""
    many.ctl("sync", NAME, timeout=3000)
    check_memory(many, ROOM)
    shown = many.json("show", NAME)
    assert shown["state"] == "published" and shown["proof"] == "commit" and len(shown["files"]) == MANY + 3
    asked = [r.file for r in hub.requests(route="resolve")]
    assert len(asked) == len(set(asked)) == MANY + 3
    assert get(f"{many.url}/{NAME}/resolve/main/d9/9/f9999.txt") == (200, b"9999\n")
    before = len(hub.requests())
    many.ctl("sync", NAME)
    assert len(hub.requests()) - before <= 2
    check_memory(many, ROOM)


def test_answers_about_many_files(many):
    """What is asked about them is written as it is read, for a plan, a page, a bill of materials, a verification."""
    plan = many.json("sync", NAME, "--dry-run", timeout=400)
    assert len({f["path"] for f in plan["files"]}) == MANY + 3 and all(f["wanted"] and not f["stored"] for f in plan["files"])
    check_memory(many, ROOM)
    many.ctl("sync", NAME, timeout=3000)
    check_memory(many, ROOM)
    paths = [f["path"] for f in many.json("show", NAME)["files"]]
    assert paths == sorted(paths, key=str.encode) and len(paths) == MANY + 3
    assert [f["path"] for f in many.json("verify", NAME, timeout=400)["files"]] == paths
    assert not any(isinstance(j["result"].get("files"), list) for j in json.loads(get(f"{many.url}/-/v1/jobs")[1])["jobs"])
    check_memory(many, ROOM)
    api = f"{many.url}/api/models/{NAME}"
    assert sorted(s["rfilename"] for s in json.loads(get(api)[1])["siblings"]) == sorted(paths)
    tree = [e for e in json.loads(get(f"{api}/tree/main?recursive=true")[1]) if e["type"] == "file"]
    assert sorted(e["path"] for e in tree) == sorted(paths)
    for form, found in (("cyclonedx", lambda d: [c["name"] for c in d["components"]]),
                        ("spdx", lambda d: [n["name"] for n in d["@graph"] if n["type"] == "software_File"])):
        assert found(json.loads(many.ctl("sbom", NAME, "--format", form).stdout)) == paths
    assert get(f"{many.url}/{NAME}")[0] == 200
    check_memory(many, ROOM)


def test_a_plan_of_500_gb_files(tmp_path, hub):
    """Sizes past 2^32 and past any disk here: planned exactly, and refused for want of room before a byte is fetched."""
    size = 500 * 10**9
    hub.add_model(NAME, {"README.md": CARD, "config.json": "{}", **{f"model-{i}.safetensors": Sparse(size, f"{i + 1}" * 64) for i in range(3)}})
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        plan = reg.json("sync", NAME, "--dry-run")
        assert plan["fetch_bytes"] == sum(f["size_bytes"] for f in plan["files"] if f["wanted"])
        assert [f["size_bytes"] for f in plan["files"] if f["path"].startswith("model-")] == [size] * 3
        said = reg.ctl("sync", NAME, "--dry-run").stdout
        assert "1.5" in said or "1500" in said, said
        reg.ctl("sync", NAME, "--no-wait")
        job = next(j for j in iter_jobs(reg) if j["state"] == "waiting")
        assert "are free" in job["progress"]["phase"]
        assert not hub.requests(listener="cdn")


def iter_jobs(reg):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        yield from reg.json("jobs")
        time.sleep(0.05)
    pytest.fail("no job waits")
