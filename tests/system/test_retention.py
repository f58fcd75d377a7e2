"""Quotas of namespaces and keep_last: what gc lets go, what a sync may not fetch, and what a client of a freed commit is told."""
import contextlib
import os
import sqlite3
import time

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import wait_for
from tests.system.test_policy_change import settle

LICENCES = "licenses: {allow: [apache-2.0], unknown: hold}\nrequire: {smoke: none}\n"
MB = 1000 * 1000
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def quota(size, author="org"):
    return LICENCES + f'retention: {{quotas: [{{author: "{author}", max: {size}}}, {{author: "*", max: 1GB}}]}}\n'


@pytest.fixture
def site(tmp_path, hub, models):
    hub.add_model("org/tiny-story", models / "tiny-story")
    with Registry(tmp_path / "r", upstream=hub.url, policy=LICENCES) as reg:
        reg.policy = reg.where / "policy.yaml"
        yield reg


def set_policy(reg, text):
    reg.policy.write_text(text)
    reg.ctl("policy", "reload")
    settle(reg)


def grow(reg, hub, times):
    """Commits of org/tiny-story, each with a file of 3 MB of its own; the first one too."""
    commits = []
    for i in range(times):
        commits.append(hub.commit("org/tiny-story", {"notes.png": PNG + os.urandom(3 * MB)}))
        reg.ctl("sync", "org/tiny-story")
    return commits


def test_gc_keeps_a_namespace_within_its_quota(site, hub):
    commits = grow(site, hub, 4)
    assert site.json("gc", "--dry-run")["quotas"] == []
    set_policy(site, quota("8MB"))
    said = site.ctl("gc", "--dry-run").stdout
    assert f"would let go org/tiny-story@{commits[0][:12]}: not in use while org is above its quota" in said and "of a quota of 8.00 MB" in said
    assert site.json("show", f"org/tiny-story@{commits[0]}")["state"] == "published"

    done = site.json("gc")
    assert [r["revision"] for r in done["revisions"]] == commits[:2]        # the oldest first, and no more than needed
    over, = done["quotas"]
    assert (over["author"], over["max_bytes"], over["over_bytes"]) == ("org", 8 * MB, 0) and over["bytes"] <= 8 * MB < over["before_bytes"]
    assert [site.json("show", f"org/tiny-story@{c}")["state"] for c in commits] == ["planned", "planned", "published", "published"]
    assert site.json("verify", "org/tiny-story")["missing"] == 0


def in_catalog(reg, sql):
    with contextlib.closing(sqlite3.connect(f"file:{reg.data}/catalog.sqlite?mode=ro", uri=True)) as catalog:
        return catalog.execute(sql).fetchone()[0]


def test_what_is_in_use_never_goes_by_itself(site, hub, hf_client):
    commits = grow(site, hub, 3)
    done = hf_client(site.url, f"from huggingface_hub import hf_hub_download; hf_hub_download('org/tiny-story', 'config.json', revision='{commits[0]}')")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: in_catalog(site, "SELECT count(*) FROM pull"), 15)      # seconds later a daemon that is killed has not forgotten it
    site.kill()
    site.start()
    hub.add_model("ORG/other", {"README.md": "---\nlicense: apache-2.0\n---\n"})
    site.ctl("sync", "ORG/other")
    set_policy(site, quota("2MB", author="Org"))                             # one namespace, however it is written
    result = site.json("gc")
    assert [r["revision"] for r in result["revisions"]] == [commits[1]]      # not the one that was pulled, nor what main serves
    assert len(result["quotas"]) == 1 and result["quotas"][0]["over_bytes"] > 0
    assert "in use" not in site.ctl("gc").stdout and "deprecate and retire what may go" in site.ctl("gc").stdout


def test_a_sync_past_the_quota_fetches_nothing(site, hub, models):
    set_policy(site, quota("2MB"))
    site.ctl("sync", "org/tiny-story")
    hub.add_model("org/second", {"README.md": b"---\nlicense: apache-2.0\n---\n", "notes.png": PNG + os.urandom(3 * MB)})
    hub.add_model("other/second", {"README.md": b"---\nlicense: apache-2.0\n---\n", "notes.png": PNG + os.urandom(3 * MB)})
    dry = site.ctl("sync", "--dry-run", "org/second")
    assert "quota" in dry.stdout and "2.00 MB" in dry.stdout
    site.ctl("policy", "check", "org/second", code=5)
    before = sorted(p.name for p in (site.data / "blobs/sha256").iterdir())
    refused = site.ctl("sync", "org/second", code=5).stderr
    assert "quota of 2.00 MB" in refused and "nothing is fetched" in refused
    assert sorted(p.name for p in (site.data / "blobs/sha256").iterdir()) == before
    assert "quota" in site.json("why", "org/second")["reason"]
    assert "quota" not in site.ctl("sync", "other/second", code=None).stderr  # another namespace has its own
    set_policy(site, quota("20MB"))
    assert "quota" not in site.ctl("sync", "org/second", code=None).stderr


