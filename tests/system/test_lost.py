"""Content that the store loses after it was published: clients are never told that the model is complete without it."""
import hashlib
import json
import resource
import threading
import time
import urllib.error
import urllib.request

import pytest

from tests.system.registry import Registry
from tests.system.test_policy_change import settle

POLICY = "licenses: {allow: [apache-2.0], unknown: hold}\nrequire: {smoke: none}\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
WEIGHTS = "model.safetensors"


@pytest.fixture
def site(tmp_path, hub, models):
    hub.add_model("org/story", models / "tiny-story")
    with Registry(tmp_path / "r", upstream=hub.url, policy=POLICY) as reg:
        reg.ctl("sync", "org/story")
        yield reg


def get(url, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as a:
            return a.status, a.headers, a.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def sha_of(reg, path, model="org/story"):
    return next(f["sha256"] for f in reg.json("show", model)["files"] if f["path"] == path)


def damage(reg, path, model="org/story"):
    blob = reg.blob(sha_of(reg, path, model))
    blob.chmod(0o640)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)


def lost_events(reg):
    return [e for e in reg.json("events") if e["kind"] == "blob.lost"]


def listed(reg, rev="main"):
    tree = {f["path"] for f in json_of(f"{reg.url}/api/models/org/story/tree/{rev}?recursive=true") if f["type"] == "file"}
    siblings = {f["rfilename"] for f in json_of(f"{reg.url}/api/models/org/story/revision/{rev}")["siblings"]}
    assert tree == siblings
    return tree


def json_of(url):
    return json.loads(get(url)[2])


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_a_lost_shard_stays_a_part_of_the_model(site, hub, how, tmp_path):
    before = listed(site)
    sha = sha_of(site, WEIGHTS)
    kept = site.ctl("sbom", "org/story").stdout
    hub.stop()
    damage(site, WEIGHTS) if how == "damaged" else site.blob(sha).unlink()
    if how == "damaged":
        said = site.ctl("verify", "org/story", code=6).stdout
        assert f"* {WEIGHTS}" in said
    else:
        assert get(f"{site.url}/org/story/resolve/main/{WEIGHTS}")[0] == 503      # a client is the first to see it

    assert listed(site) == before
    for door in ("resolve", "raw"):
        for method in ("GET", "HEAD"):
            status, headers, _ = get(f"{site.url}/org/story/{door}/main/{WEIGHTS}", method)
            assert status == 503 and int(headers["Retry-After"]) > 0 and WEIGHTS in headers["X-Error-Message"] and "X-Error-Code" not in headers
    assert get(f"{site.url}/org/story/resolve/main/config.json")[0] == 200
    told, = lost_events(site)
    assert (told["repo"], told["data"]["path"], told["data"]["sha256"]) == ("org/story", WEIGHTS, sha)

    lost, = site.json("show", "org/story")["lost"]
    assert lost["path"] == WEIGHTS and lost["since"] and lost["reason"]
    assert f"lost           {WEIGHTS} since" in site.ctl("show", "org/story").stdout and WEIGHTS in site.ctl("why", "org/story").stdout
    assert "1 blobs of published models" in site.ctl("status").stdout
    assert "\nregistryd_blobs_lost 1\n" in get(f"{site.url}/metrics")[2].decode()
    assert "Lost from the store" in get(f"{site.url}/org/story")[2].decode()

    for command in (["attest", "show", "org/story"], ["attest", "show", "org/story", "--format", "intoto"], ["bundle", "create", "-o", str(tmp_path / "b"), "org/story"]):
        if command[0] == "attest":
            site.ctl("key", "generate", code=None)
        done = site.ctl(*command, code=6)
        assert f"'{WEIGHTS}' is lost from the store" in done.stderr
    assert site.ctl("sbom", "org/story").stdout == kept
    again = site.json("verify", "org/story", code=6)
    assert again["missing"] == 1 and len(lost_events(site)) == 1     # told once


def test_a_lost_file_is_fetched_again_by_itself(site, hub):
    commit = site.json("show", "org/story")["revision"]
    hub.commit("org/story", {"notes.png": PNG + b"newer"})
    site.ctl("sync", "org/story")
    newest = site.json("show", "org/story")["revision"]
    site.blob(sha_of(site, "config.json", f"org/story@{commit}")).unlink()
    site.ctl("verify", f"org/story@{commit}", code=6)
    end = time.monotonic() + 30
    while site.json("show", f"org/story@{commit}")["lost"]:
        assert time.monotonic() < end, site.json("jobs")
        time.sleep(0.2)
    settle(site)
    assert site.json("verify", f"org/story@{commit}")["missing"] == 0
    assert site.json("show", "org/story")["revision"] == newest     # mending an old one makes it no newer


def test_bytes_put_back_by_hand_count_again(site, hub):
    hub.stop()
    blob = site.blob(sha_of(site, WEIGHTS))
    away = blob.rename(site.where / "away")
    site.ctl("verify", "org/story", code=6)
    away.rename(blob)
    site.ctl("verify", "org/story")
    assert site.json("show", "org/story")["lost"] == [] and get(f"{site.url}/org/story/resolve/main/{WEIGHTS}")[0] == 200


