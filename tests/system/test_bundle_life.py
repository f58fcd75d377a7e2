"""Ends of models and of their revisions, as bundles bring them to another site."""
import json
import shutil
import time

from tests.system.bundle_case import MODELS, RELAXED, fresh, inside, replace_entry  # noqa: F401 (fresh is a fixture)
from tests.system.sync_case import wait_for


def test_a_successor_that_comes_later(fresh, tmp_path):
    """org/odd comes before org/story in the bundle; and the other way round nothing is missing."""
    fresh.ctl("deprecate", "org/odd", "--successor", "org/story", "--reason", "worn out")
    fresh.ctl("bundle", "create", "-o", tmp_path / "both", "--all")
    fresh.ctl("bundle", "create", "-o", tmp_path / "odd", "org/odd")
    with inside(tmp_path) as reg:
        reg.ctl("bundle", "import", tmp_path / "both")
        assert reg.json("show", "org/odd")["lifecycle"]["successor"] == "org/story"
    with inside(tmp_path, "alone") as reg:
        for _ in range(2):
            reg.ctl("bundle", "import", tmp_path / "odd")
            assert reg.json("show", "org/odd")["lifecycle"]["successor"] is None
        assert [e["kind"] for e in reg.json("events")].count("lifecycle.deprecated") == 1
        reg.ctl("bundle", "import", tmp_path / "both")
        assert reg.json("show", "org/odd")["lifecycle"]["successor"] == "org/story"


def test_an_end_that_comes_too_soon_for_the_notice_of_the_second_site(fresh, tmp_path):
    """A date that has passed on the way is the same: no site's people lose their notice, or the warning altogether."""
    day = 86400

    def date(days):
        return time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * day))

    soon = date(5)
    fresh.ctl("deprecate", "org/odd", "--sunset", soon, "--successor", "org/story", "--reason", "worn out", "--force")
    fresh.ctl("deprecate", "org/story", "--sunset", date(100), "--reason", "old")
    fresh.ctl("bundle", "create", "-o", tmp_path / "odd", "org/odd")
    fresh.ctl("bundle", "create", "-o", tmp_path / "both", "--all")
    passed = tmp_path / "passed"
    shutil.copytree(tmp_path / "odd", passed)
    replace_entry(passed, "org/odd", lambda entry, manifest: entry["lifecycle"].update(sunset_at="2020-01-01T00:00:00Z"))
    policy = RELAXED + "lifecycle: {notice: 90d}\n"
    with inside(tmp_path, policy=policy) as reg:
        says = f"org/odd ends here on {{}}: {soon}, the other site's date, is sooner than the notice here allows"
        assert reg.ctl("bundle", "import", tmp_path / "odd").stdout.splitlines()[-1] in {says.format(date(90)), says.format(date(91))}
        first = reg.json("show", "org/odd")["lifecycle"]
        assert date(90) <= first["sunset_at"][:10] <= date(91) and first["reason"] == f"worn out; the other site's date, {soon}, is sooner than the notice here allows"
        marked = [e for e in reg.json("events") if e["kind"] == "lifecycle.deprecated"]
        assert [e["data"]["reason"] for e in marked] == [first["reason"]]
        again = reg.json("bundle", "import", tmp_path / "both")
        assert not any("lifecycle" in m for m in again["models"])
        assert reg.json("show", "org/odd")["lifecycle"] == first | {"successor": "org/story"}
        assert reg.json("show", "org/story")["lifecycle"]["reason"] == "old"
    with inside(tmp_path, "passed-on-the-way", policy=policy) as reg:
        model, = reg.json("bundle", "import", passed)["models"]
        assert "2020-01-01, the other site's date" in model["lifecycle"]
        assert date(90) <= reg.json("show", "org/odd")["lifecycle"]["sunset_at"][:10] <= date(91)


def test_one_end_that_comes_by_two_ways(fresh, tmp_path):
    """From its site, and from one that has moved its date: whatever comes again says nothing new."""
    fresh.ctl("deprecate", "org/odd", "--sunset", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 5 * 86400)), "--reason", "worn out", "--force")
    fresh.ctl("bundle", "create", "-o", tmp_path / "a", "org/odd")

    def ends(reg):
        return [e["data"] for e in reg.json("events") if e["kind"].startswith("lifecycle.")]

    with inside(tmp_path, policy=RELAXED + "lifecycle: {notice: 90d}\n") as second, inside(tmp_path, "third", RELAXED + "lifecycle: {notice: 180d}\n") as third:
        second.ctl("bundle", "import", tmp_path / "a")
        second.ctl("bundle", "create", "-o", tmp_path / "b", "org/odd")
        third.ctl("bundle", "import", tmp_path / "b")
        life = third.json("show", "org/odd")["lifecycle"]
        assert life["reason"].count("the other site's date") == 1
        for bundle in "a", "b":
            third.ctl("bundle", "import", tmp_path / bundle)
            assert third.json("show", "org/odd")["lifecycle"] == life and len(ends(third)) == 1
        second.ctl("bundle", "import", tmp_path / "b")
        assert len(ends(second)) == 1
        time.sleep(1.1)
        fresh.ctl("undeprecate", "org/odd")
        fresh.ctl("bundle", "create", "-o", tmp_path / "a2", "org/odd")
        second.ctl("bundle", "import", tmp_path / "a2")
        second.ctl("bundle", "create", "-o", tmp_path / "b2", "org/odd")
        third.ctl("bundle", "import", tmp_path / "b2")
        assert third.json("show", "org/odd")["lifecycle"]["state"] == "active"


