"""Mirror entries for other branches than `main`, and several of one model: what a round costs, and that rounds come to rest."""
import contextlib
import json
import sqlite3
import time

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import BIG, CARD, POLICY, Noise, cancel, get, mirror_round, settings, settled, wait_for
from tests.system.test_sync_mirror import ENTRIES, days_ago, edit, following, kinds, paths, published, small, states
from tests.system.test_sync_reload import closed, jobs, reload


def git_was_asked_a_day_ago(reg):
    reg.stop()
    with sqlite3.connect(reg.data / "catalog.sqlite") as db:
        for row, body in db.execute("SELECT rowid, body FROM document WHERE kind = 6 AND name = ''").fetchall():
            db.execute("UPDATE document SET body = ? WHERE rowid = ?", (json.dumps(json.loads(body) | {"at": int(time.time()) - 90000}).encode(), row))
    db.close()
    reg.start()


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("state", ["published", "held", "unproven", "absent", "retired"])
def test_an_entry_for_another_branch_asks_each_model_once(tmp_path, hub, entry, state):
    """The listing says nothing of it, so each model is asked; but for no more than that, also where git can't be asked."""
    hub.add_model("team/m", {**small(0), "README.md": CARD.replace("mit", "cc-by-nc-4.0") if state == "held" else CARD}, date=days_ago(30), branches=["dev"] * (state != "absent"))
    hub.commit("team/m", {"config.json": "{ }"}, date=days_ago(20))
    if state == "unproven":
        hub.faults.add(route="git", status=503)
    with following(tmp_path, hub, entry, ", revision: dev") as reg:
        settled(reg, "team/m")
        if state == "retired":
            reg.ctl("retire", "team/m")
        for _ in range(2):
            hub.clear_log()
            mirror_round(reg)
            asked = [r.route for r in hub.requests() if r.route != "listing"]
            assert asked == ["info"]
        if state == "retired":
            assert "job.failed" not in {e["kind"] for e in reg.json("events")} and "restore it" in reg.ctl("sync", "team/m@dev", code=5).stderr
        if state == "unproven":
            git_was_asked_a_day_ago(reg)
            hub.clear_log()
            mirror_round(reg)
            assert "git" in {r.route for r in hub.requests()}


def test_an_entry_for_another_branch_gives_all_models_their_turn(tmp_path, hub):
    for n in range(5):
        hub.add_model(f"team/m{n}", small(n), date=days_ago(n + 2), branches=["dev"])
    for n in range(4):                                  # of m4 the two branches are one commit, for now
        hub.commit(f"team/m{n}", {"config.json": "{ }"}, date=days_ago(n + 1))
    entry = "mirror:\n  - {author: team, revision: dev, limit: 2, every: 6h}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        settled(reg, "team/m0")
        for _ in range(2):
            mirror_round(reg)
        assert published(reg) == {f"team/m{n}" for n in range(5)}
        for name in "team/m3", "team/m4":
            hub.commit(name, {"config.json": '{"later": 1}'}, branch="dev", date=days_ago(6))
        for _ in range(3):
            mirror_round(reg)
        for name in "team/m3", "team/m4":
            assert get(f"{reg.url}/{name}/resolve/dev/config.json") == (200, b'{"later": 1}')


def test_two_entries_of_one_repo_that_select_otherwise_leave_each_other_alone(tmp_path, hub):
    """Each has its turn at what is held, and then it rests, until an entry is edited."""
    hub.add_model("team/m", {**small(0), "README.md": CARD.replace("mit", "cc-by-nc-4.0")}, date=days_ago(30))
    first, second = "include: ['*.md', '*.json']", "include: ['*.md', '*.safetensors']"
    entries = "mirror:\n" + "".join(f"  - {{name: {name}, repo: team/m, {globs}, every: 6h}}\n" for name, globs in (("first", first), ("second", second)))
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entries)) as reg:
        settled(reg, "team/m")
        mirror_round(reg)
        before = kinds(reg, "team/m")
        hub.clear_log()
        for _ in range(2):
            mirror_round(reg)
        assert [r.route for r in hub.requests()] == ["info"] * 4 and kinds(reg, "team/m") == before and states(reg) == {"team/m": "held"}
        one_of_them = {"README.md", "config.json"}, {"README.md", "small.safetensors"}
        assert paths(reg, "team/m") in one_of_them
        edit(reg, first, "exclude: [x]")
        mirror_round(reg)
        assert paths(reg, "team/m") == {".gitattributes", *small(0)}
        edit(reg, "exclude: [x]", first)                # what no entry selects any more does not stay for a week
        mirror_round(reg)
        assert paths(reg, "team/m") in one_of_them