def test_what_is_not_here_yet_is_not_lost(tmp_path, hub, models):
    hub.add_model("org/story", models / "tiny-story")
    hub.commit("org/story", {"notes.png": PNG + b"0" * 100})
    with Registry(tmp_path / "r", upstream=hub.url, policy=POLICY) as reg:
        reg.ctl("sync", "org/story", "--exclude", "*.png")
        before = listed(reg)
        hub.faults.add(file="notes.png", status=404)
        reg.ctl("sync", "org/story", code=None)      # a wider selection, of which the new file does not come
        assert "notes.png" in [f["path"] for f in reg.json("show", "org/story")["skipped"]]
        assert "notes.png" not in before and listed(reg) == before and reg.json("show", "org/story")["lost"] == []
        assert get(f"{reg.url}/org/story/resolve/main/notes.png")[0] == 404


def test_verify_all_reads_what_nobody_is_shown(site, hub, models):
    def own(name):
        return PNG + name.encode() * 50

    commits = []
    for name in "one", "two":
        commits.append(hub.commit("org/story", {"notes.png": own(name)}))
        site.ctl("sync", "org/story")
    hub.add_model("org/twin", {p.name: p.read_bytes() for p in (models / "tiny-story").iterdir()} | {"README.md": "---\nlicense: llama3.1\n---\n"})
    site.ctl("sync", "org/twin", code=5)        # held; it shares all but its card
    hub.stop()

    done = site.json("verify", "--all")
    stored = sorted(p.name for p in (site.data / "blobs" / "sha256").iterdir())
    assert done["same"] == len(done["files"]) == len(stored)         # each content once
    damage(site, "notes.png", f"org/story@{commits[0]}")
    damage(site, "README.md", "org/twin")
    site.blob(sha_of(site, WEIGHTS)).unlink()
    done = site.ctl("verify", "--all", code=6)
    bad = sorted(line for line in done.stdout.splitlines() if not line.startswith("= "))
    assert bad == sorted(["* org/story/notes.png", "* org/twin/README.md", f"- org/twin/{WEIGHTS}"] + 3 * [f"- org/story/{WEIGHTS}"]), bad
    again = site.json("verify", "--all", code=6)
    assert (again["differs"], again["missing"]) == (0, 6) and again["same"] == len(stored) - 3
    assert {f["revision"] for f in again["files"] if f["path"] == "notes.png" and f["status"] == "missing"} == {commits[0]}

    odd, gone = (site.blob(sha_of(site, path)) for path in ("config.json", "tokenizer.json"))
    odd.rename(site.where / "odd")
    odd.symlink_to(site.where / "odd")      # can't be opened, which says nothing of its bytes
    gone.unlink()
    assert "read 'config.json'" in site.ctl("verify", "--all", code=1).stderr
    assert "tokenizer.json" in {f["path"] for f in site.json("show", "org/story")["lost"]} and "config.json" not in {f["path"] for f in site.json("show", "org/story")["lost"]}


def test_a_card_that_is_read_and_not_served_is_lost_too(tmp_path, hub):
    """The licence rests on it: the loss is told, whole or not, and made good by serving nothing more than before."""
    card = b"---\nlicense: apache-2.0\n---\n# A model\n"
    hub.add_model("org/part", {"README.md": card, "config.json": "{}"})
    selected = ("org/part", "--include", "config.json")
    with Registry(tmp_path / "r", upstream=hub.url, policy=POLICY) as reg:
        blob = reg.blob(hashlib.sha256(card).hexdigest())
        reg.ctl("sync", *selected)
        assert "= README.md" in reg.ctl("verify", "org/part").stdout
        blob.chmod(0o640)
        blob.write_bytes(b"y" * len(card))
        assert "* README.md" in reg.ctl("verify", "org/part", code=6).stdout
        settle(reg)
        assert blob.read_bytes() == card and reg.json("show", "org/part")["lost"] == []         # asked for again by itself

        rule = hub.faults.add(file="README.md", status=404)
        blob.unlink()
        assert "- org/part/README.md" in reg.ctl("verify", "--all", code=6).stdout
        settle(reg)
        assert [(e["repo"], e["data"]["path"]) for e in lost_events(reg)] == [("org/part", "README.md")] * 2
        assert [f["path"] for f in reg.json("show", "org/part")["lost"]] == ["README.md"] and "1 blobs of published models" in reg.ctl("status").stdout
        assert "'README.md' is lost" in reg.ctl("bundle", "create", "-o", tmp_path / "b", "org/part", code=6).stderr
        assert "- README.md" in reg.ctl("verify", "org/part", code=6).stdout
        assert reg.json("show", "org/part")["license"]["id"] == "apache-2.0"
        hub.faults.remove(rule)
        assert reg.json("sync", *selected)["result"]["fetched_bytes"] == len(card)
        assert blob.read_bytes() == card and reg.json("show", "org/part")["lost"] == []
        reg.ctl("verify", "--all")
        assert [f["path"] for f in reg.json("show", "org/part")["files"]] == ["config.json"] and get(f"{reg.url}/org/part/resolve/main/README.md")[0] == 404


def test_running_out_of_descriptors_is_no_damage(tmp_path, hub, models):
    hub.add_model("org/story", models / "tiny-story")
    with Registry(tmp_path / "r", upstream=hub.url, policy=POLICY) as reg:
        reg.ctl("sync", "org/story")
        resource.prlimit(reg.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        statuses, url = [], f"{reg.url}/org/story/resolve/main/{WEIGHTS}"

        def pull():
            for _ in range(5):
                try:
                    status, headers, _ = get(url)
                except OSError:
                    continue
                statuses.append(status)
                assert status == 200 or (status == 503 and int(headers["Retry-After"]) > 0), status

        threads = [threading.Thread(target=pull) for _ in range(100)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert set(statuses) <= {200, 503} and 200 in statuses
        assert "blob.lost" not in reg.said() and reg.json("events") and not lost_events(reg)
        assert get(url)[0] == 200
