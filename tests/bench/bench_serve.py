"""Serving against nginx: the same file, the same client, one after the other on the same machine."""
import json
import re
import statistics
import subprocess

from .bench_sync import REPO, ROUNDS
from .common import WORK, Daemon, cpu_seconds, make_checkpoint, timed
from .nginx_hub import COMMIT, NginxHub

SIZE = 1 << 30


def _nginx_pids(hub):
    workers = subprocess.run(["pgrep", "-P", str(hub.process.pid)], capture_output=True, text=True).stdout.split()
    return [int(p) for p in workers]


def _published(hub):
    """A daemon that has mirrored the hub's repository and serves it."""
    daemon = Daemon("serve", hub.url)
    daemon.__enter__()
    daemon.ctl("sync", REPO)
    state = json.loads(daemon.ctl("show", REPO, "--json").stdout)["state"]
    if state != "published":
        daemon.__exit__()
        raise RuntimeError(f"{REPO} is {state}, not published: " + daemon.ctl("why", REPO).stdout)
    return daemon


def _files():
    files = WORK / "serve-model"
    make_checkpoint(files / "model.safetensors", SIZE)
    (files / "config.json").write_text(json.dumps({"architectures": ["BenchForCausalLM"], "model_type": "bench"}))
    (files / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return files


def _pull(url, connections, pids):
    """MB/s and the server's CPU-seconds per GB for `connections` downloads of url at once."""
    before = sum(cpu_seconds(p) for p in pids)
    args = [a for _ in range(connections) for a in ("-o", "/dev/null", url)]
    wall, _ = timed(["curl", "-sS", "-Z", "--parallel-immediate", "--parallel-max", str(connections), *args])
    gb = connections * SIZE / 1e9
    return gb * 1e3 / wall, (sum(cpu_seconds(p) for p in pids) - before) / gb


def weights(table):
    with NginxHub(WORK / "nginx", REPO, _files()) as hub:
        daemon = _published(hub)
        try:
            ours_url = f"{daemon.url}/{REPO}/resolve/{COMMIT}/model.safetensors"
            peer_url = f"http://127.0.0.1:{hub.cdn_port}/model.safetensors"
            for connections in (1, 8):
                ours, peer = [], []
                for _ in range(ROUNDS):
                    ours.append(_pull(ours_url, connections, [daemon.process.pid]))
                    peer.append(_pull(peer_url, connections, _nginx_pids(hub)))
                (rate, cpu), (peer_rate, peer_cpu) = ([statistics.median(column) for column in zip(*rows)] for rows in (ours, peer))
                table.add(f"serve 1 GiB, {connections} connection{'s' * (connections > 1)}", f"{rate:.0f} MB/s", f"nginx {peer_rate:.0f} MB/s", rate / peer_rate)
                table.add("  server's CPU", f"{cpu:.3f} CPU-s/GB", f"nginx {peer_cpu:.3f} CPU-s/GB", cpu / peer_cpu if peer_cpu else None)
        finally:
            daemon.__exit__()


def _wrk(url):
    out = subprocess.run(["wrk", "-t2", "-c64", "-d3", url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        raise RuntimeError(f"{url}: {out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def answers(table):
    with NginxHub(WORK / "nginx", REPO, _files()) as hub:
        daemon = _published(hub)
        try:
            paths = {"model info": f"/api/models/{REPO}", "tree": f"/api/models/{REPO}/tree/{COMMIT}"}
            for name, path in paths.items():
                ours = statistics.median(_wrk(daemon.url + path) for _ in range(ROUNDS))
                peer = statistics.median(_wrk(hub.url + path) for _ in range(ROUNDS))
                table.add(f"small JSON answers: {name}", f"{ours:.0f}/s", f"nginx, from a file {peer:.0f}/s", ours / peer)
        finally:
            daemon.__exit__()
