"""registryctl with a model: from the stand-in Hub to published, looked at from every side."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import urllib.request

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import wait_for

CARD = "---\nlicense: {license}\npipeline_tag: text-generation\nlibrary_name: transformers\n---\n# A tiny model\n"


def files_of(folder, **changes):
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    found.update({k: v for k, v in changes.items()})
    return found


def add_large(hub, models):
    """org/large, which takes some seconds to fetch."""
    hub.add_model("org/large", files_of(models / "tiny-story", **{"extra/picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(6 << 20)}))
    for route in ("cdn", "resolve", "resolve-cache"):
        hub.faults.add(route=route, throttle=2 << 20)


@pytest.fixture
def story(hub, models):
    """A small trained model on the stand-in Hub; its name and commit."""
    return "org/tiny-story", hub.add_model("org/tiny-story", models / "tiny-story", tags=["v1"])


def test_sync_publishes_and_everything_can_be_seen(registry, story, hub):
    name, commit = story
    done = registry.ctl("sync", name)
    assert re.search(rf"^published {name}@{commit} \(", done.stdout)

    m = registry.json("show", name)
    assert (m["repo"], m["revision"], m["state"], m["refs"]) == (name, commit, "published", ["main"])
    assert m["license"]["id"] == "apache-2.0" and m["license"]["spdx"] == "Apache-2.0" and m["license"]["commercial_use"] == "yes"
    assert m["architecture"] == "llama" and m["formats"] == ["safetensors"] and m["upstream"] == "hub" and m["author"] == "org"
    assert m["proof"] in ("commit", "listing")
    assert m["smoke"]["verdict"] == "pass" and 0 < m["smoke"]["bits_per_byte"] < 2.5
    assert m["size_bytes"] == sum(f["size_bytes"] for f in m["files"])
    for f in m["files"]:
        assert registry.blob(f["sha256"]).stat().st_size == f["size_bytes"] and re.fullmatch("[0-9a-f]{40}", f["git_oid"])

    row, = registry.json("ls")
    assert "files" not in row and "findings" not in row
    assert row == {k: v for k, v in m.items() if k in row}
    assert name in registry.ctl("ls").stdout and "apache-2.0" in registry.ctl("show", name).stdout
    assert registry.json("show", f"{name}@{commit[:10]}")["revision"] == commit
    registry.ctl("show", f"{name}@absent", code=4)

    why = registry.json("why", name)
    assert why["state"] == "published" and {d["rule"] for d in why["decisions"]} >= {"license", "smoke", "proof"}
    assert all(d["reason"] for d in why["decisions"])
    assert "license" in registry.ctl("why", name).stdout

    job = registry.json("jobs")[0]
    assert job["kind"] == "sync" and job["state"] == "done"
    kinds = [e["kind"] for e in registry.json("events")]
    assert any("published" in k for k in kinds)
    assert registry.json("status")["catalog"]["published"] == 1
    lic, = registry.json("licenses")
    assert lic["id"] == "apache-2.0" and lic["models"] == 1


def test_ls_filters(registry, story, models, hub):
    name, _ = story
    hub.add_model("other/held", files_of(models / "tiny-story", **{"README.md": CARD.format(license="cc-by-nc-4.0"), "LICENSE": b""}))
    registry.ctl("sync", name)
    registry.ctl("sync", "other/held", code=5)

    def names(*args):
        return [m["repo"] for m in registry.json("ls", *args)]

    assert sorted(names()) == sorted([name, "other/held"])
    assert names("--license", "apache-2.0") == names("--license", "Apache-2.0") == [name] and names("--license", "apache-2.0", "--license", "cc-by-nc-4.0", "--sort", "name") == [name, "other/held"]
    assert names("--commercial") == [name]
    assert names("--state", "held") == ["other/held"] and names("--state", "published") == [name]
    registry.ctl("ls", "--max-size", "0", code=2)
    # another commit in another state: the tags of the one that is shown
    hub.commit(name, {"README.md": CARD.format(license="cc-by-nc-4.0").replace("---\n", "---\ntags: [newer]\n", 1), "LICENSE": b""})
    registry.ctl("sync", name, code=5)
    assert names("--state", "held", "--tag", "newer") == [name] and names("--tag", "newer") == [] and names("--state", "published", "--tag", "newer") == []
    assert names("--max-size", "1KB") == [] and names("--min-size", "100KB", "--author", "org") == [name]
    assert names("--min-params", "1B") == [] and names("--max-params", "1B", "--author", "org") == [name]
    assert names("--format", "gguf") == [] and names("--format", "safetensors", "--arch", "llama", "--author", "org") == [name]
    assert names("--search", "tiny") == [name] and names("--task", "text-generation", "--author", "org") == names("--task", "Text-Generation", "--author", "org") == [name]
    assert len(names("--limit", "1")) == 1
    assert names("--sort", "-name") == list(reversed(names("--sort", "name")))
    weights = next(f for f in registry.json("show", name)["files"] if f["path"].endswith(".safetensors"))
    assert name in names("--contains", weights["sha256"]) and name in names("--contains", weights["sha256"].upper()) and names("--contains", "0" * 64) == []


def test_a_held_revision_waits_for_a_person(registry, hub, models):
    hub.add_model("org/nc", files_of(models / "tiny-story", **{"README.md": CARD.format(license="cc-by-nc-4.0"), "LICENSE": b""}))
    done = registry.ctl("sync", "org/nc", code=5)
    assert "held" in done.stderr and "cc-by-nc-4.0" in done.stderr
    assert registry.json("sync", "org/nc", code=5)["result"]["state"] == "held"
    assert registry.json("show", "org/nc")["state"] == "held"

    assert registry.json("publish", "org/nc", "--reason", "research only, ticket 12")["state"] == "published"
    decisions = registry.json("why", "org/nc")["decisions"]
    assert any("ticket 12" in (d["reason"] or "") for d in decisions)
    registry.ctl("sync", "org/nc")       # the decision survives a re-sync of the same revision

    registry.ctl("reject", "org/nc", "--reason", "second thoughts")
    assert registry.json("show", "org/nc")["state"] in ("rejected", "retired")


def test_a_model_that_talks_nonsense_is_not_published(registry, hub, models):
    weights = bytearray((models / "tiny-story" / "model.safetensors").read_bytes())
    middle = len(weights) // 2
    weights[middle:middle + 200000] = os.urandom(200000)
    hub.add_model("org/broken", files_of(models / "tiny-story", **{"model.safetensors": bytes(weights)}))
    done = registry.ctl("sync", "org/broken", code=5)
    assert "smoke" in done.stderr.lower() or "test" in done.stderr.lower()
    assert registry.json("show", "org/broken")["state"] in ("held", "rejected")
    registry.ctl("smoke", "org/broken", code=6)


def test_verify_marks_what_differs_and_what_is_missing(registry, story, hub):
    name, _ = story
    registry.ctl("sync", name)
    hub.faults.add(route="resolve", status=404)         # else the daemon has it repaired before the second look
    files = {f["path"]: f["sha256"] for f in registry.json("show", name)["files"]}
    same = registry.ctl("verify", name)
    assert sorted(same.stdout.splitlines()) == sorted(f"= {p}" for p in files)
    assert registry.json("verify", "--all")["same"] == len(files)

    broken = registry.blob(files["model.safetensors"])
    data = bytearray(broken.read_bytes())
    data[len(data) // 2] ^= 1
    broken.chmod(0o640)
    broken.write_bytes(data)
    registry.blob(files["config.json"]).unlink()
    done = registry.ctl("verify", name, code=6)
    lines = set(done.stdout.splitlines())
    assert {"* model.safetensors", "- config.json", "= README.md"} <= lines and len(lines) == len(files)
    again = registry.json("verify", name, code=6)
    assert again["differs"] + again["missing"] == 2

    hub.faults.clear()
    registry.ctl("sync", name)       # fetches the two anew
    assert "*" not in registry.ctl("verify", name).stdout


def test_smoke_again_is_recorded(registry, story):
    name, commit = story
    registry.ctl("sync", name)
    first = registry.json("show", name)["smoke"]
    time.sleep(1.1)
    again = registry.json("smoke", name, "--device", "cpu")
    assert again["verdict"] == "pass" and again["at"] > first["at"]
    assert registry.json("show", name)["smoke"]["at"] == again["at"]
    assert "pass" in registry.ctl("smoke", f"{name}@{commit}").stdout
    assert registry.json("smoke", "--all")["queued"] == 1
    registry.ctl("smoke", name, "--device", "abacus", code=2)


@pytest.mark.parametrize("what, code, says", [
    ("absent", 4, "org/absent"),
    ("revision", 4, "absent"),
    ("corrupt", 6, "model.safetensors"),
])
def test_sync_ends_with_the_contracts_codes(registry, story, hub, what, code, says):
    name, _ = story
    if what == "corrupt":
        hub.faults.add(route="cdn", corrupt=1000)
    repo = {"absent": "org/absent", "revision": f"{name}@absent", "corrupt": name}[what]
    done = registry.ctl("sync", repo, code=code)
    assert says in done.stderr and done.stdout == ""
    assert [m for m in registry.json("ls", "--state", "published")] == []


def test_dry_run_says_what_would_happen(registry, story, models):
    name, commit = story
    plan = registry.json("sync", name, "--dry-run", "--include", "*.json")
    read = sum(f["size_bytes"] for f in plan["files"] if f["path"] in ("LICENSE", "README.md"))     # for its licence, and not to be served
    assert plan["repo"] == name and plan["revision"] == commit and plan["fetch_bytes"] == plan["size_bytes"] + read
    wanted = {f["path"] for f in plan["files"] if not f["skip_reason"]}
    assert wanted and all(p.endswith(".json") for p in wanted)
    assert registry.json("ls") == []
    text = registry.ctl("sync", name, "--dry-run").stdout
    assert "the gate would publish it" in text and "model.safetensors" in text
    assert registry.ctl("policy", "check", name).returncode == 0


def test_no_wait_leaves_the_job_to_the_daemon(registry, story):
    name, _ = story
    job = registry.json("sync", name, "--no-wait")
    assert job["kind"] == "sync" and job["state"] in ("queued", "running")
    end = time.monotonic() + 60
    while registry.json("jobs")[0]["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert registry.json("show", name)["state"] == "published"


def test_jobs_shows_what_runs_whatever_is_queued(tmp_path, hub):
    hub.add_model("org/slow", {"README.md": CARD.format(license="mit")})
    hub.faults.add(repo="org/slow", route="info", delay=10)
    with Registry(tmp_path / "registry", upstream=hub.url, settings="sync: {jobs: 1}\n") as registry:
        job = registry.json("sync", "org/slow", "--no-wait")["id"]
        end = time.monotonic() + 30
        while registry.json("jobs")[0]["state"] != "running":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert "of 1 jobs" not in registry.ctl("jobs").stderr
        for i in range(120):
            ask = urllib.request.Request(f"{registry.url}/-/v1/sync", json.dumps({"repo": f"org/m{i}"}).encode(),
                                         {"Authorization": f"Bearer {registry.token()}", "Content-Type": "application/json"})
            urllib.request.urlopen(ask, timeout=30).close()
        shown = registry.ctl("jobs")
        assert shown.stdout.count("running") == 1 and "these are 100 of 121 jobs" in shown.stderr
        listed = registry.ctl("jobs", "--json")
        assert "these are 100 of 121 jobs" in listed.stderr and [j["id"] for j in json.loads(listed.stdout)] == [job, *range(job + 120, job + 21, -1)]
        registry.kill()


def test_ctrl_c_leaves_the_job_running(registry, story, hub):
    name, _ = story
    hub.faults.add(route="cdn", delay=3, times=1)
    process = subprocess.Popen(registry.command("sync", name), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while not registry.json("jobs"):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (-signal.SIGINT, 130) and "goes on in the daemon" in err
    while registry.json("jobs")[0]["state"] not in ("done", "failed"):
        assert time.monotonic() < end + 60
        time.sleep(0.1)
    assert registry.json("show", name)["state"] == "published"


def test_progress_on_a_terminal(registry, hub, models):
    add_large(hub, models)
    master, slave = pty.openpty()
    process = subprocess.Popen(registry.command("sync", "org/large"), stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        try:
            part = os.read(master, 65536) if ready else b""
        except OSError:
            part = b""
        if not part:
            break
        seen += part
    process.wait(30)
    os.close(master)
    assert re.search(rb"\[#*-*\] +\d+%  [\d.]+ [kMG]?B of [\d.]+ MB", seen), seen[-2000:]
    assert b"\r\x1b[K" in seen


def test_lifecycle_orders(registry, hub, models):
    for n in ("org/old", "org/new"):
        hub.add_model(n, models / "tiny-story")
        registry.ctl("sync", n)
    registry.ctl("deprecate", "org/old", "--sunset", "2020-01-01", code=2)
    registry.ctl("deprecate", "org/old", "--successor", "org/absent", code=4)
    done = registry.json("deprecate", "org/old", "--sunset", "2032-06-30", "--successor", "org/new", "--reason", "superseded")
    assert done["state"] == "deprecated" and done["sunset_at"].startswith("2032-06-30") and done["successor"] == "org/new"
    shown = registry.json("show", "org/old")["lifecycle"]
    assert shown["successor"] == "org/new" and shown["reason"] == "superseded" and shown["deprecated_at"]
    assert [m["repo"] for m in registry.json("ls", "--deprecated")] == ["org/old"]
    assert [m["repo"] for m in registry.json("ls", "--sunset-before", "2032-07-01")] == ["org/old"]
    listed, = registry.json("lifecycle", "--within", "3650d")
    assert listed["repo"] == "org/old"
    assert "BEGIN:VCALENDAR" in registry.ctl("lifecycle", "--ics").stdout
    assert registry.json("undeprecate", "org/old")["state"] == "active"
    assert registry.json("retire", "org/old", "--reason", "done")["state"] == "retired"
    assert registry.json("restore", "org/old")["state"] == "active"
    assert registry.json("withdraw", "org/old", "--reason", "claim 7", "--legal")["state"] == "withdrawn-legal"
    assert registry.json("restore", "org/old")["state"] == "active"
    assert registry.json("usage", "org/old") == []


def test_policy_test_tells_what_would_change(tmp_path, hub, story):
    name, _ = story
    with Registry(tmp_path / "r", upstream=hub.url, policy="licenses: {allow: [apache-2.0], unknown: hold}\n") as reg:
        reg.ctl("sync", name)
        other = tmp_path / "stricter.yaml"
        other.write_text("licenses: {allow: [mit], deny: [apache-2.0], unknown: hold}\n")
        result = reg.json("policy", "test", other)
        assert result["tested"] == 1
        change, = result["changes"]
        assert (change["repo"], change["from"], change["to"]) == (name, "published", "rejected")
        assert "1 revisions tested: 0 newly allowed, 1 newly held or denied, 0 held" in reg.ctl("policy", "test", other).stdout


def test_import_brings_in_a_model_that_no_hub_holds(registry, models, tmp_path):
    folder = tmp_path / "mine"
    (folder / "notes" / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("not part of the model")
    for p in (models / "tiny-story").iterdir():
        (folder / p.name).write_bytes(p.read_bytes())
    (folder / "notes" / "deep" / "a b#c%.txt").write_text("odd name")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "link.txt").symlink_to(folder / "README.md")      # caches are made of links

    job = registry.json("import", folder, "--as", "site/mine")
    assert job["kind"] == "import" and job["result"]["state"] == "published"
    m = registry.json("show", "site/mine")
    assert m["state"] == "published" and m["upstream"] == "import" and m["license"]["id"] == "apache-2.0"
    assert {f["path"] for f in m["files"]} == {p.name for p in (models / "tiny-story").iterdir()} | {"notes/deep/a b#c%.txt", "empty.txt", "link.txt"}
    assert registry.json("verify", "site/mine")["same"] == len(m["files"])
    again = registry.json("import", folder, "--as", "site/mine")
    assert again["result"]["revision"] == m["revision"]         # the same bytes are the same revision
    assert list((registry.data / "incoming").iterdir()) == []

    registry.ctl("import", folder, "--as", "site/mine@main", code=2)
    registry.ctl("import", folder, code=2)
    registry.ctl("import", folder, "--as", "../evil", code=2)
    assert "apache-2.0" in registry.ctl("import", folder, "--as", "site/x", "--license", "apache2.0", code=2).stderr
    (folder / "model.safetensors").write_bytes(b"not weights")
    registry.ctl("import", folder, "--as", "site/bad", code=5)


def test_what_nobody_committed_goes_by_itself(tmp_path):
    """At a start and with gc (and once an hour): nobody need begin another import for it."""
    reg, old = Registry(tmp_path / "r"), time.time() - 2 * 86400
    incoming = reg.data / "incoming"

    def leave():
        for name, at in ("0" * 32, old), ("1" * 32, time.time()):
            (incoming / name / "sub").mkdir(parents=True, exist_ok=True)
            (incoming / name / "sub" / "w.bin").write_bytes(b"x")
            os.utime(incoming / name, (at, at))
        (incoming / "blobs").mkdir(exist_ok=True)
        (incoming / "blobs" / ("2" * 64)).write_bytes(b"x")
        os.utime(incoming / "blobs" / ("2" * 64), (old, old))

    left = lambda: {str(p.relative_to(incoming)) for p in incoming.rglob("*") if p.is_file()}
    leave()
    with reg:
        wait_for(lambda: left() == {f"{'1' * 32}/sub/w.bin"})
        leave()
        (incoming / "blobs" / ("3" * 64)).write_bytes(b"x")     # more comes: what came first may belong to it
        reg.ctl("gc")
        assert left() == {f"{'1' * 32}/sub/w.bin", f"blobs/{'2' * 64}", f"blobs/{'3' * 64}"}


def test_an_import_is_refused_before_its_bytes_are_sent(registry, hub, models, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for p in (models / "tiny-story").iterdir():
        (folder / p.name).write_bytes(p.read_bytes())
    hub.add_model("org/hubs", models / "tiny-story")
    registry.ctl("sync", "org/hubs")
    assert "unknown licence 'nosuch'" in registry.ctl("import", folder, "--as", "site/x", "--license", "nosuch", code=2).stderr
    assert "org/hubs comes from upstream 'hub'" in registry.ctl("import", folder, "--as", "org/hubs", code=1).stderr
    assert not (registry.data / "incoming").exists()
    for name, shown in ("notes\\1.txt", "notes\\1.txt"), ("two\nlines", "two lines"), (b"\xff.bin".decode(errors="surrogateescape"), "?.bin"):
        (folder / name).write_text("x")
        assert f"'{shown}' can't be a file of a model: " in registry.ctl("import", folder, "--as", "site/x", code=2).stderr
        (folder / name).unlink()
    assert not (registry.data / "incoming").exists()


def test_sbom_holds_every_file(registry, story, tmp_path):
    name, commit = story
    registry.ctl("sbom", name, code=4)
    registry.ctl("sync", name)
    files = registry.json("show", name)["files"]
    doc = registry.json("sbom", name)
    assert doc["specVersion"] == "1.6" and doc["metadata"]["component"]["version"] == commit
    assert {h["content"] for c in doc["components"] for h in c.get("hashes", []) if h["alg"] == "SHA-256"} >= {f["sha256"] for f in files}
    assert "registryd:smoke:verdict" in str(doc)
    out = tmp_path / "bom.json"
    registry.ctl("sbom", name, "-o", out)
    assert out.read_text() == registry.ctl("sbom", name).stdout       # the same bytes each time
    assert "software_File" in registry.ctl("sbom", name, "--format", "spdx").stdout
    registry.ctl("sbom", name, "--format", "cyclondx", code=2)


def test_gc_frees_what_no_revision_needs(registry, story, hub):
    name, first = story
    registry.ctl("sync", name)
    orphan = registry.blob("ab" * 32)
    orphan.write_bytes(b"left by a crash")
    assert registry.json("gc", "--dry-run")["blobs"] == 1 and orphan.exists()
    freed = registry.json("gc")
    assert (freed["blobs"], freed["bytes"], freed["revisions"]) == (1, 15, []) and not orphan.exists()
    assert registry.json("verify", name)["missing"] == 0

    second = hub.commit(name, {"notes.txt": "changed"})
    registry.ctl("sync", name)
    before = {f["path"]: f["sha256"] for f in registry.json("show", f"{name}@{first}")["files"]}
    third = hub.commit(name, {"notes.txt": "changed again", "README.md": (before and b"---\nlicense: apache-2.0\n---\nnew card")})
    registry.ctl("sync", name)
    dry = registry.json("gc", "--keep-last", "1", "--dry-run")
    assert {r["revision"] for r in dry["revisions"]} == {first, second}
    assert registry.json("show", f"{name}@{first}")["state"] == "published"
    done = registry.json("gc", "--keep-last", "1")
    assert (done["blobs"], done["revisions"]) == (dry["blobs"], dry["revisions"])
    assert not registry.blob(before["README.md"]).exists() and registry.blob(before["model.safetensors"]).exists()
    assert registry.json("show", f"{name}@{first}")["state"] == "planned"
    assert set(registry.ctl("verify", f"{name}@{third}").stdout) >= {"="}
    registry.ctl("sync", f"{name}@{first}")     # it can be had again
    assert registry.json("verify", f"{name}@{first}")["missing"] == 0
    registry.ctl("gc", "--keep-last", "0", code=2)


def test_rebuild_derives_the_same_again(registry, story):
    name, _ = story
    registry.ctl("sync", name)
    before = registry.json("show", name)
    assert registry.json("rebuild") == {"models": 1, "revisions": 1}
    assert registry.json("show", name) == before


def test_a_sync_outlives_the_daemon(registry, hub, models):
    """kill -9 in mid-download: the command line waits for the daemon to come back, and the job goes on where it stopped."""
    add_large(hub, models)
    process = subprocess.Popen(registry.command("sync", "org/large", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while not any(j["state"] == "running" and j["progress"]["bytes_done"] > 1 << 20 for j in registry.json("jobs")):
        assert time.monotonic() < end
        time.sleep(0.05)
    registry.kill()
    time.sleep(1.5)
    registry.start()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert '"published"' in out
    assert registry.json("verify", "org/large")["missing"] == 0