def add(hub, name, size=3 * MB):
    hub.add_model(name, {"README.md": b"---\nlicense: apache-2.0\n---\n", "notes.png": PNG + os.urandom(size)})


def test_syncs_side_by_side_count_for_the_quota(site, hub):
    """What one was let begin to fetch counts for the next, as if it were here."""
    set_policy(site, quota("5MB"))
    add(hub, "org/first")
    add(hub, "org/second")
    slow = hub.faults.add(throttle=200_000, file="notes.png")
    site.ctl("sync", "org/first", "--no-wait")
    wait_for(lambda: any("fetching" in j["progress"]["phase"] for j in site.json("jobs") if j["repo"] == "org/first"))
    assert "nothing is fetched: with it the models of org would take 6.00 MB" in site.ctl("sync", "Org/second", code=5).stderr
    hub.faults.remove(slow)
    wait_for(lambda: site.json("show", "org/first")["state"] == "published")
    assert site.json("show", "org/second")["state"] == "planned"


def test_what_is_held_for_the_quota_is_published_when_it_fits(site, hub):
    """Of two that fit one by one the first is let in, and the other one when there is room: from what is held, without being fetched again."""
    set_policy(site, LICENCES.replace("apache-2.0", "mit"))
    for name in "org/first", "org/second":
        add(hub, name)
        site.ctl("sync", name, code=5)
    set_policy(site, quota("5MB"))
    states = {name: site.json("show", name)["state"] for name in ("org/first", "org/second")}
    assert sorted(states.values()) == ["held", "published"]
    published, held = sorted(states, key=states.get, reverse=True)
    said = site.ctl("gc").stdout
    assert "3.00 MB are of revisions that are held or rejected" in said and "the rest is served by a ref" in said
    assert "quota of 5.00 MB" in site.ctl("sync", held, code=5).stderr

    site.ctl("retire", published)
    site.stop()
    with sqlite3.connect(site.data / "catalog.sqlite") as db:
        db.execute("UPDATE revision SET state_at = state_at - 31 * 86400 WHERE state = 8")
    db.close()
    site.start()
    assert [r["repo"] for r in site.json("gc")["revisions"]] == [published]
    fetched = len([r for r in hub.requests() if "notes.png" in r.path])
    assert fetched
    site.ctl("mirror", "add", held)
    wait_for(lambda: site.json("show", held)["state"] == "published")
    assert len([r for r in hub.requests() if "notes.png" in r.path]) == fetched


def test_room_for_a_sync_that_was_refused(site, hub):
    """The quota is full, not passed: what was retired long ago makes room for the sync that waits, and for nothing else."""
    set_policy(site, quota("8MB"))
    for name in "org/old", "org/new":
        add(hub, name)
        site.ctl("sync", name)
    site.ctl("retire", "org/old")
    assert site.json("show", "org/old")["state"] == "retired"
    site.stop()
    with sqlite3.connect(site.data / "catalog.sqlite") as db:
        db.execute("UPDATE revision SET state_at = state_at - 31 * 86400 WHERE state = 8")
    db.close()
    site.start()
    add(hub, "org/huge", 9 * MB)     # could never fit
    site.ctl("sync", "org/huge", code=5)
    assert site.json("gc")["revisions"] == []
    add(hub, "org/next")
    assert "`registryctl gc` frees what was retired 30 days ago" in site.ctl("sync", "org/next", code=5).stderr
    done = site.json("gc")
    assert [(r["repo"], r["why"]) for r in done["revisions"]] == [("org/old", "retired while a sync waits for room in the quota of org")] and done["quotas"] == []
    site.ctl("sync", "org/next")
    assert site.json("show", "org/new")["state"] == "published" and site.json("gc")["revisions"] == []


def test_an_import_past_the_quota_is_held(site, models, tmp_path):
    set_policy(site, quota("100kB", "site"))
    assert "quota" in site.ctl("import", models / "tiny-story", "--as", "site/mine", code=5).stderr
    site.ctl("publish", "site/mine", "--reason", "this one all the same")
    assert site.json("show", "site/mine")["state"] == "published"
    assert site.json("gc")["quotas"][0]["over_bytes"] > 0
    assert site.json("show", "site/mine")["state"] == "published"


