"""Staying in step with upstream: few requests, only what changed, and every change of upstream seen and none followed blindly."""
import pickle
import json
import sqlite3
import time

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import BIG, CARD, NAME, POLICY, Noise, assert_served, files, get, mirror_round, settings, settled, wait_for


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as it:
        yield it


def kinds(reg, name=NAME):
    return [e["kind"] for e in reg.json("events") if e["repo"] == name]


def test_nothing_changed_costs_one_request(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.clear_log()
    reg.ctl("sync", NAME)
    assert 1 <= len(hub.requests()) <= 2


def test_what_was_held_costs_no_more(reg, hub):
    """Its listing is proven by git's objects, and here: only a changed commit would be another."""
    hub.add_model(NAME, files(**{"README.md": "# no licence\n", "more.txt": "more\n"}))
    reg.ctl("sync", NAME, "--exclude", "more.txt", code=5)
    hub.clear_log()
    reg.ctl("sync", NAME, "--exclude", "more.txt", code=5)
    assert len(hub.requests()) == 1 and reg.json("show", NAME)["proof"] == "commit"
    hub.clear_log()
    reg.ctl("sync", NAME, code=5)           # wants another file of the same commit
    assert not hub.requests(route="tree") and {r.file for r in hub.requests(route="resolve")} == {"more.txt"}
    reg.ctl("publish", NAME, "--reason", "asked")
    assert_served(reg, hub)


def test_only_what_changed_is_fetched(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.commit(NAME, {"config.json": '{"a": 1}'})
    hub.clear_log()
    reg.ctl("sync", NAME)
    assert not hub.requests(listener="cdn")
    assert {r.file for r in hub.requests(route="resolve")} == {"config.json"}
    assert_served(reg, hub)


def test_a_file_that_has_moved_is_not_fetched_again(reg, hub):
    text = json.dumps({"vocab": list(range(3000))})
    hub.add_model(NAME, files(**{"tokenizer.json": text}))
    reg.ctl("sync", NAME)
    hub.commit(NAME, {"sub/tokenizer.json": text, "config.json": '{"a": 1}'})
    hub.clear_log()
    reg.ctl("sync", NAME)
    assert {r.file for r in hub.requests(route="resolve")} == {"config.json"}
    assert_served(reg, hub)


def test_what_another_model_brought_is_not_fetched_again(reg, hub):
    hub.add_model(NAME, files())
    hub.add_model("other/copy", files(**{"copy.safetensors": Noise(BIG), "config.json": "{ }"}))
    reg.ctl("sync", NAME)
    hub.clear_log()
    reg.ctl("sync", "other/copy")
    assert not hub.requests(listener="cdn")
    assert {r.file for r in hub.requests(route="resolve")} == {"config.json"}       # whose hash nobody tells beforehand, and the other's has its
    assert_served(reg, hub, "other/copy")


def test_the_files_of_a_base_model_are_not_fetched_again(reg, hub):
    same = {"tokenizer.json": json.dumps({"vocab": list(range(3000))}), "merges.txt": "a b\n"}
    hub.add_model(NAME, files(**same))
    reg.ctl("sync", NAME)
    hub.add_model("other/tuned", {"README.md": CARD.replace("license: mit", f"license: mit\nbase_model: {NAME}"), "model.safetensors": Noise(BIG, 9), "config.json": "{ }", **same})
    hub.clear_log()
    reg.ctl("sync", "other/tuned")
    assert {r.file for r in hub.requests(route="resolve")} == {"README.md", "config.json", "model.safetensors"}
    assert_served(reg, hub, "other/tuned")


def test_a_partial_mirror_lists_what_it_holds(reg, hub):
    hub.add_model(NAME, files(**{"onnx/model.safetensors": Noise(1 << 20, 5)}))
    reg.ctl("sync", NAME, "--include", "*.safetensors", "--include", "*.md", "--exclude", "onnx/*")
    held = {f["path"] for f in reg.json("show", NAME)["files"]}
    assert held == {"README.md", "data.safetensors", "small.safetensors"}
    assert get(f"{reg.url}/{NAME}/resolve/main/config.json")[0] == 404
    hub.clear_log()
    reg.ctl("sync", NAME, "--include", "*.safetensors", "--include", "*.md", "--exclude", "onnx/*")
    assert len(hub.requests()) <= 2
    reg.ctl("sync", NAME)                   # and then the rest
    assert_served(reg, hub)


def test_branches_tags_and_commits(reg, hub):
    first = hub.add_model(NAME, files(), branches=["dev"], tags=["v1"])
    hub.commit(NAME, {"config.json": '{"a": 2}'})
    reg.ctl("sync", f"{NAME}@v1")
    assert reg.json("show", f"{NAME}@v1")["revision"] == first
    reg.ctl("sync", f"{NAME}@dev")
    reg.ctl("sync", NAME)
    assert reg.json("show", NAME)["refs"] == ["main"]
    reg.ctl("sync", f"{NAME}@{first}")
    assert set(reg.json("show", f"{NAME}@{first}")["refs"]) == {"dev", "v1"}
    assert get(f"{reg.url}/{NAME}/resolve/main/config.json")[1] == b'{"a": 2}'
    assert get(f"{reg.url}/{NAME}/resolve/v1/config.json")[1] == b"{}"


# --- drift: upstream changes, what we serve does not ---------------------------------------------------------------------------


def test_renamed_upstream(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.rename(NAME, "org/new-name")
    reg.ctl("sync", NAME)
    assert "upstream.renamed" in kinds(reg)
    for name in (NAME, "org/new-name"):         # both names lead to it, and the one it was mirrored by stays
        assert reg.json("show", name)["repo"] == NAME
        assert get(f"{reg.url}/{name}/resolve/main/config.json") == (200, b"{}")


def test_gone_upstream_is_seen_and_served(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.delete(NAME)
    reg.ctl("sync", NAME, code=4)
    assert any("gone" in k or "vanished" in k for k in kinds(reg))
    assert get(f"{reg.url}/{NAME}/resolve/main/config.json") == (200, b"{}")


def test_gated_and_disabled_later(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.update(NAME, gated="manual")
    reg.ctl("sync", NAME, code=None)
    assert kinds(reg)[-1] == "upstream.gated"
    hub.update(NAME, gated=False)
    reg.ctl("sync", NAME)
    assert kinds(reg)[-1] == "upstream.ungated"
    hub.update(NAME, disabled=True)
    for _ in range(2):
        assert "has disabled" in reg.ctl("sync", NAME, code=5).stderr
    assert kinds(reg).count("upstream.disabled") == 1 and "upstream.vanished" not in kinds(reg)
    assert reg.json("show", NAME)["hints"]["disabled"] is True
    assert get(f"{reg.url}/{NAME}/resolve/main/config.json") == (200, b"{}")
    hub.update(NAME, disabled=False)
    reg.ctl("sync", NAME)
    assert kinds(reg).count("upstream.disabled") == 1 and kinds(reg)[-1] == "upstream.enabled" and reg.json("show", NAME)["hints"]["disabled"] is False


def test_another_registry_says_no(tmp_path, reg, hub):
    """Upstream may be one of us, with rules of its own: they are told from a gate, and what is gone from there is seen."""
    for name in "org/kept", "org/withdrawn", "org/retired", "org/refused", "org/old":
        hub.add_model(name, files())
    hub.commit("org/refused", {"README.md": CARD.replace("mit", "gpl-3.0")})
    (reg.where / "policy.yaml").write_text(POLICY.replace("licenses: {", "licenses: {deny: [gpl-3.0], ") + "lifecycle: {deprecated: pinned_only}\n")
    reg.ctl("policy", "reload")
    for name in "org/kept", "org/withdrawn", "org/retired", "org/refused", "org/old":
        reg.ctl("sync", name, code=None)
    with Registry(tmp_path / "second", policy=POLICY, settings=settings(reg)) as second:
        for name in "org/kept", "org/withdrawn", "org/retired", "org/old":
            second.ctl("sync", name)
        assert "refused by this registry's policy" in second.ctl("sync", "org/refused", code=5).stderr
        reg.ctl("withdraw", "org/withdrawn", "--reason", "it leaks"), reg.ctl("retire", "org/retired"), reg.ctl("deprecate", "org/old")
        assert "has been withdrawn: it leaks" in second.ctl("sync", "org/withdrawn", code=None).stderr
        assert "no longer given to new users" in second.ctl("sync", "org/old", code=5).stderr
        second.ctl("sync", "org/retired", code=None)
        second.ctl("sync", "org/kept@" + "0" * 40, code=4)
        assert [(e["kind"], e["repo"]) for e in second.json("events") if e["kind"].startswith("upstream.")] == [("upstream.vanished", "org/withdrawn"), ("upstream.vanished", "org/retired")]
        assert get(f"{second.url}/org/withdrawn/resolve/main/config.json") == (200, b"{}")


def test_another_registry_that_gets_the_rest_later(tmp_path, reg, hub):
    """The same commit, more files."""
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME, "--include", "*.md")
    with Registry(tmp_path / "second", policy=POLICY, settings=settings(reg)) as second:
        second.ctl("sync", NAME)
        assert {f["path"] for f in second.json("show", NAME)["files"]} == {"README.md"}
        reg.ctl("sync", NAME), second.ctl("sync", NAME)
        assert_served(second, hub)


def test_an_upstream_that_took_it_off_for_legal_reasons(reg, hub):
    hub.add_model(NAME, files())
    hub.faults.add(route="info", status=451, code="GatedRepo", message="court order")
    assert "no longer serves" in (said := reg.ctl("sync", NAME, code=None).stderr) and "court order" in said and "accept its terms" not in said


def test_rewritten_history(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    old = hub.repos[NAME].head.sha
    hub.commit(NAME, {"config.json": '{"a": 3}'})
    rule = hub.faults.add(path=f"/api/models/{NAME}/revision/{old}", status=404, code="RevisionNotFound")
    reg.ctl("sync", NAME)
    assert hub.faults.acted(rule) and "upstream.rewritten" in kinds(reg)


def test_history_that_no_longer_holds_what_was_mirrored(reg, hub):
    """Upstream still has the old commit, but the branch begins anew; a commit more is no such thing."""
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.commit(NAME, {"config.json": '{"a": 3}'})
    reg.ctl("sync", NAME)
    assert kinds(reg).count("upstream.moved") == 1 and "upstream.rewritten" not in kinds(reg)
    hub.commit(NAME, files(), orphan=True)
    reg.ctl("sync", NAME)
    assert kinds(reg).count("upstream.rewritten") == 1


def test_a_branch_and_a_commit_that_vanish(reg, hub):
    first = hub.add_model(NAME, files(), branches=["dev"])
    second = hub.commit(NAME, {"config.json": '{"a": 2}'}, branch="dev")
    reg.ctl("sync", NAME), reg.ctl("sync", f"{NAME}@dev"), reg.ctl("sync", f"{NAME}@{second}")
    repo = hub.repos[NAME]
    repo.unpoint("refs/heads/dev")
    del repo.commits[second]
    for _ in range(2):
        reg.ctl("sync", f"{NAME}@dev", code=4), reg.ctl("sync", f"{NAME}@{second}", code=4)
    assert [k for k in kinds(reg) if k.startswith("upstream.")] == ["upstream.ref_gone", "upstream.commit_gone"]
    repo.point("refs/heads/master", "main"), repo.unpoint("refs/heads/main")    # the model is there as before
    for rev in "@typo", "", "@dev":
        reg.ctl("sync", NAME + rev, code=4)
    assert [k for k in kinds(reg) if k.startswith("upstream.")] == ["upstream.ref_gone", "upstream.commit_gone", "upstream.ref_gone"]
    assert get(f"{reg.url}/{NAME}/resolve/dev/config.json") == (200, b'{"a": 2}')
    assert reg.json("show", f"{NAME}@{first}")["state"] == "published"


def test_other_ways_to_name_a_commit(reg, hub):
    first = hub.add_model(NAME, files())
    for ref in "HEAD", first[:10], first.upper():
        reg.ctl("sync", f"{NAME}@{ref}")
    reg.ctl("sync", NAME)
    assert reg.json("show", NAME)["refs"] == ["main"]
    assert get(f"{reg.url}/{NAME}/resolve/main/config.json")[0] == 200


def test_entries_for_several_revisions_of_one_model(reg, hub):
    first = hub.add_model(NAME, files(), branches=["dev"], tags=["v1"])
    hub.commit(NAME, {"config.json": '{"a": 2}'}, branch="dev")
    reg.ctl("mirror", "add", f"{NAME}@v1", f"{NAME}@dev", NAME)
    assert sorted(m["name"] for m in reg.json("mirror", "list")) == [NAME, f"{NAME}@dev", f"{NAME}@v1"]
    wait_for(lambda: get(f"{reg.url}/{NAME}/resolve/dev/config.json") == (200, b'{"a": 2}') and get(f"{reg.url}/{NAME}/resolve/v1/config.json")[0] == 200)
    reg.ctl("mirror", "remove", f"{NAME}@v1")
    reg.ctl("mirror", "add", "gpt2")
    assert "of the kind repo" in reg.ctl("mirror", "add", "--author", "gpt2", code=1).stderr
    assert reg.json("show", f"{NAME}@v1")["revision"] == first


def test_an_entry_says_what_its_newest_round_came_to(reg, hub):
    """LAST and LAST ERROR are about the same round, whose syncs end after it."""
    def rounds(*said):
        for entry in reg.json("mirror", "list"):
            assert entry["last_at"] and all(entry["last_error"] and text in entry["last_error"] for text in said) and (said or not entry["last_error"]), entry

    hub.add_model(NAME, files(), date=days_ago(9))
    bad = hub.faults.add(route="tree", malformed=True)
    reg.ctl("mirror", "add", NAME)
    reg.ctl("mirror", "add", "--author", NAME.split("/")[0])
    mirror_round(reg)
    for _ in range(2):
        rounds("1 model could not be brought in and will be tried again", NAME)
        mirror_round(reg)
    hub.faults.remove(bad)
    slow = hub.faults.add(route="tree", delay=3)
    reg.ctl("mirror", "run")
    wait_for(lambda: "is being tried again" in (last_error(reg) or ""))
    hub.faults.remove(slow)
    settled(reg, NAME)
    rounds()
    mirror_round(reg)
    rounds()
    hub.faults.add(route="listing", malformed=True), hub.faults.add(route="info", malformed=True)
    mirror_round(reg)
    assert all(entry["last_error"] for entry in reg.json("mirror", "list"))


def test_an_entry_for_a_model_that_is_not_there_says_so_at_once(reg, hub):
    reg.ctl("mirror", "add", "o/none")
    mirror_round(reg)
    assert "o/none" in last_error(reg)


def test_licence_changed(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.commit(NAME, {"README.md": CARD.replace("mit", "cc-by-nc-4.0")})
    reg.ctl("sync", NAME, code=5)
    reg.ctl("sync", NAME, code=5)
    assert kinds(reg).count("upstream.card_changed") == 1
    assert kinds(reg).count("upstream.license_changed") == 1       # said once, however often the held revision is looked at
    assert get(f"{reg.url}/{NAME}/resolve/main/README.md")[1] == CARD.encode()       # still the one that was allowed


def test_masked_hashes_are_explained(reg, hub):
    hub.add_model(NAME, files())
    hub.faults.add(route="tree", listing={"patch": {"data.safetensors": {"lfs_oid": "*" * 64}}})
    said = reg.ctl("sync", NAME, code=None)
    assert said.returncode and "asterisks" in said.stderr and "token_file" in said.stderr


# --- entries -------------------------------------------------------------------------------------------------------------------


def published(reg):
    return {m["repo"] for m in reg.json("ls") if m["state"] == "published"}


def test_mirror_of_an_author(reg, hub):
    for i in range(3):
        hub.add_model(f"team/m{i}", files(**{"config.json": f'{{"i": {i}}}'}))
    hub.add_model("else/x", files())
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    wait_for(lambda: published(reg) == {f"team/m{i}" for i in range(3)})
    hub.commit("team/m1", {"config.json": '{"new": 1}'})
    hub.clear_log()
    reg.ctl("mirror", "run")
    wait_for(lambda: get(f"{reg.url}/team/m1/resolve/main/config.json")[1] == b'{"new": 1}')
    assert {r.repo for r in hub.requests(route="resolve")} == {"team/m1"}


def small(n):
    return {"README.md": CARD, "config.json": f'{{"n": {n}}}', "small.safetensors": Noise(4000, 1)}


def days_ago(n):
    return int(time.time()) - n * 86400


def last_error(reg):
    return reg.json("mirror", "list")[0]["last_error"]


def test_a_model_that_failed_is_tried_again(reg, hub):
    """However old it is: what changed since the last round does not show it any more."""
    hub.add_model("team/bad", small(0), date=days_ago(90))
    hub.add_model("team/gated", small(1), date=days_ago(60), gated="manual")
    hub.add_model("team/new", small(2))
    bad = hub.faults.add(repo="team/bad", route="tree", malformed=True)
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    wait_for(lambda: published(reg) == {"team/new"})
    settled(reg, "team/bad"), settled(reg, "team/gated")
    mirror_round(reg)
    assert last_error(reg).startswith("2 models could not be brought in") and "team/gated" in last_error(reg)
    hub.faults.remove(bad)
    hub.repos["team/gated"].gated = False
    mirror_round(reg)
    assert published(reg) == {"team/bad", "team/gated", "team/new"} and last_error(reg) is None
    hub.clear_log()
    mirror_round(reg)
    assert last_error(reg) is None and len(hub.requests()) == 1


def test_a_listing_that_is_none_is_an_error(reg, hub):
    """A round that saw nothing must not look like one in which nothing was new."""
    hub.add_model("team/new", small(0))
    sick = hub.faults.add(route="listing", malformed='{"error": "maintenance until noon"}')
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    said = wait_for(lambda: last_error(reg))
    assert "not an array: maintenance until noon" in said and hub.url in said
    hub.faults.remove(sick)
    reg.ctl("mirror", "run")
    wait_for(lambda: published(reg) == {"team/new"})
    wait_for(lambda: last_error(reg) is None)


def test_a_model_that_fails_does_not_use_up_the_limit(tmp_path, hub):
    for n in range(3):
        hub.add_model(f"team/m{n}", small(n), date=days_ago(n))
    hub.faults.add(repo="team/m0", route="tree", malformed=True)
    entry = "mirror:\n  - {author: team, limit: 1, every: 6h}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        settled(reg, "team/m0")
        mirror_round(reg)
        mirror_round(reg)
        assert published(reg) == {"team/m1", "team/m2"}


def test_an_author_entry_sees_drift(reg, hub):
    for n in range(5):
        hub.add_model(f"team/m{n}", small(n), date=days_ago(n + 2))
    reg.ctl("mirror", "add", "--author", "team", "--every", "6h")
    wait_for(lambda: published(reg) == {f"team/m{n}" for n in range(5)})
    hub.update("team/m0", gated="auto")
    hub.update("team/m1", disabled=True)
    hub.delete("team/m2")
    hub.rename("team/m3", "team/other")
    for _ in range(2):      # each is said once
        mirror_round(reg)
        seen = [(e["kind"], e["repo"]) for e in reg.json("events") if e["kind"].startswith("upstream.")]
        assert sorted(seen) == [("upstream.disabled", "team/m1"), ("upstream.gated", "team/m0"), ("upstream.renamed", "team/other"), ("upstream.vanished", "team/m2")]
    assert published(reg) >= {f"team/m{n}" for n in range(5)}     # what is served did not change by itself
    assert get(f"{reg.url}/team/m2/resolve/main/config.json") == (200, b'{"n": 2}')


def test_a_query_entry_sees_what_vanishes(tmp_path, hub):
    for n in range(3):
        hub.add_model(f"team/m{n}", small(n), date=days_ago(n + 2), likes=1)
    hub.add_model("team/other", small(9), date=days_ago(2))
    entry = "mirror:\n  - {query: m, every: 6h}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        wait_for(lambda: published(reg) >= {f"team/m{n}" for n in range(3)})
        hub.delete("team/m1")
        mirror_round(reg)
        mirror_round(reg)
        assert [(e["kind"], e["repo"]) for e in reg.json("events") if e["kind"].startswith("upstream.")] == [("upstream.vanished", "team/m1")]
        assert get(f"{reg.url}/team/m1/resolve/main/config.json")[0] == 200


@pytest.mark.parametrize("rev,told", [("main", 1), ("dev", 0)])    # a listing speaks of `main`
def test_an_entry_for_licences_sees_another_licence(tmp_path, hub, rev, told):
    hub.add_model("team/m", small(0), date=days_ago(2), branches=["dev"])
    entry = f"mirror:\n  - {{author: team, license: [mit], revision: {rev}, every: 6h}}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        wait_for(lambda: published(reg) == {"team/m"})
        reg.ctl("sync", "team/m")
        before = reg.json("show", "team/m")["revision"]
        hub.commit("team/m", {"README.md": CARD.replace("mit", "cc-by-nc-4.0")})
        mirror_round(reg), mirror_round(reg)
        assert kinds(reg, "team/m").count("upstream.license_changed") == told and kinds(reg, "team/m").count("upstream.moved") == told
        assert reg.json("show", "team/m")["revision"] == before


def test_an_edited_author_entry_is_followed_for_what_is_here(tmp_path, hub):
    """Older models that the names now take, and files that the globs now take of models that are here."""
    for n in range(3):
        hub.add_model(f"team/m{n}", small(n), date=days_ago(10 * n + 2))
    entry = "mirror:\n  - {{author: team, names: [{0}], include: [{1}], every: 6h}}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry.format("team/m0", "'*.md'"))) as reg:
        wait_for(lambda: published(reg) == {"team/m0"})
        reg.stop()
        reg.config.write_text(reg.config.read_text().replace("names: [team/m0], include: ['*.md']", "names: ['Team/M*'], include: ['*.md', '*.json']"))
        reg.start()
        wait_for(lambda: published(reg) == {"team/m0", "team/m1", "team/m2"})
        wait_for(lambda: {f["path"] for f in reg.json("show", "team/m0")["files"]} >= {"README.md", "config.json"})


def a_week_passes(reg):
    """For what is remembered of models and jobs."""
    reg.stop()
    with sqlite3.connect(reg.data / "catalog.sqlite") as db:
        db.execute("UPDATE revision SET state_at = state_at - 700000, planned_at = planned_at - 700000")
        db.execute("UPDATE job SET finished_at = finished_at - 700000 WHERE finished_at > 0")
    db.close()
    reg.start()


def edit(reg, old, new):
    """The settings, as a person edits them."""
    reg.stop()
    assert old in (text := reg.config.read_text())
    reg.config.write_text(text.replace(old, new))
    reg.start()


def states(reg):
    return {m["repo"]: m["state"] for m in reg.json("ls")}


def paths(reg, name):
    return {f["path"] for f in reg.json("show", name)["files"]}


ENTRIES = {"author": "{author: team, every: 6h%s}", "repo": "{repo: team/m, every: 6h%s}"}


def following(tmp_path, hub, entry, more=""):
    return Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, f"mirror:\n  - {entry % more}\n"))


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("less, license", [("metadata: only", "mit"), ("include: ['*.md']", "cc-by-nc-4.0")])
def test_what_was_held_is_done_again_when_more_is_selected(tmp_path, hub, entry, less, license):
    hub.add_model("team/m", {**small(0), "README.md": CARD.replace("mit", license)}, date=days_ago(30))
    with following(tmp_path, hub, entry, f", {less}") as reg:
        wait_for(lambda: states(reg) == {"team/m": "held"})
        settled(reg, "team/m")
        edit(reg, f", {less}", "")
        wait_for(lambda: paths(reg, "team/m") == {".gitattributes", *small(0)})
        wait_for(lambda: states(reg) == {"team/m": "published" if license == "mit" else "held"})


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_what_was_held_for_a_base_model_is_done_again_when_that_answers(tmp_path, hub, entry):
    hub.add_model("team/m", {**small(0), "README.md": CARD.replace("license: mit", "license: mit\nbase_model: other/base")}, date=days_ago(30))
    hub.add_model("other/base", small(1))
    away = hub.faults.add(repo="other/base", route="info", status=503)
    with following(tmp_path, hub, entry) as reg:
        settled(reg, "team/m")
        mirror_round(reg)
        assert states(reg) == {"team/m": "held"}
        hub.faults.remove(away)
        mirror_round(reg)
        assert published(reg) == {"team/m"}
        hub.clear_log()
        mirror_round(reg)
        assert len(hub.requests()) == 1


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_what_was_rejected_is_tried_again_after_a_week(tmp_path, hub, entry):
    hub.add_model("team/m", files(), date=days_ago(30))
    bad = hub.faults.add(listener="cdn", file="data.safetensors", corrupt=100)
    with following(tmp_path, hub, entry) as reg:
        wait_for(lambda: states(reg) == {"team/m": "rejected"})
        hub.faults.remove(bad)
        hub.clear_log()
        mirror_round(reg)
        assert states(reg) == {"team/m": "rejected"} and len(hub.requests()) == 1
        a_week_passes(reg)
        mirror_round(reg)
        assert published(reg) == {"team/m"}


def test_two_entries_that_select_otherwise_leave_each_other_alone(tmp_path, hub):
    """What is held is not done over by them in turns."""
    hub.add_model("team/m", {**small(0), "README.md": CARD.replace("mit", "cc-by-nc-4.0")}, date=days_ago(30))
    entries = "mirror:\n  - {author: team, include: ['*.md', '*.json'], every: 6h}\n  - {query: m, include: ['*.md', '*.safetensors'], every: 6h}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entries)) as reg:
        settled(reg, "team/m")
        for _ in range(2):
            mirror_round(reg)
        hub.clear_log()
        for _ in range(2):
            mirror_round(reg)
        assert {r.route for r in hub.requests()} == {"listing"} and states(reg) == {"team/m": "held"}


class Evil:
    def __reduce__(self):
        return print, ("it runs",)


REFUSED = {"corrupt": ("data.safetensors", {"corrupt": 100}), "pickle": ("evil.bin", {"delay": 0.01})}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("why", REFUSED)
def test_a_file_that_is_refused_beside_what_is_served_is_left_alone_for_a_week(tmp_path, hub, entry, why):
    file, fault = REFUSED[why]
    hub.add_model("team/m", files(**({"evil.bin": pickle.dumps(Evil())} if why == "pickle" else {})), date=days_ago(30))
    with following(tmp_path, hub, entry, f", exclude: [{file}]") as reg:
        wait_for(lambda: published(reg) == {"team/m"})
        bad = hub.faults.add(listener="cdn", file=file, **fault)
        edit(reg, f", exclude: [{file}]", "")
        wait_for(lambda: "revision.files_refused" in kinds(reg, "team/m"))
        mirror_round(reg)
        for _ in range(2):
            hub.clear_log()
            mirror_round(reg)
            assert len(hub.requests()) == 1
            assert "team/m" in last_error(reg) and "refused" in last_error(reg) and file in last_error(reg)
        assert kinds(reg, "team/m").count("revision.files_refused") == 1
        hub.faults.remove(bad)
        a_week_passes(reg)
        mirror_round(reg)
        mirror_round(reg)
        if why == "corrupt":
            assert_served(reg, hub, "team/m")
            assert last_error(reg) is None
        else:
            assert kinds(reg, "team/m").count("revision.files_refused") == 2 and published(reg) == {"team/m"}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_metadata_of_what_is_served_is_served(tmp_path, hub, entry):
    hub.add_model("team/m", small(0), date=days_ago(30))
    with following(tmp_path, hub, entry, ", include: ['*.safetensors', '*.md']") as reg:
        wait_for(lambda: published(reg) == {"team/m"})
        edit(reg, ", include: ['*.safetensors', '*.md']", ", metadata: only")
        wait_for(lambda: get(f"{reg.url}/team/m/resolve/main/config.json") == (200, b'{"n": 0}'))
        settled(reg, "team/m")
        hub.clear_log()
        mirror_round(reg)
        assert len(hub.requests()) == 1 and last_error(reg) is None and paths(reg, "team/m") == {"README.md", "config.json", "small.safetensors"}


def test_an_author_entry_at_another_registry_gets_the_rest_later(tmp_path, reg, hub):
    hub.add_model("team/m", files(), date=days_ago(30))
    reg.ctl("sync", "team/m", "--include", "*.md")
    with Registry(tmp_path / "second", policy=POLICY, settings=settings(reg, "mirror:\n  - {author: team, every: 6h}\n")) as second:
        wait_for(lambda: published(second) == {"team/m"})
        assert paths(second, "team/m") == {"README.md"}
        reg.ctl("sync", "team/m")
        mirror_round(second)
        assert_served(second, hub, "team/m")


def test_mirror_entries_of_the_settings(tmp_path, hub):
    hub.add_model(NAME, files())
    entry = f"mirror:\n  - {{repo: {NAME}, include: ['*.md', '*.json'], every: 6h}}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        wait_for(lambda: published(reg) == {NAME})
        assert {f["path"] for f in reg.json("show", NAME)["files"]} == {"README.md", "config.json"}
        assert "is in the configuration file: remove it there" in reg.ctl("mirror", "remove", NAME, code=1).stderr


def test_entries_of_the_settings_for_several_revisions(tmp_path, hub):
    first = hub.add_model(NAME, small(0), tags=["v1"])
    second = hub.commit(NAME, {"config.json": '{"a": 2}'})
    entries = f"mirror:\n  - {{repo: {NAME}}}\n  - {{repo: {NAME.upper()}, revision: v1}}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entries)) as reg:
        wait_for(lambda: published(reg) == {NAME} and len(reg.json("show", NAME)["refs"]) and get(f"{reg.url}/{NAME}/resolve/v1/config.json")[0] == 200)
        assert [reg.json("show", f"{NAME}@{ref}")["revision"] for ref in ("main", "v1")] == [second, first]
        assert {m["name"] for m in reg.json("mirror", "list")} == {NAME, f"{NAME.upper()}@v1"}
        assert "not an author's name" in reg.ctl("mirror", "add", "--author", "org/x", code=2).stderr


def test_metadata_only(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("mirror", "add", NAME, "--metadata-only")
    row = wait_for(lambda: next((m for m in reg.json("ls") if m["repo"] == NAME and m["license"]["id"] == "mit"), None))
    assert row["state"] != "published" and get(f"{reg.url}/api/models/{NAME}")[0] == 404
    assert not hub.requests(listener="cdn")
    reg.ctl("smoke", NAME, code=None)       # nor does a test, or a person, bring half of it to the doors
    assert "sync it whole" in reg.ctl("publish", NAME, code=1).stderr
    assert reg.json("show", NAME)["state"] == "held" and get(f"{reg.url}/api/models/{NAME}")[0] == 404


def test_metadata_of_a_gated_model(tmp_path, hub):
    """Its card and licence are for everybody, and enough to be found by."""
    hub.add_model("org/gated", files(**{"tokenizer.json": Noise(4000, 7)}), gated="manual")
    entry = "mirror:\n  - {author: org, metadata: only, every: 6h}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        wait_for(lambda: any(m["license"]["id"] == "mit" for m in reg.json("ls")))
        assert reg.json("show", "org/gated")["state"] == "held" and last_error(reg) is None
        hub.commit("org/gated", {"README.md": CARD.replace("mit", "cc-by-nc-4.0")})
        mirror_round(reg)
        wait_for(lambda: "upstream.license_changed" in kinds(reg, "org/gated"))
        hub.clear_log()
        mirror_round(reg)
        assert len(hub.requests()) <= 2