def test_the_end_of_a_revision_is_not_its_models(fresh, hub, tmp_path):
    """Whoever has marked it; each of the two marks follows its own."""
    old = f"org/odd@{fresh.json('show', 'org/odd')['revision']}"
    mediums = iter(range(9))

    def cross(reg, *names):
        medium = tmp_path / str(next(mediums))
        fresh.ctl("bundle", "create", "-o", medium, *names)
        return reg.ctl("bundle", "import", medium).stdout

    def reasons(reg):
        return [reg.json("show", name)["lifecycle"]["reason"] for name in (old, "org/odd")]

    fresh.ctl("deprecate", old, "--sunset", "2099-06-30", "--reason", "broken")
    with inside(tmp_path) as reg:
        cross(reg, "org/odd")
        assert reasons(reg) == ["broken", "broken"]
        hub.commit("org/odd", {"config.json": '{"fixed": 1}'})
        fresh.ctl("sync", "org/odd")
        cross(reg, "org/odd")
        assert reasons(reg) == ["broken", None] == reasons(fresh)
        time.sleep(1.1)
        fresh.ctl("deprecate", "org/odd", "--sunset", "2099-07-31", "--reason", "worn out")
        cross(reg, "org/odd", old)
        assert reasons(reg) == ["broken; worn out", "worn out"] == reasons(fresh)
        marks = [(e["revision"] or "", e["data"]["reason"]) for e in reg.json("events") if e["kind"] == "lifecycle.deprecated"]
        assert marks == [(old[8:], "broken"), ("", "worn out")]
        reg.ctl("deprecate", old, "--sunset", "2099-08-31")
        assert f"in revision {old[8:20]} stays as people here have said" in cross(reg, old)
        reg.ctl("undeprecate", old)
        fresh.ctl("undeprecate", old)
        cross(reg, old)
        assert reasons(reg) == ["worn out", "worn out"] == reasons(fresh)
        fresh.ctl("undeprecate", "org/odd")
        fresh.ctl("deprecate", old, "--sunset", "2099-06-30", "--reason", "broken still")
        cross(reg, old)
        assert reg.json("show", f"org/odd@{hub.repos['org/odd'].head.sha}")["lifecycle"]["state"] == "active"


def test_what_a_rule_says_of_a_revision_crosses_as_that(fresh, hub, tmp_path):
    (fresh.where / "policy.yaml").write_text(RELAXED + 'lifecycle: {notice: 1d, ends: [{repo: org/odd, at: "2099-06-30", reason: too old}]}\n')
    fresh.ctl("policy", "reload")
    old = fresh.json("show", "org/odd")["revision"]
    wait_for(lambda: fresh.json("show", "org/odd")["lifecycle"]["sunset_at"])
    fresh.ctl("bundle", "create", "-o", tmp_path / "marked", "org/odd")
    shutil.copytree(tmp_path / "marked", tmp_path / "older")
    replace_entry(tmp_path / "older", "org/odd", lambda entry, manifest: entry["lifecycle"].update(entry["lifecycle"].pop("of_revision")))
    with inside(tmp_path, "told-by-an-older-site") as reg:
        reg.ctl("bundle", "import", tmp_path / "older")
        assert [(e["revision"] or "", e["data"]["reason"]) for e in reg.json("events") if e["kind"] == "lifecycle.deprecated"] == [("", "too old")]
    with inside(tmp_path) as reg:
        reg.ctl("bundle", "import", tmp_path / "marked")
        assert [e["revision"] for e in reg.json("events") if e["kind"] == "lifecycle.deprecated"] == [old]
        assert reg.json("show", "org/odd")["lifecycle"]["reason"] == "too old"
        time.sleep(1.1)
        fresh.ctl("undeprecate", "org/odd")
        fresh.ctl("bundle", "create", "-o", tmp_path / "back", "org/odd")
        reg.ctl("bundle", "import", tmp_path / "back")
        assert reg.json("show", "org/odd")["lifecycle"]["state"] == "active"