@pytest.mark.parametrize("whole", [True, False])
def test_an_entry_for_metadata_leaves_what_a_person_rejected(tmp_path, hub, whole):
    hub.add_model("team/m", {**small(0), "README.md": CARD.replace("mit", "gemma")}, date=days_ago(30))
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        if whole:
            reg.ctl("sync", "team/m", code=5)
            reg.ctl("reject", "team/m", "--reason", "ticket 42")
        reg.ctl("mirror", "add", "--author", "team", "--metadata-only", "--every", "6h")
        mirror_round(reg)
        if not whole:
            assert states(reg) == {"team/m": "held"}
            reg.ctl("reject", "team/m", "--reason", "ticket 42")
            reg.ctl("mirror", "remove", "team")
            state_was_decided_a_week_ago(reg)
            reg.ctl("mirror", "add", "--author", "team", "--metadata-only", "--every", "6h")
            mirror_round(reg)
        before = kinds(reg, "team/m")
        mirror_round(reg)
        shown = reg.json("show", "team/m")
        assert shown["state"] == "rejected" and "ticket 42" in shown["reason"] and kinds(reg, "team/m") == before and before[-1] != "revision.held"
        assert get(f"{reg.url}/api/models/team/m")[0] == 403
        assert {(j["result"] or {}).get("state") for j in settled(reg, "team/m") if j["args"].get("metadata_only")} <= {"rejected", "metadata"}


