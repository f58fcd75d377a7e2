"""What the benches share: a daemon to measure, process accounting, synthetic checkpoints, peers in a cached venv, one table."""
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from .nginx_hub import free_port

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("REGISTRYD_BIN", ROOT / "build" / "bin"))
WORK = Path(os.environ.get("REGISTRYD_BENCH_DIR", "/var/tmp/registryd-bench"))
CACHE = Path(os.environ.get("REGISTRYD_TEST_CACHE", Path.home() / ".cache" / "registryd-tests"))
TICK = os.sysconf("SC_CLK_TCK")

POLICY = """licenses: {allow: [apache-2.0], unknown: hold}
require: {proof: hash, smoke: pass_or_not_run}
"""


def cpu_seconds(pid):
    """User and system time of a process and the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICK


def peak_rss(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


class Daemon:
    """registryd on a fresh data directory; its log lines are kept with the time they came. `more`: settings of the upstream, each after a comma."""

    def __init__(self, name, upstream=None, keep=False, more=""):
        self.dir = WORK / name
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines = []
        (self.dir / "policy.yaml").write_text(POLICY)
        config = f"data: {self.dir}/data\nlisten: [127.0.0.1:{self.port}]\npolicy: {self.dir}/policy.yaml\n"
        if upstream:
            config += f"upstreams:\n  - {{name: hub, endpoint: {upstream}{more}}}\n"
        (self.dir / "registryd.yaml").write_text(config)

    def __enter__(self):
        self.process = subprocess.Popen([BIN / "registryd", "--config", self.dir / "registryd.yaml"], stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read_log, daemon=True).start()
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url + "/-/ready", timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("registryd did not become ready:\n" + "\n".join(line for _, line in self.lines))

    def _read_log(self):
        for line in self.process.stderr:
            self.lines.append((time.monotonic(), line.rstrip()))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ctl(self, *args, check=True):
        run = subprocess.run([BIN / "registryctl", "--url", self.url, "--data", self.dir / "data", *args], capture_output=True, text=True)
        if check and run.returncode not in (0, 5):
            raise RuntimeError(f"registryctl {' '.join(map(str, args))}: {run.stderr}")
        return run


def make_checkpoint(path, size_bytes, tensors=16):
    """A well-formed bf16 safetensors file of about size_bytes with finite, random, weight-like values."""
    path = Path(path)
    if path.exists() and abs(path.stat().st_size - size_bytes) < 1 << 20:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = size_bytes // tensors // 2 // 4096
    header, at = {}, 0
    for i in range(tensors):
        header[f"model.layers.{i}.weight"] = {"dtype": "BF16", "shape": [rows, 4096], "data_offsets": [at, at + rows * 8192]}
        at += rows * 8192
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = random.Random(1)
    block = b"".join(struct.pack("<f", rng.gauss(0, 0.02))[2:] for _ in range(1 << 20))
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for done in range(0, at, len(block)):
            f.write(block[:at - done])


def venv(name, *packages):
    """A cached virtual environment with the packages; its bin directory."""
    path = CACHE / "venvs" / name
    if not (path / "ok").exists():
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", path], check=True)
        subprocess.run([path / "bin" / "pip", "install", "-q", *packages], check=True)
        (path / "ok").touch()
    return path / "bin"


def timed(command, env=None, shell=False):
    """Wall and CPU seconds of a command, its children included."""
    before = os.times()
    start = time.monotonic()
    subprocess.run(command, check=True, env=env and {**os.environ, **env}, shell=shell, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.monotonic() - start
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


class Table:
    """Rows of (what, figure, peer or limit, ratio, target)."""

    def __init__(self):
        self.rows = []

    def add(self, what, figure, against="", ratio=None, target=""):
        self.rows.append((what, figure, against, "" if ratio is None else f"{ratio:.2f}", target))
        print("  ".join(str(c) for c in self.rows[-1] if c), flush=True)

    def show(self):
        head = ("what", "figure", "against", "ratio", "target")
        widths = [max(len(str(r[i])) for r in [head, *self.rows]) for i in range(5)]
        for row in [head, tuple("-" * w for w in widths), *self.rows]:
            print("| " + " | ".join(str(c).ljust(w) for c, w in zip(row, widths)) + " |")
