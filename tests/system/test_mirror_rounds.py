"""What the rounds of an author's entry remember from one to the next, and that it hides nothing."""
import json
import signal
import sqlite3
import time

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import CARD, POLICY, Noise, get, mirror_round, settings, settled, wait_for
from tests.system.test_sync_mirror import ENTRIES, following


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as it:
        yield it


def published(reg):
    return {m["repo"] for m in reg.json("ls") if m["state"] == "published"}


def small(n):
    return {"README.md": CARD, "config.json": f'{{"n": {n}}}', "small.safetensors": Noise(4000, 1)}


def days_ago(n):
    return int(time.time()) - n * 86400


def scheduled_round(reg, **memory):
    """A round that the clock makes, and all that follows from it; `memory`: what the entry is to remember of the rounds before."""
    wait_for(lambda: not any(j["state"] in ("queued", "running") for j in reg.json("jobs")))
    before = max(j["id"] for j in reg.json("jobs") if j["kind"] == "mirror")
    reg.stop()
    with sqlite3.connect(reg.data / "catalog.sqlite") as db:
        cursor = json.loads(db.execute("SELECT cursor FROM mirror").fetchone()[0])
        db.execute("UPDATE mirror SET next_at = 1, cursor = ?", [json.dumps({**cursor, **memory})])
    db.close()
    reg.start()
    wait_for(lambda: any(j["kind"] == "mirror" and j["id"] > before and j["state"] == "done" for j in reg.json("jobs")))
    wait_for(lambda: not any(j["state"] in ("queued", "running") for j in reg.json("jobs")))
    return cursor


def test_a_date_that_lies_ahead_hides_nothing(reg, hub):
    hub.add_model("team/ahead", small(0), date=int(time.time()) + 30 * 86400)
    hub.add_model("team/old", small(1), date=days_ago(9))
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    wait_for(lambda: published(reg) == {"team/ahead", "team/old"})
    scheduled_round(reg)
    for memory in {}, {"since": int(time.time()) + 30 * 86400}:      # as it was kept once, too
        name = f"team/m{len(memory)}"
        hub.add_model(name, small(2 + len(memory)), date=int(time.time()))
        assert scheduled_round(reg, **memory)["since"] <= time.time()
        assert name in published(reg)


def test_what_another_registry_publishes_late_comes_within_the_hour(tmp_path, hub):
    hub.add_model("team/new", small(0), date=days_ago(1))
    hub.add_model("team/late", {**small(1), "README.md": CARD.replace("mit", "gemma")}, date=days_ago(90))
    with Registry(tmp_path / "first", policy=POLICY, settings=settings(hub)) as first:
        first.ctl("sync", "team/new")
        first.ctl("sync", "team/late", code=5)
        upstream = f"upstreams:\n  - {{name: first, endpoint: {first.url}}}\n"
        with Registry(tmp_path / "second", policy=POLICY.replace("[mit]", "[mit, gemma]"), settings=upstream) as second:
            second.ctl("mirror", "add", "--author", "team", "--every", "6h")
            wait_for(lambda: published(second) == {"team/new"})
            first.ctl("publish", "team/late", "--reason", "asked")
            scheduled_round(second)
            assert published(second) == {"team/new"}
            scheduled_round(second, full_at=int(time.time()) - 3600)
            assert published(second) == {"team/new", "team/late"}


def test_what_is_not_listed_any_more_is_asked_for_in_turn(reg, hub):
    """What has another name by now goes on being served, and must not take the turns of the others; what is here by that name too is not asked for."""
    names = [f"team/m{n:02}" for n in range(26)]
    for n, name in enumerate(names):
        hub.add_model(name, small(n), date=days_ago(2))
    hub.add_model("team/x", small(90), date=days_ago(2))
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    wait_for(lambda: len(published(reg)) == 27)
    for name in names[:24]:
        hub.rename(name, name.replace("team", "moved"))
    for name in names[24:]:
        hub.delete(name)
    hub.rename("team/x", "team/y")
    mirror_round(reg)
    mirror_round(reg)
    assert {e["repo"] for e in reg.json("events") if e["kind"] == "upstream.vanished"} == set(names[24:])
    hub.clear_log()
    mirror_round(reg)
    asked = [r.repo for r in hub.requests(route="info") if r.repo.startswith("team/")]
    assert len(asked) == 20 and "team/x" not in asked


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_what_is_off_as_a_whole_is_left_alone_until_it_is_back(tmp_path, hub, entry):
    hub.add_model("team/m", small(0), date=days_ago(9))
    with following(tmp_path, hub, entry) as reg:
        settled(reg, "team/m")
        first = reg.json("show", "team/m")["revision"]
        reg.ctl("withdraw", "team/m", "--reason", "leaked")
        hub.commit("team/m", {"config.json": '{"n": 1}'}, date=days_ago(1))
        hub.clear_log()
        mirror_round(reg)
        assert {r.route for r in hub.requests()} <= {"listing", "info", "commits"} and reg.json("show", "team/m")["revision"] == first
        reg.ctl("restore", "team/m")
        mirror_round(reg)
        assert reg.json("show", "team/m")["revision"] == hub.repos["team/m"].resolve("main").sha and published(reg) == {"team/m"}