@pytest.mark.parametrize("who", ["person", "inspection"])
@pytest.mark.parametrize("how", ["cancel", "fail"])
def test_a_rejection_outlives_a_sync_that_came_to_nothing(tmp_path, hub, who, how):
    evil = {"pytorch_model.bin": b"cos\nsystem\n(S'true'\ntR."} if who == "inspection" else {}
    hub.add_model("team/m", {"README.md": CARD, "config.json": "{}", "data.safetensors": Noise(BIG), **evil}, date=days_ago(30))
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        def stand():
            shown = reg.json("show", "team/m")
            return shown["state"], shown["reason"], get(f"{reg.url}/api/models/team/m")[0]

        reg.ctl("sync", "team/m", "--exclude", "data.safetensors", code=5 if evil else 0)
        if who == "person":
            reg.ctl("reject", "team/m", "--reason", "ticket 42")
        before = stand()
        assert before[0] == "rejected"
        if how == "cancel":
            hub.faults.add(listener="cdn", file="data.safetensors", stall=[BIG // 2, 300])
            reg.ctl("sync", "team/m", "--no-wait")
            job = wait_for(lambda: [j["id"] for j in reg.json("jobs") if j["state"] == "running" and j["progress"]["bytes_done"] > BIG // 4])[0]
            cancel(reg, job)
            wait_for(lambda: reg.json("jobs")[0]["state"] == "canceled")
        else:
            hub.faults.add(listener="cdn", file="data.safetensors", status=403)
            assert reg.ctl("sync", "team/m", code=None).returncode not in (0, 5)
        hub.faults.clear()
        assert stand() == before
        reg.ctl("mirror", "add", "--author", "team", "--metadata-only", "--every", "6h")
        events = kinds(reg, "team/m")
        mirror_round(reg)
        assert stand() == before and kinds(reg, "team/m") == events


def test_a_rejection_is_about_what_was_selected(tmp_path, hub):
    """A sync of other files failed: the rejection stands, and is no reason not to try these again."""
    evil = b"cos\nsystem\n(S'true'\ntR."
    hub.add_model("team/m", {"README.md": CARD, "config.json": "{}", "data.safetensors": Noise(4000), "pytorch_model.bin": evil})
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        reg.ctl("sync", "team/m", "--include", "README.md", "--include", "*.bin", code=5)
        hub.faults.add(file="data.safetensors", status=404)
        reg.ctl("mirror", "add", "team/m", "--include", "*.md", "--include", "*.safetensors", "--every", "6h")
        wait_for(lambda: any(j["state"] == "failed" for j in reg.json("jobs") if j["kind"] == "sync"))
        assert states(reg)["team/m"] == "rejected"
        hub.faults.clear()
        mirror_round(reg)
        assert states(reg)["team/m"] == "published"


@pytest.fixture
def widened(tmp_path, hub):
    """Served without big.safetensors; a sync of all files has been canceled (while it ran or waited) or has failed."""
    hub.add_model("team/m", {"README.md": CARD, "config.json": "{}", "small.safetensors": Noise(4000, 1), "big.safetensors": Noise(BIG)})

    @contextlib.contextmanager
    def site(how):
        with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
            reg.ctl("sync", "team/m", "--exclude", "big*")
            if how == "fail":
                hub.faults.add(listener="cdn", file="big.safetensors", status=403)
                assert reg.ctl("sync", "team/m", code=None).returncode not in (0, 5)
            else:
                hub.faults.add(listener="cdn", file="big.safetensors", throttle=1 << 20)
                reg.ctl("sync", "team/m", "--no-wait")
                job = wait_for(lambda: [j["id"] for j in jobs(reg, "running") if j["progress"]["bytes_done"] > BIG // 4])[0]
                if how == "wait":
                    reload(reg, settings(hub, window=closed()))
                    wait_for(lambda: jobs(reg, "waiting"))
                cancel(reg, job)
                wait_for(lambda: job in {j["id"] for j in jobs(reg, "canceled")})
                reload(reg, settings(hub))
            hub.faults.clear()
            assert published(reg) == {"team/m"}
            yield reg
    return site


@pytest.mark.parametrize("how", ["cancel", "fail", "wait"])
def test_what_a_wider_sync_never_brought_is_no_part_of_what_comes_back(widened, how):
    with widened(how) as reg:
        def back():
            assert states(reg)["team/m"] == "published" and get(f"{reg.url}/team/m/resolve/main/config.json")[0] == 200

        reg.ctl("reject", "team/m", "--reason", "a look")
        reg.ctl("publish", "team/m", "--reason", "fine")
        back()
        reg.ctl("retire", "team/m")
        reg.ctl("restore", "team/m")
        back()


def test_nor_of_what_the_policy_lets_in_again(widened):
    with widened("cancel") as reg:
        for policy, state in ((POLICY.replace("mit", "isc"), "held"), (POLICY, "published")):
            (reg.where / "policy.yaml").write_text(policy)
            reg.ctl("policy", "reload", "--yes")
            wait_for(lambda state=state: states(reg)["team/m"] == state)
        reg.ctl("mirror", "add", "team/m", "--every", "6h")
        wait_for(lambda: "big.safetensors" in paths(reg, "team/m"))     # and it is fetched as soon as an entry asks for it


@pytest.mark.parametrize("ref", ["dev", "main"])
def test_an_entrys_licence_is_asked_of_what_its_listing_speaks_of(tmp_path, hub, ref):
    """And what is served is followed, for the gate to judge: also where it changes between the listing and its sync."""
    hub.add_model("team/m", small(0), branches=["dev"], date=days_ago(30))
    hub.add_model("team/n", {**small(1), "README.md": "# no licence yet\n"}, branches=["dev"], date=days_ago(30))
    hub.commit("team/n", {"README.md": CARD}, date=days_ago(20))
    entry = f"mirror:\n  - {{name: it, author: team, license: [mit], revision: {ref}, every: 6h}}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        mirror_round(reg)
        assert states(reg) == {"team/m": "published", "team/n": "held" if ref == "dev" else "published"}
        hub.commit("team/m", {"README.md": CARD.replace("mit", "cc-by-nc-4.0")}, branch=ref, date=days_ago(10))
        mirror_round(reg)
        seen = set(kinds(reg, "team/m"))
        assert "upstream.license_changed" in seen and (ref == "main" or {"upstream.moved", "upstream.card_changed", "revision.held"} <= seen)
        assert not [j for j in reg.json("jobs") if j["state"] == "canceled"]


def state_was_decided_a_week_ago(reg):
    """So that the clock's rounds look at it again."""
    reg.stop()
    with sqlite3.connect(reg.data / "catalog.sqlite") as db:
        db.execute("UPDATE revision SET state_at = state_at - 8 * 86400")
    db.close()
    reg.start()


def test_an_entry_for_metadata_leaves_what_the_inspection_rejected(tmp_path, hub):
    evil = b"cos\nsystem\n(S'true'\ntR."
    hub.add_model("team/m", {"README.md": CARD, "config.json": "{}", "pytorch_model.bin": evil}, date=days_ago(30))
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        reg.ctl("sync", "team/m", code=5)
        before = reg.json("show", "team/m")
        assert before["state"] == "rejected"
        reg.ctl("mirror", "add", "--author", "team", "--metadata-only", "--every", "6h")
        mirror_round(reg)
        after = reg.json("show", "team/m")
        assert all(after[key] == before[key] for key in ("state", "reason", "findings", "files"))
