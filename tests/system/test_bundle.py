"""Bundles: from a site with a network to one without, on a medium that others have held. The second site proves everything again."""
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import time
import urllib.request

import pytest

from tests.hub import Hub
from tests.system.bundle_case import (MODELS, RELAXED, UNTESTED, WEIGHTS, fresh, inside, make_site,  # noqa: F401 (fresh is a fixture)
                                      replace_entry, rewrite, sha256_of)
from tests.system.registry import ROOT, Registry
from tests.system.sync_case import CARD, Noise, get


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """For tests that leave it as it is."""
    with Hub() as hub:
        reg = make_site(tmp_path_factory.mktemp("site"), hub)
        reg.hub = hub
        yield reg
        reg.stop()


def test_models_cross_the_gap_and_are_proved_again(site, tmp_path):
    bundle = tmp_path / "medium"
    assert "2 models" in site.ctl("bundle", "create", "-o", bundle, "org/story", "org/odd").stdout
    for blob in (bundle / "blobs" / "sha256").iterdir():        # any sha256sum can audit it
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    said = site.ctl("bundle", "inspect", bundle).stdout
    assert "org/story" in said and "apache-2.0" in said and "not signed" in said
    assert "- " not in site.ctl("bundle", "verify", bundle).stdout
    before = len(site.hub.requests())
    with inside(tmp_path) as reg:
        done = reg.ctl("bundle", "import", bundle)
        assert done.stdout.count("published") == 2 and "not signed" in done.stderr
        for name in ("org/story", "org/odd"):
            ours, theirs = site.json("show", name), reg.json("show", name)
            for same in ("revision", "files", "size_bytes", "license", "params", "task"):
                assert ours[same] == theirs[same], same
            assert theirs["state"] == "published" and theirs["proof"] == "commit" and theirs["upstream"] == "bundle"
        assert sorted(reg.json("show", "org/odd")["refs"]) == ["main"]
        assert reg.json("show", "org/story")["smoke"]["verdict"] == "pass"      # tested here, not believed
        assert get(f"{reg.url}/org/odd/resolve/main/notes/a%20b%23c%25%C3%BC.txt") == (200, b"odd\n")
        assert get(f"{reg.url}/org/odd/resolve/main/empty.txt") == (200, b"")
        assert reg.json("verify", "org/odd")["missing"] == 0
        assert "commit" in reg.ctl("why", "org/odd").stdout
        assert list((reg.data / "incoming" / "blobs").iterdir()) == []
        again = reg.json("bundle", "import", bundle)    # nothing left to do
        assert [m["state"] for m in again["models"]] == ["published"] * 2
        onward = tmp_path / "onward"                    # what came by a bundle can go on in one, with its proof
        reg.ctl("bundle", "create", "-o", onward, "--all")
        with inside(tmp_path, "third") as third:
            third.ctl("bundle", "import", onward)
            assert third.json("show", "org/odd")["proof"] == "commit"
    assert len(site.hub.requests()) == before


def refs_at(reg, name):
    refs = json.loads(get(f"{reg.url}/api/models/{name}/refs")[1])
    return {kind: {r["name"] for r in refs[kind]} for kind in ("branches", "tags")}


