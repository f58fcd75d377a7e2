"""What the tests of syncs share: a model, a daemon's settings, and what it means that a model is served, or not."""
import hashlib
import json
import struct
import time
import urllib.error
import urllib.request

from tests.hub import Noise as Bytes

NAME = "org/faulty"
CARD = "---\nlicense: mit\n---\n# A model\n"
POLICY = "licenses: {allow: [mit]}\nrequire: {smoke: none}\n"
BIG = 6 << 20


class Noise(Bytes):
    """A safetensors file of one tensor of `size` bytes in all: large enough to take its time, and well-formed for the inspection."""

    def write(self, path):
        for payload in range(self.size - 100, self.size):
            header = json.dumps({"t": {"dtype": "U8", "shape": [payload], "data_offsets": [0, payload]}}).encode()
            header += b" " * (self.size - payload - 8 - len(header)) if 8 + len(header) + payload <= self.size else b""
            if 8 + len(header) + payload == self.size:
                break
        super().write(path)
        with open(path, "r+b") as f:
            f.write(struct.pack("<Q", len(header)) + header)


def settings(hub, extra="", **upstream):
    up = {"name": "hub", "endpoint": hub.url, "backoff": "10ms", "stall": "1s", "retries": 3, **upstream}
    return "upstreams:\n  - {" + ", ".join(f"{k}: {v}" for k, v in up.items()) + "}\n" + extra


def files(**more):
    return {"README.md": CARD, "config.json": "{}", "notes/a b#c%41é.txt": "odd name\n", "empty.txt": "", "data.safetensors": Noise(BIG), "small.safetensors": Noise(4000, 1), **more}


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def assert_served(reg, hub, name=NAME):
    """Everything that upstream has is here, byte for byte, in the store and through the door."""
    shown = reg.json("show", name)
    assert shown["state"] == "published" and shown["revision"] == hub.repos[name].resolve("main").sha
    for f in shown["files"]:
        assert hashlib.sha256(reg.blob(f["sha256"]).read_bytes()).hexdigest() == f["sha256"]
        path = urllib.request.quote(f["path"])
        status, body = get(f"{reg.url}/{name}/resolve/main/{path}")
        want_status, want = get(f"{hub.url}/{name}/resolve/main/{path}")
        assert (status, want_status) == (200, 200) and body == want, f["path"]
    assert {f["path"] for f in shown["files"]} == set(listed(hub, name))


def listed(hub, name):
    return [e["path"] for e in json.loads(get(f"{hub.url}/api/models/{name}/tree/main?recursive=true")[1]) if e["type"] == "file"]


def assert_not_served(reg, name=NAME):
    assert get(f"{reg.url}/api/models/{name}")[0] in (403, 404)         # 403: the gate has rejected it
    assert get(f"{reg.url}/{name}/resolve/main/config.json")[0] in (403, 404)
    reg.ctl("status")       # the daemon is well


def cancel(reg, job):
    ask = urllib.request.Request(f"{reg.url}/-/v1/jobs/{job}/cancel", method="POST", headers={"Authorization": f"Bearer {reg.token()}"})
    urllib.request.urlopen(ask, timeout=30).close()


def wait_for(what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def settled(reg, name=NAME, seconds=60):
    def look():
        jobs = [j for j in reg.json("jobs") if j["repo"] == name and j["kind"] == "sync"]
        return jobs and all(j["state"] in ("done", "failed", "canceled") for j in jobs) and jobs
    return wait_for(look, seconds)


def mirror_round(reg):
    """`mirror run` and all that follows from it."""
    before = max((j["id"] for j in reg.json("jobs") if j["kind"] == "mirror"), default=0)
    reg.ctl("mirror", "run")
    wait_for(lambda: any(j["kind"] == "mirror" and j["id"] > before and j["state"] == "done" for j in reg.json("jobs")))
    wait_for(lambda: not any(j["state"] in ("queued", "running") for j in reg.json("jobs")))