def test_keep_last_of_the_policy(site, hub):
    commits = grow(site, hub, 3)
    set_policy(site, LICENCES + "retention: {keep_last: 2}\n")
    done = site.json("gc", "--dry-run")
    assert [(r["revision"], r["why"]) for r in done["revisions"]] == [(commits[0], "superseded by 2 newer revisions")]
    site.ctl("mirror", "add", f"org/tiny-story@{commits[0]}")
    site.ctl("mirror", "add", f"org/tiny-story@{commits[1][:12]}", "--every", "1d")
    settle(site)
    assert site.json("gc", "--keep-last", "1")["revisions"] == []       # the entries' next rounds would fetch them again
    for commit in commits[0], commits[1][:12]:
        site.ctl("mirror", "remove", f"org/tiny-story@{commit}")
    assert {r["revision"] for r in site.json("gc", "--keep-last", "1")["revisions"]} == set(commits[:2])


def test_a_freed_commit_is_gone_not_unknown(site, hub, hf_client):
    commits = grow(site, hub, 2)
    site.json("gc", "--keep-last", "1")
    ask = "from huggingface_hub import hf_hub_download; print(hf_hub_download('org/tiny-story', 'config.json', revision='{}'))"
    told = hf_client(site.url, ask.format(commits[0]))
    assert told.returncode and "410" in told.stderr and "files have been freed" in told.stderr, told.stderr
    assert "RevisionNotFound" in hf_client(site.url, ask.format("0" * 40)).stderr
    site.ctl("sync", f"org/tiny-story@{commits[0]}")
    assert hf_client(site.url, ask.format(commits[0])).returncode == 0


def test_what_was_rejected_gives_its_room_back(site, hub, models):
    hub.add_model("org/twin", {p.name: p.read_bytes() for p in (models / "tiny-story").iterdir()} | {"notes.png": PNG + os.urandom(MB)})
    for name in "org/tiny-story", "org/twin":
        site.ctl("sync", name)
    site.ctl("reject", "org/twin", "--reason", "not for us")
    assert "rejected: 30d" in site.ctl("policy", "show").stdout
    assert site.json("gc")["revisions"] == []                   # not yet
    set_policy(site, LICENCES + "retention: {rejected: never}\n")
    assert site.json("gc")["revisions"] == []
    set_policy(site, LICENCES + "retention: {rejected: 1s}\n")
    time.sleep(2.1)
    said = site.ctl("gc", "--dry-run").stdout
    assert "would let go org/twin@" in said and ": rejected long ago" in said and "would free 1 file, 1.00 MB" in said
    assert site.json("gc")["bytes"] > MB
    shown = site.json("show", "org/twin")
    assert shown["state"] == "rejected" and "not for us" in shown["reason"] and shown["reason"].endswith("a sync of this commit fetches them again")
    assert site.json("gc")["revisions"] == [] and site.json("verify", "org/tiny-story")["missing"] == 0
    assert "notes.png is not in the store" in site.ctl("publish", "org/twin", code=1).stderr


def test_a_rejected_one_that_is_published_needs_its_files_again(site, hub, models):
    """They were still here, kept for another model; which goes after that."""
    hub.add_model("org/twin", models / "tiny-story")
    for name in "org/tiny-story", "org/twin":
        site.ctl("sync", name)
    set_policy(site, LICENCES + "retention: {rejected: 1s}\n")
    site.ctl("reject", "org/twin")
    time.sleep(2.1)
    assert len(site.json("gc")["revisions"]) == 1
    site.ctl("publish", "org/twin")
    site.ctl("reject", "org/tiny-story")
    time.sleep(2.1)
    freed = site.json("gc")
    assert len(freed["revisions"]) == 1 and freed["blobs"] == 0
    assert site.json("verify", "org/twin")["missing"] == 0


@pytest.mark.parametrize("wrong, words", [
    ("{rejected: soon}", "retention.rejected"), ("{quota: []}", "did you mean 'quotas'"), ("{keep_last: 0}", "from 1 on"), ("{quotas: [{author: org}]}", "needs an author and a max"),
    ("{quotas: [{max: 5GB}]}", "needs an author and a max"), ("{quotas: [{author: org, max: lots}]}", "retention.quotas.max"), ("{quotas: {org: 5GB}}", "must be a list"),
    ('{quotas: [{author: "*", max: 1GB}, {author: "org/*", max: 5GB}]}', "entry 2 fits no author"),
])
def test_wrong_rules_are_named(site, wrong, words):
    site.policy.write_text(LICENCES + f"retention: {wrong}\n")
    assert words in site.ctl("policy", "reload", code=2).stderr
