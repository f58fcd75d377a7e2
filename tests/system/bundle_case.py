"""What the tests of bundles share: a site with models, one without a network, and hands that change a medium."""
import hashlib
import json

import pytest

from tests.system.registry import ROOT, Registry
from tests.system.sync_case import CARD, Noise


MODELS = ROOT / "tests" / "models"
NOWHERE = "http://127.0.0.1:9"
ODD = "notes/a b#c%ü.txt"
WEIGHTS = 3 << 20


def make_site(where, hub):
    """A site with a network and two published models."""
    hub.add_model("org/story", MODELS / "tiny-story")
    hub.add_model("org/odd", {"README.md": CARD, "config.json": "{}", ODD: "odd\n", "empty.txt": b"", "model.safetensors": Noise(WEIGHTS)}, tags=["v1"])
    reg = Registry(where / "site", upstream=hub.url, policy=RELAXED)
    reg.start()
    reg.ctl("sync", "org/story")
    reg.ctl("sync", "org/odd")
    reg.hub = hub
    return reg


@pytest.fixture
def fresh(tmp_path, hub):
    reg = make_site(tmp_path, hub)
    yield reg
    reg.stop()


UNTESTED = 'smoke: {for: [{repo: "org/odd*", require: none}]}\n'     # it is noise
RELAXED = "licenses: {allow: [mit, apache-2.0]}\nrequire: {proof: commit}\n" + UNTESTED


def inside(tmp_path, name="inside", policy=RELAXED):
    return Registry(tmp_path / name, upstream=NOWHERE, policy=policy)


def rewrite(bundle, change):
    """Changes the manifest and, where change() gives entries back, those: as somebody would who can write all of a medium."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    change(manifest)
    (bundle / "bundle.json").write_text(json.dumps(manifest))


def replace_entry(bundle, repo, change):
    def into(manifest):
        model = next(m for m in manifest["models"] if m["repo"] == repo)
        entry = json.loads((bundle / "entries" / f"{model['entry']}.json").read_text())
        change(entry, manifest)
        text = json.dumps(entry)
        model["entry"], model["entry_bytes"] = hashlib.sha256(text.encode()).hexdigest(), len(text.encode())
        (bundle / "entries" / f"{model['entry']}.json").write_text(text)
    rewrite(bundle, into)


def sha256_of(shown, path):
    return next(f["sha256"] for f in shown["files"] if f["path"] == path)
