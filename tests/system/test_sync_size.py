"""Revisions of many files and of huge ones: the daemon's memory does not follow their number or size."""
import os
import re
import time
from pathlib import Path

import pytest

from tests.hub import Sparse
from tests.system.registry import Registry
from tests.system.sync_case import CARD, NAME, POLICY, get, settings

MIB = 1 << 20
MANY = 10_000


def peak_memory(reg):
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{reg.process.pid}/status").read_text())[1]) * 1024


def test_ten_thousand_files(tmp_path, hub):
    """All come, once each, and the whole stays within what is promised for a small catalog."""
    content = {f"d{i // 1000}/{i // 100 % 10}/f{i}.txt": f"{i}\n" for i in range(MANY)}
    hub.add_model(NAME, {"README.md": CARD, "config.json": "{}", **content})
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        reg.ctl("sync", NAME, timeout=400)
        shown = reg.json("show", NAME)
        assert shown["state"] == "published" and shown["proof"] == "commit" and len(shown["files"]) == MANY + 3
        asked = [r.file for r in hub.requests(route="resolve")]
        assert len(asked) == len(set(asked)) == MANY + 3
        assert get(f"{reg.url}/{NAME}/resolve/main/d9/9/f9999.txt") == (200, b"9999\n")
        if not os.environ.get("REGISTRYD_SANITIZE"):     # sanitizers keep what was freed
            assert peak_memory(reg) < 64 * MIB
        before = len(hub.requests())
        reg.ctl("sync", NAME)
        assert len(hub.requests()) - before <= 2


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