def test_the_names_of_a_revision_cross_too(fresh, hub, tmp_path):
    """Branches and tags that are served here as what is bundled, each as what upstream calls it."""
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    hub.branch("org/odd", "dev")
    for ref in ("v1", "dev"):
        fresh.ctl("sync", f"org/odd@{ref}")
    fresh.ctl("bundle", "create", "-o", first, "--all")
    hub.tag("org/odd", "v2")
    fresh.ctl("sync", "org/odd@v2")
    fresh.ctl("bundle", "create", "-o", second, "--all")
    with inside(tmp_path) as reg:
        reg.ctl("bundle", "import", first)
        assert refs_at(reg, "org/odd") == {"branches": {"main", "dev"}, "tags": {"v1"}}
        assert get(f"{reg.url}/org/odd/resolve/v1/config.json") == (200, b"{}")
        assert get(f"{reg.url}/org/odd/resolve/v2/config.json")[0] == 404
        reg.ctl("bundle", "import", second)             # a new name for what is here
        assert refs_at(reg, "org/odd") == {"branches": {"main", "dev"}, "tags": {"v1", "v2"}}
        assert get(f"{reg.url}/org/odd/resolve/v2/config.json") == (200, b"{}")
        reg.ctl("bundle", "create", "-o", third, "--all")
    replace_entry(first, "org/odd", lambda entry, manifest: entry.pop("tags"))
    with inside(tmp_path, "old") as reg:                # a bundle from before tags were told apart
        reg.ctl("bundle", "import", first)
        assert refs_at(reg, "org/odd") == {"branches": {"main", "dev", "v1"}, "tags": set()}
        reg.ctl("bundle", "import", third)
        assert refs_at(reg, "org/odd") == {"branches": {"main", "dev"}, "tags": {"v1", "v2"}}


