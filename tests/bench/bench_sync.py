"""Mirroring against the peers: download, SHA-256 and durability, from the same nginx on the same machine."""
import json
import os
import shutil
import statistics
import subprocess
import time

from .common import WORK, Daemon, cpu_seconds, make_checkpoint, peak_rss, timed, venv
from .nginx_hub import NginxHub

ROUNDS = int(os.environ.get("REGISTRYD_BENCH_ROUNDS", "3"))
REPO = "bench/model"


def _hf(bin_dir, hub, target):
    shutil.rmtree(target, ignore_errors=True)
    return timed([bin_dir / "hf", "download", REPO, "--local-dir", target],
                 env={"HF_ENDPOINT": hub.url, "HF_HOME": str(WORK / "hf-home"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})


def _stored_at(daemon):
    """When the daemon said that every file was verified and durable."""
    for at, line in daemon.lines:
        if line.startswith("sync.stored"):
            return at
    raise RuntimeError("no sync.stored in the log:\n" + "\n".join(line for _, line in daemon.lines))


def _wait_stored(daemon):
    while not any(line.startswith("sync.stored") for _, line in daemon.lines):
        if daemon.process.poll() is not None:
            raise RuntimeError("registryd ended:\n" + "\n".join(line for _, line in daemon.lines))
        time.sleep(0.01)


def _registryd(hub, more=""):
    """Seconds from the request to durable and verified, CPU seconds, peak memory of the daemon."""
    with Daemon("sync", hub.url, more=more) as daemon:
        cpu, start = cpu_seconds(daemon.process.pid), time.monotonic()
        daemon.ctl("sync", REPO, "--no-wait")
        _wait_stored(daemon)
        used = cpu_seconds(daemon.process.pid) - cpu
        return _stored_at(daemon) - start, used, peak_rss(daemon.process.pid)


def _sha_rate(path, size):
    return size / timed(["openssl", "dgst", "-sha256", path])[0]


def _disk_rate():
    """Of direct writes that are on the disk at the end: without the flush, a disk's cache is measured."""
    target = WORK / "disk"
    wall, _ = timed(["dd", "if=/dev/zero", f"of={target}", "bs=4M", "count=256", "oflag=direct", "conv=fsync"])
    target.unlink()
    return (256 * (4 << 20)) / wall


def _loopback_rate(url, size):
    return size / timed(["curl", "-sSL", "-o", "/dev/null", url])[0]


def _large():
    """The large file, with the small ones that make it a model: directory, path, GiB."""
    gib = float(os.environ.get("REGISTRYD_BENCH_GIB", "2"))
    files = WORK / f"large-{gib}"
    weights = files / "model.safetensors"
    make_checkpoint(weights, int(gib * (1 << 30)))
    (files / "config.json").write_text(json.dumps({"architectures": ["BenchForCausalLM"], "model_type": "bench"}))
    (files / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return files, weights, gib


def large(table):
    files, weights, gib = _large()
    size, hf_bin = weights.stat().st_size, venv("hf-newest", "huggingface_hub")
    ours, hf, curl, cpu, rss = [], [], [], [], []
    with NginxHub(WORK / "nginx", REPO, files) as hub:
        url = f"{hub.url}/{REPO}/resolve/main/model.safetensors"
        limits = {"one core's SHA-256": _sha_rate(weights, size), "disk, direct write": _disk_rate(), "one loopback connection": _loopback_rate(url, size)}
        for _ in range(ROUNDS):
            wall, used, peak = _registryd(hub)
            ours.append(wall), cpu.append(used), rss.append(peak)
            shutil.rmtree(WORK / "sync")
            down, _ = _hf(hf_bin, hub, WORK / "hf")
            hf.append(down + timed(["openssl", "dgst", "-sha256", WORK / "hf" / "model.safetensors"])[0])
            shutil.rmtree(WORK / "hf")
            out = WORK / "curl.out"
            curl.append(timed(f"curl -sSL -o {out} '{url}' && openssl dgst -sha256 {out} && sync {out}", shell=True)[0])
            out.unlink()
    wall = statistics.median(ours)
    table.add(f"sync {gib:g} GiB, verified, durable", f"{wall:.2f} s, {size / wall / 1e6:.0f} MB/s", f"hf download + openssl dgst, best {min(hf):.2f} s", wall / min(hf), "<= 0.45")
    table.add("", "", f"curl + openssl dgst + sync, median {statistics.median(curl):.2f} s", wall / statistics.median(curl), "<= 0.50")
    name, rate = min(limits.items(), key=lambda kv: kv[1])
    table.add("", "", f"slowest limit: {name}, {rate / 1e6:.0f} MB/s", size / wall / rate, ">= 0.60")
    table.add("  CPU", f"{statistics.median(cpu) / (size / 1e9):.2f} CPU-s/GB", target="<= 1.4")
    table.add("  daemon's memory", f"{max(rss) / (1 << 20):.0f} MiB", target="< 64 MiB")


def ranges(table):
    """An upstream that gives each connection little: one connection a file, as if ranges were not there, against what we do by ourselves."""
    files = WORK / "large-0.5"
    weights = files / "model.safetensors"
    make_checkpoint(weights, 1 << 29)
    (files / "config.json").write_text(json.dumps({"architectures": ["BenchForCausalLM"], "model_type": "bench"}))
    (files / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    size, one, ours, cpu, rss, twice = weights.stat().st_size, [], [], [], [], []
    with NginxHub(WORK / "nginx", REPO, files, limit="16m") as hub:
        for _ in range(ROUNDS):
            one.append(_registryd(hub, ", connections: 1")[0])
            before = len(hub.requests())
            wall, used, peak = _registryd(hub)
            ours.append(wall), cpu.append(used), rss.append(peak)
            twice.append(sum(n for method, n, path in hub.requests()[before:] if path == "/model.safetensors") - size)
    wall = statistics.median(ours)
    table.add("sync 0.5 GiB, 16 MiB/s a connection", f"{wall:.2f} s, {size / wall / 1e6:.0f} MB/s", f"one connection, median {statistics.median(one):.2f} s", wall / statistics.median(one))
    table.add("  sent twice", f"{max(twice) / (1 << 20):.1f} MiB")
    table.add("  CPU", f"{statistics.median(cpu) / (size / 1e9):.2f} CPU-s/GB")
    table.add("  daemon's memory", f"{max(rss) / (1 << 20):.0f} MiB", target="< 64 MiB")
    subprocess.run(["rm", "-rf", WORK / "sync"], check=True)


def small(table):
    files = WORK / "small"
    if not (files / "README.md").exists():
        files.mkdir(parents=True, exist_ok=True)
        for i in range(2000):
            (files / f"part-{i:04d}.json").write_bytes(b"[" + b"%d," % i * 2000 + b"0]")
        (files / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    hf_bin, ours, hf = venv("hf-newest", "huggingface_hub"), [], []
    with NginxHub(WORK / "nginx", REPO, files) as hub:
        for _ in range(ROUNDS):
            ours.append(_registryd(hub)[0])
            hf.append(_hf(hf_bin, hub, WORK / "hf")[0])
    wall = statistics.median(ours)
    table.add("sync 2,000 small files, durable", f"{wall:.2f} s", f"hf download, median {statistics.median(hf):.2f} s", wall / statistics.median(hf), "<= 0.15")
    subprocess.run(["rm", "-rf", WORK / "hf", WORK / "sync"], check=True)


def resync(table):
    """What asking again costs when nothing has changed."""
    files = WORK / "small-model"
    make_checkpoint(files / "model.safetensors", 64 << 20)
    (files / "config.json").write_text(json.dumps({"architectures": ["BenchForCausalLM"], "model_type": "bench"}))
    (files / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    with NginxHub(WORK / "nginx", REPO, files) as hub, Daemon("sync", hub.url) as daemon:
        daemon.ctl("sync", REPO)
        before = len(hub.requests())
        start = time.monotonic()
        daemon.ctl("sync", REPO)
        wall = time.monotonic() - start
        asked = hub.requests()[before:]
        table.add("re-sync, nothing changed", f"{len(asked)} requests, {wall * 1000:.0f} ms", "", None, "<= 2 requests")


def _bytes_done(daemon):
    return max((j["progress"]["bytes_done"] for j in json.loads(daemon.ctl("jobs", "--json").stdout)), default=0)


def _killed(table, what, limit="0"):
    """kill -9 at 40 % of one large file, a new start: what travels twice. What the Hub has sent is counted, so its own kernel may hold little of it:
    with the 4 MiB a connection that it holds otherwise, up to 32 MiB would be counted that never left the Hub."""
    files, weights, gib = _large()
    size = weights.stat().st_size
    with NginxHub(WORK / "nginx", REPO, files, limit=limit, sent_ahead="128k") as hub:
        with Daemon("resume", hub.url) as daemon:
            daemon.ctl("sync", REPO, "--no-wait")
            while _bytes_done(daemon) < size * 0.4:
                time.sleep(0.01)
            daemon.process.kill()
        with Daemon("resume", hub.url, keep=True) as daemon:
            _wait_stored(daemon)
            asked = [n for method, n, path in hub.requests() if method == "GET" and path == "/model.safetensors"]
    table.add(f"{gib:g} GiB{what}, killed at 40 %, resumed", f"{(sum(asked) - size) / (1 << 20):.1f} MiB sent twice, {len(asked)} requests", "", None, "< 16 MiB")
    subprocess.run(["rm", "-rf", WORK / "resume"], check=True)


def resume(table):
    _killed(table, "")
    _killed(table, ", 16 MiB/s a connection", limit="16m")