@pytest.mark.parametrize("first", ["published", "held"])
def test_a_commit_that_upstream_took_back_does_not_get_its_branch(reg, hub, first):
    """It was held while upstream had it, and somebody lets it pass when upstream is long back at the former one."""
    refused = CARD.replace("mit", "gpl-3.0")
    former = hub.add_model("team/m", {**small(1), "README.md": refused if first == "held" else CARD})
    later = hub.commit("team/m", {**small(2), "README.md": refused})
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    for commit in former, later, former:
        hub.repos["team/m"].point("refs/heads/main", commit)
        mirror_round(reg)
    assert reg.json("show", "team/m@main")["revision"] == former
    if first == "held":
        reg.ctl("publish", f"team/m@{former}", "--reason", "asked them")
    reg.ctl("publish", f"team/m@{later}", "--reason", "asked them")
    assert get(f"{reg.url}/team/m/resolve/main/config.json") == (200, b'{"n": 1}')


def test_a_branch_that_a_sync_could_not_move_is_moved(reg, hub):
    """The commit is served by another name, so nothing is missing but the branch."""
    former = hub.add_model("team/m", small(1))
    later = hub.commit("team/m", small(2))
    repo = hub.repos["team/m"]
    repo.point("refs/tags/v1", later), repo.point("refs/heads/main", former)
    hub.faults.add(route="git", status=503)
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    mirror_round(reg)
    reg.ctl("sync", "team/m@v1")
    repo.point("refs/heads/main", later)
    rule = hub.faults.add(route="tree", status=503)
    assert reg.ctl("sync", "team/m", code=None).returncode and hub.faults.acted(rule)
    hub.faults.clear()
    mirror_round(reg)
    assert get(f"{reg.url}/team/m/resolve/main/config.json") == (200, b'{"n": 2}')


CHANGES = {"removed": None, "other names": "names: ['team/m3']", "other licence": "license: [mit]", "another author": None}


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_entry_asks_for_any_more_is_not_fetched(tmp_path, hub, change):
    """An entry that goes, or takes less, takes along what its rounds have queued, but not what a person has asked for meanwhile."""
    for n in range(6):
        card = CARD if n == 3 else CARD.replace("mit", "apache-2.0")
        hub.add_model(f"team/m{n}", {"README.md": card, "config.json": f'{{"n": {n}}}', "w.safetensors": Noise(1 << 20, n)}, date=days_ago(n + 2))
    slow = hub.faults.add(listener="cdn", throttle=800_000)
    first, later = "{name: it, author: team, every: 6h}", f"{{name: it, author: team, every: 6h, {CHANGES[change]}}}"
    if change == "another author":
        later = "{name: it, author: nobody, every: 6h}"
    extra = "sync: {jobs: 1}\n" + (f"mirror:\n  - {first}\n" if change != "removed" else "")
    with Registry(tmp_path / "registry", policy=POLICY.replace("[mit]", "[mit, apache-2.0]"), settings=settings(hub, extra)) as reg:
        if change == "removed":
            reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
        wait_for(lambda: sorted(j["state"] for j in reg.json("jobs") if j["kind"] == "sync") == ["queued"] * 5 + ["running"])
        running = next(j["repo"] for j in reg.json("jobs") if j["state"] == "running")
        reg.ctl("sync", "team/m5@main", "--upstream", "hub", "--no-wait")
        if change == "removed":
            reg.ctl("mirror", "remove", "team")
        else:
            reg.config.write_text(reg.config.read_text().replace(first, later))
            before = reg.json("mirror", "list")
            reg.process.send_signal(signal.SIGHUP)
            wait_for(lambda: reg.json("mirror", "list") != before)
        hub.faults.remove(slow)
        wait_for(lambda: not any(j["state"] in ("queued", "running") for j in reg.json("jobs")))
        kept = {running, "team/m5"} | ({"team/m3"} if CHANGES[change] else set())
        assert published(reg) == kept
        ended = {j["repo"]: j for j in reg.json("jobs") if j["state"] == "canceled"}
        assert set(ended) == {f"team/m{n}" for n in range(6)} - kept
        assert all("no mirror entry asks for it any more" in j["error"]["message"] for j in ended.values())
        if change == "removed":                         # asked for anew, it is as if nothing had been
            reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
            wait_for(lambda: len(published(reg)) == 6)
            assert reg.json("mirror", "list")[0]["last_error"] is None