def test_an_older_bundle_takes_nothing_back(fresh, hub, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    fresh.ctl("bundle", "create", "-o", first, "--all")
    hub.commit("org/odd", {"config.json": '{"fixed": 1}'})
    fresh.ctl("sync", "org/odd")
    fresh.ctl("bundle", "create", "-o", second, "--all")
    with inside(tmp_path) as reg:
        def served():
            return get(f"{reg.url}/org/odd/resolve/main/config.json")[1]

        for bundle in first, second, first:
            said = reg.ctl("bundle", "import", bundle).stdout
        assert served() == b'{"fixed": 1}'
        assert f"main of org/odd stays at {hub.repos['org/odd'].head.sha[:12]}" in said
        assert "refs_kept" in json.dumps(reg.json("jobs"))
        old, = [f"org/odd@{m['revision']}" for m in json.loads((first / "bundle.json").read_text())["models"] if m["repo"] == "org/odd"]
        reg.ctl("reject", old, "--reason", "for a moment")
        assert "main of org/odd stays" in reg.ctl("bundle", "import", first, code=5).stdout
        reg.ctl("publish", old, "--reason", "again")
        assert served() == b'{"fixed": 1}'
        assert "superseded" in reg.ctl("gc", "--keep-last", "1").stdout
        assert "main of org/odd stays" in reg.ctl("bundle", "import", first).stdout and served() == b'{"fixed": 1}'
        assert "stays" not in reg.ctl("bundle", "import", first, "--rollback").stdout and served() == b"{}"
        assert "stays" in reg.ctl("bundle", "import", second).stdout and served() == b"{}"     # that was the last word
        reg.ctl("bundle", "import", second, "--rollback")
        assert served() == b'{"fixed": 1}'


def test_the_evidence_of_a_licence_crosses_too(fresh, tmp_path):
    """Texts that are read and not served, here as there, and what upstream said of a base model: without them the other site would hold more, or less."""
    apache = (ROOT / "LICENSE").read_bytes()
    some = ("--include", "*.json", "--include", "*.md")
    fresh.hub.add_model("org/base", {"README.md": "---\nlicense: cc-by-nc-4.0\n---\n"})
    fresh.hub.add_model("org/odd-part", {"README.md": "---\nlicense: apache-2.0\n---\n", "config.json": "{}", "LICENSE": apache, "x.txt": "x"})
    fresh.hub.add_model("org/odd-made", {"README.md": "---\nlicense: apache-2.0\nbase_model: org/base\n---\n", "config.json": "{}", "LICENSE": apache})
    fresh.ctl("sync", "org/odd-part", *some)
    fresh.ctl("sync", "org/odd-made", code=5)
    fresh.ctl("publish", "org/odd-made", "--reason", "counsel agreed")
    fresh.ctl("bundle", "create", "-o", tmp_path / "medium", "org/odd-part", "org/odd-made")
    with inside(tmp_path) as reg:
        reg.ctl("bundle", "import", tmp_path / "medium", code=None)
        ours, theirs = fresh.json("show", "org/odd-part"), reg.json("show", "org/odd-part")
        assert theirs["state"] == "published" and theirs["license"]["conflicts"] == []
        assert [f["path"] for f in theirs["files"]] == ["README.md", "config.json"]
        assert all(ours[same] == theirs[same] for same in ("files", "size_bytes", "license"))
        assert get(f"{reg.url}/org/odd-part/resolve/main/LICENSE")[0] == 404 and "LICENSE" not in reg.ctl("sbom", "org/odd-part").stdout
        text = reg.blob(hashlib.sha256(apache).hexdigest())
        text.unlink()
        reg.ctl("verify", "org/odd-part", code=6)
        reg.ctl("bundle", "import", tmp_path / "medium", code=None)
        assert text.read_bytes() == apache and reg.json("show", "org/odd-part")["lost"] == []
        reg.ctl("bundle", "create", "-o", tmp_path / "onward", "org/odd-part")
        assert reg.json("show", "org/odd-made")["state"] == "held"
        assert "looser than cc-by-nc-4.0" in reg.json("show", "org/odd-made")["license"]["conflicts"][0]

    def unmark(entry, manifest):
        assert [f["path"] for f in entry["held"] if f.pop("evidence", False)] == ["LICENSE"]

    shutil.copytree(tmp_path / "onward", tmp_path / "older")
    replace_entry(tmp_path / "older", "org/odd-part", unmark)
    for medium, shown in ("onward", ["README.md", "config.json"]), ("older", ["LICENSE", "README.md", "config.json"]):
        with inside(tmp_path, f"from-{medium}") as reg:
            reg.ctl("bundle", "import", tmp_path / medium)
            assert [f["path"] for f in reg.json("show", "org/odd-part")["files"]] == shown


def test_a_signed_bundle(site, tmp_path):
    bundle, pem = tmp_path / "medium", tmp_path / "site.pem"
    assert "key generate" in site.ctl("bundle", "create", "-o", bundle, "--all", "--sign", "release", code=4).stderr
    assert not (bundle / "bundle.json").exists()
    site.ctl("key", "generate", "release")
    site.ctl("bundle", "create", "-o", bundle, "--all", "--sign", "release")
    site.ctl("key", "list", "--pem", "-o", pem)
    assert "already" in site.ctl("bundle", "create", "-o", bundle, "--all", code=1).stderr
    assert "signed with key" in site.ctl("bundle", "verify", bundle).stdout
    with inside(tmp_path) as reg:
        assert "key trust" in reg.ctl("bundle", "import", bundle, code=5).stderr
        assert reg.json("ls") == []
        reg.ctl("bundle", "verify", bundle, "--trust", pem)
        reg.ctl("bundle", "import", bundle, "--trust", pem)
        reg.ctl("key", "trust", pem)
        reg.ctl("bundle", "import", bundle)
        rewrite(bundle, lambda m: m.update(source="http://elsewhere"))
        for how in ([], ["--trust", pem]):
            reg.ctl("bundle", "import", bundle, *how, code=6)
            reg.ctl("bundle", "verify", bundle, *how, code=6)
        (bundle / "bundle.json.sigstore").unlink()
        assert "not signed" in reg.ctl("bundle", "import", bundle, "--trust", pem, code=6).stderr


def test_volumes_and_a_missing_one(site, tmp_path):
    bundle, away = tmp_path / "medium", tmp_path / "away"
    site.ctl("bundle", "create", "-o", bundle, "--all", "--volume-size", "1MiB")
    volumes = sorted(p.name for p in bundle.glob("volume-*"))
    assert len(volumes) >= 4
    for v in volumes:
        assert sum(p.stat().st_size for p in (bundle / v).rglob("*") if p.is_file()) <= 1 << 20
    assert site.ctl("bundle", "verify", bundle).stdout.count("\n= ") > 5
    weights = sha256_of(site.json("show", "org/odd"), "model.safetensors")
    last = max(p.parents[2].name for p in bundle.glob(f"volume-*/blobs/sha256/{weights}.*"))
    shutil.move(bundle / last, away)
    with inside(tmp_path) as reg:
        assert f"- {last}/" in reg.ctl("bundle", "verify", bundle, code=6).stdout
        assert last in reg.ctl("bundle", "import", bundle, code=1).stderr
        shown = {m["repo"] for m in reg.json("ls") if m["state"] == "published"}
        assert "org/odd" not in shown
        half = (reg.data / "incoming" / "blobs" / weights).stat().st_size
        assert 0 < half < WEIGHTS                       # what was there has been sent, and stays
        shutil.move(away, bundle / last)
        reg.ctl("bundle", "import", bundle)
        assert reg.json("show", "org/odd")["files"] == site.json("show", "org/odd")["files"]


def test_an_interrupted_run_is_gone_on_with(site, tmp_path):
    bundle = tmp_path / "medium"
    site.ctl("bundle", "create", "-o", bundle, "org/odd")
    weights = sha256_of(site.json("show", "org/odd"), "model.safetensors")
    blob = bundle / "blobs" / "sha256" / weights
    untouched = next(p for p in blob.parent.iterdir() if p != blob)
    kept = untouched.stat().st_ino
    (bundle / "bundle.json").unlink()
    os.truncate(blob, 1000)
    site.ctl("bundle", "create", "-o", bundle, "org/odd")
    assert untouched.stat().st_ino == kept and blob.stat().st_size == WEIGHTS
    with inside(tmp_path) as reg:
        head = blob.read_bytes()[:1 << 20]
        for offset, data in ((0, head[:5000]), (5000, head[5000:])):
            put = urllib.request.Request(f"{reg.url}/-/v1/blobs/{weights}?offset={offset}", data, {"Authorization": f"Bearer {reg.token()}"}, method="PUT")
            assert json.load(urllib.request.urlopen(put))["received_bytes"] == offset + len(data)
        reg.kill()
        reg.start()
        reg.ctl("bundle", "import", bundle)
        assert reg.json("show", "org/odd")["state"] == "published"


def test_a_damaged_content(site, tmp_path):
    bundle = tmp_path / "medium"
    site.ctl("bundle", "create", "-o", bundle, "--all")
    blob = bundle / "blobs" / "sha256" / sha256_of(site.json("show", "org/odd"), "model.safetensors")
    sound = blob.read_bytes()
    blob.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert f"* blobs/sha256/{blob.name}" in site.ctl("bundle", "verify", bundle, code=6).stdout
    with inside(tmp_path) as reg:
        result = reg.json("bundle", "import", bundle, code=6)
        assert {m["repo"]: m["state"] for m in result["models"]} == {"org/odd": "rejected", "org/story": "published"}
        assert get(f"{reg.url}/org/odd/resolve/main/config.json")[0] == 404
        blob.write_bytes(sound)
        reg.ctl("bundle", "import", bundle)
        assert reg.json("show", "org/odd")["state"] == "published"


def test_a_forgery_that_agrees_with_itself_does_not_agree_with_the_commit(site, tmp_path):
    """Other weights, with every hash of the bundle made to match: only git's objects tell."""
    bundle = tmp_path / "medium"
    site.ctl("bundle", "create", "-o", bundle, "org/odd")
    old = sha256_of(site.json("show", "org/odd"), "model.safetensors")
    forged = bytearray((bundle / "blobs" / "sha256" / old).read_bytes())
    forged[-1] ^= 1
    new = hashlib.sha256(forged).hexdigest()
    (bundle / "blobs" / "sha256" / new).write_bytes(forged)

    def forge(entry, manifest):
        text = json.dumps(entry["tree"]).replace(old, new)
        entry["tree"] = json.loads(text)
        next(f for f in entry["held"] if f["path"] == "model.safetensors")["sha256"] = new
        next(b for b in manifest["blobs"] if b["sha256"] == old)["sha256"] = new
        manifest["blobs"].sort(key=lambda b: b["sha256"])
    replace_entry(bundle, "org/odd", forge)
    site.ctl("bundle", "verify", bundle)            # agrees with itself
    with inside(tmp_path) as reg:
        done = reg.ctl("bundle", "import", bundle, code=6)
        assert "model.safetensors" in done.stderr
        assert reg.json("show", "org/odd")["state"] == "rejected"

    def without_pack(entry, manifest):
        entry["pack"] = None
    replace_entry(bundle, "org/odd", without_pack)
    with inside(tmp_path, "trusting") as reg:       # then the listing contradicts its own pointer ids
        assert "contradicts" in reg.ctl("bundle", "import", bundle, code=6).stderr


def test_nonsense_in_an_entry_is_an_error_and_no_crash(site, tmp_path):
    bundle = tmp_path / "medium"
    site.ctl("bundle", "create", "-o", bundle, "org/odd")
    shutil.copytree(bundle, tmp_path / "sound")
    broken = {
        "another format": lambda e: e.update(format="x/9"),
        "no listing": lambda e: e.update(tree=7),
        "a path that leads out": lambda e: e["tree"][0].append({"type": "file", "path": "../x", "size": 1, "oid": "0" * 40}),
        "another revision": lambda e: e["info"].update(sha="0" * 40),
        "a pack that is none": lambda e: e.update(pack="AAAA"),
        "no base64": lambda e: e.update(pack="*"),
        "no hash": lambda e: e["held"][0].update(sha256="zz"),
        "a ref that hides a commit": lambda e: e["refs"].append("0" * 40),
        "another hash": lambda e: [f.update(sha256="0" * 64) for f in e["held"] if f["path"] == "model.safetensors"],
    }
    with inside(tmp_path) as reg:
        for what, change in broken.items():
            shutil.rmtree(bundle)
            shutil.copytree(tmp_path / "sound", bundle)
            replace_entry(bundle, "org/odd", lambda entry, manifest: change(entry))
            done = reg.ctl("bundle", "import", bundle, code=None)
            assert done.returncode in (1, 6) and done.stderr.count("registryctl: ") == 1, (what, done)
            assert reg.json("ls", "--state", "published") == [], what
        for text in ("", "{}", "[]", '{"format": "registryd-bundle/1", "models": [{}], "blobs": []}',
                     '{"format": "registryd-bundle/1", "models": [], "blobs": [{"sha256": "' + "0" * 64 + '", "size_bytes": 5, "parts": [[3, 5]]}]}'):
            (bundle / "bundle.json").write_text(text)
            assert reg.ctl("bundle", "import", bundle, code=None).returncode in (1, 2, 6), text
        reg.ctl("bundle", "import", tmp_path / "sound")


def test_only_what_the_other_site_lacks(fresh, hub, tmp_path):
    first, second, receipt = tmp_path / "first", tmp_path / "second", tmp_path / "receipt.json"
    fresh.ctl("bundle", "create", "-o", first, "--all")
    with inside(tmp_path) as reg:
        reg.ctl("bundle", "import", first, "--receipt", receipt)
        hub.commit("org/odd", {"config.json": '{"new": 1}'})
        fresh.ctl("sync", "org/odd")
        fresh.ctl("bundle", "create", "-o", second, "--all", "--since", receipt)
        carried = [p.name for p in (second / "blobs" / "sha256").iterdir()]
        assert carried == [hashlib.sha256(b'{"new": 1}').hexdigest()]
        assert "receipt" in fresh.ctl("bundle", "inspect", second).stdout
        reg.ctl("bundle", "import", second)
        assert reg.json("show", "org/odd")["files"] == fresh.json("show", "org/odd")["files"]
        assert get(f"{reg.url}/org/odd/resolve/main/config.json") == (200, b'{"new": 1}')
    with inside(tmp_path, "another") as another:
        assert "receipt" in another.ctl("bundle", "import", second, code=1).stderr
    assert "no receipt" in fresh.ctl("bundle", "create", "-o", tmp_path / "x", "--all", "--since", second / "bundle.json", code=6).stderr


def test_what_the_other_site_skips_is_not_sent(fresh, hub, tmp_path):
    receipt, pickled = tmp_path / "receipt.json", pickle.dumps({"a": 1}, protocol=2)
    hub.add_model("org/odd-two", {"README.md": CARD, "config.json": "{}", "model.safetensors": Noise(1000), "pytorch_model.bin": pickled})
    fresh.ctl("sync", "org/odd-two", code=None)
    fresh.ctl("publish", "org/odd-two", "--reason", "for the tests", code=None)
    fresh.ctl("bundle", "create", "-o", tmp_path / "first", "org/odd-two")
    sha256 = hashlib.sha256(pickled).hexdigest()
    assert (tmp_path / "first" / "blobs" / "sha256" / sha256).exists()
    with inside(tmp_path, policy=RELAXED + "formats: {skip: [pickle]}\n") as reg:
        for name in "first", "second":
            if name == "second":
                fresh.ctl("bundle", "create", "-o", tmp_path / name, "org/odd-two", "--since", receipt)
                assert not (tmp_path / name / "blobs" / "sha256" / sha256).exists()
            reg.ctl("bundle", "import", tmp_path / name, "--receipt", receipt)
            assert not (reg.data / "incoming" / "blobs" / sha256).exists()
            assert not reg.blob(sha256).exists() and sha256 in receipt.read_text()
        (reg.where / "policy.yaml").write_text(RELAXED)
        reg.ctl("policy", "reload")
        said = reg.ctl("bundle", "import", tmp_path / "second", "--receipt", receipt, code=1).stderr
        assert f"content {sha256[:12]} of org/odd-two is neither in the bundle nor here" in said and sha256 not in receipt.read_text()


def test_what_one_revision_skips_another_may_need(fresh, hub, tmp_path):
    """The usual way: pickles first, the same weights in safetensors later. And where those stayed behind, the pickle is what there is."""
    receipt, pickled = tmp_path / "receipt.json", pickle.dumps({"a": 1}, protocol=2)
    hub.add_model("org/odd-two", {"README.md": CARD, "config.json": "{}", "pytorch_model.bin": pickled}, tags=["v1"])
    fresh.ctl("sync", "org/odd-two@v1")
    hub.commit("org/odd-two", {"model.safetensors": Noise(1000)})
    fresh.ctl("sync", "org/odd-two")
    fresh.ctl("bundle", "create", "-o", tmp_path / "first", "org/odd-two")
    with inside(tmp_path, policy=RELAXED + "formats: {skip: [pickle]}\n") as reg:
        reg.ctl("bundle", "import", tmp_path / "first", "--receipt", receipt)
        for name, code in ("second", 1), ("third", 0):
            fresh.ctl("bundle", "create", "-o", tmp_path / name, "org/odd-two", "org/odd-two@v1", "--since", receipt)
            reg.ctl("bundle", "import", tmp_path / name, "--receipt", receipt, code=code)
        assert reg.json("show", "org/odd-two@v1")["state"] == "published"
        assert json.loads(receipt.read_text())["blobs"].count(hashlib.sha256(pickled).hexdigest()) == 1

        other = pickle.dumps({"b": 2}, protocol=2)
        hub.add_model("org/odd-part", {"README.md": CARD, "config.json": "{}", "model.safetensors": Noise(1000, 2), "pytorch_model.bin": other})
        fresh.ctl("sync", "org/odd-part", "--exclude", "*.safetensors")
        fresh.ctl("bundle", "create", "-o", tmp_path / "part", "org/odd-part")
        reg.ctl("bundle", "import", tmp_path / "part")
        assert reg.json("show", "org/odd-part")["files"] == fresh.json("show", "org/odd-part")["files"]
        assert get(f"{reg.url}/org/odd-part/resolve/main/pytorch_model.bin") == (200, other)


def test_the_gate_of_the_second_site_decides(fresh, tmp_path):
    bundle = tmp_path / "medium"
    fresh.ctl("deprecate", "org/story", "--sunset", "2099-06-30", "--reason", "an old one")
    fresh.ctl("bundle", "create", "-o", bundle, "--all")
    with inside(tmp_path, policy="licenses: {allow: [apache-2.0], deny: [mit]}\n" + UNTESTED) as reg:
        result = reg.json("bundle", "import", bundle, code=5)
        assert {m["repo"]: m["state"] for m in result["models"]} == {"org/odd": "rejected", "org/story": "published"}
        life = reg.json("show", "org/story")["lifecycle"]
        assert life["sunset_at"].startswith("2099-06-30") and life["reason"] == "an old one"
        reg.ctl("undeprecate", "org/story")
        reg.ctl("bundle", "import", bundle, code=5)
        assert reg.json("show", "org/story")["lifecycle"]["state"] == "active", "a person here has said otherwise"
        time.sleep(1.1)
        fresh.ctl("undeprecate", "org/story")
        fresh.ctl("deprecate", "org/story", "--sunset", "2099-07-31")
        fresh.ctl("bundle", "create", "-o", tmp_path / "later", "org/story")
        reg.ctl("bundle", "import", tmp_path / "later")
        assert reg.json("show", "org/story")["lifecycle"]["sunset_at"].startswith("2099-07-31"), "but not of what was said since"
        reg.ctl("publish", "org/odd", "--reason", "for the tests")
        assert get(f"{reg.url}/org/odd/resolve/main/config.json") == (200, b"{}")


def test_who_may_and_what_may_go(fresh, tmp_path):
    bundle = tmp_path / "medium"
    fresh.ctl("bundle", "create", "-o", bundle, code=2)
    fresh.ctl("bundle", "create", "--all", code=2)
    fresh.ctl("bundle", "create", "-o", bundle, "--all", "org/odd", code=2)
    fresh.ctl("bundle", "create", "-o", bundle, "org/none", code=4)
    fresh.ctl("bundle", "create", "-o", bundle, "--all", "--volume-size", "10K", code=2)
    fresh.ctl("bundle", "import", tmp_path, code=4)
    fresh.ctl("withdraw", "org/odd", "--reason", "not ours to give")
    fresh.ctl("bundle", "create", "-o", bundle, "org/odd", code=5)
    done = fresh.ctl("bundle", "create", "-o", bundle, "--all")
    assert "1 models" in done.stdout
    weights = sha256_of(fresh.json("show", "org/odd"), "model.safetensors")
    reader = fresh.json("token", "create", "reader", "--role", "reader")["token"]
    for auth in ({}, {"Authorization": f"Bearer {reader}"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{fresh.url}/-/v1/blobs/{weights}", headers=auth))
        assert refused.value.code in (401, 403)


def test_a_deprecated_model_goes_by_its_commit_where_the_policy_wants_that(fresh, tmp_path):
    commit = fresh.json("show", "org/story")["revision"]
    fresh.ctl("deprecate", "org/story", "--sunset", "2099-06-30")
    fresh.stop()
    (fresh.where / "policy.yaml").write_text(RELAXED + "lifecycle: {deprecated: pinned_only}\n")
    fresh.start()
    for name in "org/story", "org/story@main":
        said = fresh.ctl("bundle", "create", "-o", tmp_path / "none", name, code=5).stderr
        assert f"org/story is deprecated and no longer given to new users; one that needs it goes on with the commit {commit}" in said
    assert "1 models" in fresh.ctl("bundle", "create", "-o", tmp_path / "pinned", f"org/story@{commit}").stdout
    assert "2 models" in fresh.ctl("bundle", "create", "-o", tmp_path / "all", "--all").stdout


def test_all_goes_on_without_what_is_not_whole(fresh, hub, tmp_path):
    """A lost file keeps its own model out, and no other; the medium does not say what it might have held."""
    hub.add_model("org/odd-tagged", {"README.md": CARD, "config.json": '{"tagged": 1}'}, tags=["v1"])
    fresh.ctl("sync", "org/odd-tagged@v1")
    hub.stop()                                          # or it would be mended
    fresh.blob(sha256_of(fresh.json("show", "org/odd"), "model.safetensors")).unlink()
    first = fresh.ctl("bundle", "create", "-o", tmp_path / "first", "--all", code=6)       # nobody has noticed yet
    assert "begun again" in first.stderr and not (tmp_path / "first" / "bundle.json").exists()
    done = fresh.ctl("bundle", "create", "-o", tmp_path / "first", "--all", code=6)
    assert "left out: org/odd@" in done.stderr and "'model.safetensors' is lost" in done.stderr and "without 1 of 3 models" in done.stderr
    assert "2 models" in done.stdout
    told = fresh.json("bundle", "create", "-o", tmp_path / "second", "--all", code=6)
    left, = told["left_out"]
    assert (left["repo"], left["code"]) == ("org/odd", "mismatch") and "model.safetensors" in left["reason"]
    assert {m["repo"] for m in told["models"]} == {"org/story", "org/odd-tagged"}
    assert "org/odd\"" not in (tmp_path / "second" / "bundle.json").read_text()
    assert "goes into no bundle" in fresh.ctl("bundle", "create", "-o", tmp_path / "third", "org/story", "org/odd", code=6).stderr
    assert not (tmp_path / "third" / "bundle.json").exists()
    with inside(tmp_path) as reg:
        reg.ctl("bundle", "import", tmp_path / "first")
        assert {m["repo"] for m in reg.json("ls")} == {"org/story", "org/odd-tagged"}
        assert get(f"{reg.url}/org/odd-tagged/resolve/v1/config.json") == (200, b'{"tagged": 1}')


def test_plain_tools_can_audit_a_bundle(site, tmp_path):
    bundle = tmp_path / "medium"
    site.ctl("bundle", "create", "-o", bundle, "--all")
    sums = "".join(f"{p.name}  {p}\n" for p in (bundle / "blobs" / "sha256").iterdir())
    subprocess.run(["sha256sum", "--check", "--quiet"], input=sums, text=True, check=True)


def test_an_imported_model_travels_too(site, tmp_path):
    bundle = tmp_path / "medium"
    site.ctl("import", MODELS / "tiny-story", "--as", "site/own")
    site.ctl("bundle", "create", "-o", bundle, "site/own")
    with inside(tmp_path, policy="licenses: {allow: [apache-2.0]}\n") as reg:
        reg.ctl("bundle", "import", bundle)
        shown = reg.json("show", "site/own")
        assert shown["state"] == "published" and shown["proof"] == "listing" and shown["files"] == site.json("show", "site/own")["files"]


def test_a_commit_that_is_published_here_already(site, tmp_path):
    """It goes on to come from its upstream, and the import has nothing to do."""
    bundle = tmp_path / "medium"
    site.ctl("bundle", "create", "-o", bundle, "org/story", "org/odd")
    with Registry(tmp_path / "other", upstream=site.hub.url, policy=RELAXED) as reg:
        reg.ctl("sync", "org/story")
        assert {m["state"] for m in reg.json("bundle", "import", bundle)["models"]} == {"published"}
        assert (reg.json("show", "org/story")["upstream"], reg.json("show", "org/odd")["upstream"]) == ("hub", "bundle")


def test_what_is_held_is_named_as_held(fresh, hub, tmp_path):
    hub.add_model("org/held", {p.name: p.read_bytes() for p in (MODELS / "tiny-story").iterdir()} | {"README.md": "---\nlicense: llama3.1\n---\n"})
    fresh.ctl("sync", "org/held", code=5)
    commit = fresh.json("show", "org/held")["revision"]
    fresh.ctl("key", "generate")
    for command in ("sbom",), ("attest", "show"), ("bundle", "create", "-o", tmp_path / "medium"):
        said = fresh.ctl(*command, "org/held", code=5).stderr
        assert "is held and not published: " in said and "llama3.1" in said
        assert fresh.ctl(*command, "org/absent", code=4).stderr.count("org/absent") == 1
    assert "llama3.1" in fresh.ctl("sbom", f"org/held@{commit}", code=5).stderr