def test_an_end_follows_what_the_other_site_says_later(fresh, hub, tmp_path):
    """Until somebody here says otherwise; and an older bundle takes no later word back."""
    hub.add_model("org/next", MODELS / "tiny-story")
    fresh.ctl("sync", "org/next")
    fresh.ctl("bundle", "create", "-o", tmp_path / "active", "--all")
    fresh.ctl("deprecate", "org/odd", "--sunset", "2099-06-30", "--successor", "org/story", "--reason", "worn out")
    fresh.ctl("bundle", "create", "-o", tmp_path / "first", "org/odd")
    at = time.time()

    def later(name, seconds, **said):
        shutil.copytree(tmp_path / "first", tmp_path / name)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at - 600 + seconds))
        replace_entry(tmp_path / name, "org/odd", lambda entry, manifest: entry["lifecycle"].update({"said_at": stamp} | said))

    entry, = (tmp_path / "first" / "entries").iterdir()
    life = json.loads(entry.read_text())["lifecycle"]
    assert life["said_at"] == life["deprecated_at"]
    later("one", 1)
    later("two", 2, sunset_at="2099-05-31T00:00:00Z", successor="org/next")
    later("three", 3, state="active", deprecated_at=None, sunset_at=None, successor=None, reason=None)
    later("four", 4, sunset_at=None, successor=None, reason=None)
    later("five", 5, sunset_at="2099-08-31T00:00:00Z")
    with inside(tmp_path) as reg:
        def bring(name):
            model, = [m for m in reg.json("bundle", "import", tmp_path / name)["models"] if m["repo"] == "org/odd"]
            life = reg.json("show", "org/odd")["lifecycle"]
            return life["state"], (life["sunset_at"] or "")[:10], life["successor"], life["reason"], model.get("lifecycle")

        bring("active")
        bring("one")
        reg.ctl("retire", "org/story")
        assert bring("one") == ("deprecated", "2099-06-30", None, "worn out", None)
        reg.ctl("restore", "org/story")
        assert bring("active")[:3] == ("deprecated", "2099-06-30", "org/story"), "that was made before anything was said"
        assert bring("two") == ("deprecated", "2099-05-31", "org/next", "worn out", None)
        state, sunset, successor, _, said = bring("one")
        assert (state, sunset, successor) == ("deprecated", "2099-05-31", "org/next") and "this bundle is older" in said
        assert bring("three") == ("active", "", None, None, None)
        assert bring("two")[0] == "active"
        assert bring("four") == ("deprecated", "", None, None, None)
        assert bring("five")[:3] == ("deprecated", "2099-08-31", "org/story")
        assert [e["data"]["by"] for e in reg.json("events") if e["kind"].startswith("lifecycle.") and e["repo"] == "org/odd"] == ["bundle"] * 5

        reg.ctl("deprecate", "org/odd", "--successor", "org/next")
        reg.ctl("retire", "org/next")
        people = "stays as people here have said; the other site says that it is deprecated until 2099-08-31, with the successor org/story"
        assert bring("five") == ("deprecated", "2099-08-31", None, "worn out", people)
        reg.ctl("restore", "org/next")
        later("six", 6, state="active", deprecated_at=None, sunset_at=None, successor=None, reason=None)
        state, sunset, successor, _, said = bring("six")
        assert (state, sunset, successor) == ("deprecated", "2099-08-31", "org/next") and said.endswith("it is not deprecated any more")


def test_past_its_sunset_it_is_what_the_doors_make_of_it(fresh, tmp_path):
    """With `after_sunset: warn` it is deprecated and can be carried on; gone, it can't, and publishing it is refused with the way back."""
    def put(text):
        (fresh.where / "policy.yaml").write_text(RELAXED + text)
        fresh.ctl("policy", "reload", "--yes")

    def mark():
        listed, = [m for m in fresh.json("ls") if m["repo"] == "org/odd"]
        shown = fresh.json("show", "org/odd")
        row, = [m for m in fresh.json("lifecycle") if m["repo"] == "org/odd"]
        told = {listed["lifecycle"]["state"], shown["lifecycle"]["state"], row["state"]}    # the date may pass between two of them
        return told.pop() if len(told) == 1 else told, "ended 20" in fresh.ctl("ls").stdout

    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    fresh.post("/-/v1/models/org/odd/-/deprecate", {"sunset": soon, "force": True, "reason": "urgent"})
    wait_for(lambda: mark() == ("retired", True))
    said = fresh.ctl("publish", "org/odd", "--reason", "needed", code=5).stderr
    assert "is retired, so no door would serve it: `registryctl undeprecate` takes that back first" in said
    fresh.ctl("bundle", "create", "-o", tmp_path / "gone", "org/odd", code=5)
    put("lifecycle: {after_sunset: warn}\n")
    assert mark() == ("deprecated", False)
    fresh.ctl("publish", "org/odd", "--reason", "needed")
    fresh.ctl("bundle", "create", "-o", tmp_path / "both", "--all")
    assert {m["repo"] for m in json.loads((tmp_path / "both/bundle.json").read_text())["models"]} == {"org/odd", "org/story"}
    put("")
    fresh.ctl("undeprecate", "org/odd")
    fresh.ctl("publish", "org/odd", "--reason", "needed")
