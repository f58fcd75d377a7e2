"""Announced ends that cross the gap: whose word is the later one, whatever clocks, spellings and older entries make of it."""
import itertools
import shutil
import time

import pytest

from tests.hub import Hub
from tests.system.bundle_case import NOWHERE, RELAXED, replace_entry
from tests.system.registry import Registry
from tests.system.sync_case import CARD, Noise, wait_for

RULE = RELAXED + 'lifecycle: {notice: 1d, ends: [{repo: org/odd, at: "2099-05-31", reason: too old here}]}\n'
ACTIVE = {"state": "active", "deprecated_at": None, "sunset_at": None, "successor": None, "reason": None}


class Sites:
    """A site with a network and org/odd, and others without one."""

    def __init__(self, where, hub):
        self.where, self.hub, self.made, self.n = where, hub, [], itertools.count()
        hub.add_model("org/odd", {"README.md": CARD, "config.json": "{}", "model.safetensors": Noise(1000)})
        self.first = self.new(hub.url)
        self.first.ctl("sync", "org/odd")

    def new(self, upstream=NOWHERE):
        reg = Registry(self.where / f"site{next(self.n)}", upstream=upstream, policy=RELAXED)
        self.made.append(reg)
        reg.start()
        return reg

    def bundle(self, reg, *names):
        medium = self.where / f"medium{next(self.n)}"
        reg.ctl("bundle", "create", "-o", medium, *(names or ("--all",)))
        return medium

    def cross(self, source, to, *names):
        return to.ctl("bundle", "import", self.bundle(source, *names)).stdout


@pytest.fixture
def sites(tmp_path):
    with Hub(root=tmp_path / "hub") as hub:
        s = Sites(tmp_path, hub)
        yield s
        for reg in s.made:
            reg.stop()


def state(reg, name="org/odd"):
    return reg.json("show", name)["lifecycle"]["state"]


def told(reg):
    return [e["kind"].removeprefix("lifecycle.") for e in reg.json("events") if e["kind"].startswith("lifecycle.")]


def test_a_site_whose_clock_is_ahead(sites):
    """Its words are compared with each other: none is new because time has passed here."""
    first, second, third = sites.first, sites.new(), sites.new()
    first.ctl("deprecate", "org/odd", "--sunset", "2099-06-30", "--reason", "worn out")
    sent, at = sites.bundle(first), time.time() + 86400

    def later(seconds, **said):
        medium, stamp = sites.where / f"later{seconds}", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at + seconds))
        shutil.copytree(sent, medium)
        if "state" not in said:
            said["deprecated_at"] = stamp
        replace_entry(medium, "org/odd", lambda entry, manifest: entry["lifecycle"].update({"said_at": stamp} | said))
        return medium

    one, two, three = later(0), later(20), later(40, **ACTIVE)
    for reg in second, second, third:
        time.sleep(1.1)         # what was cut to the time of now would be another word now
        reg.ctl("bundle", "import", one)
    assert told(second) == ["deprecated"]
    second.ctl("undeprecate", "org/odd")
    assert "stays as people here have said" in second.ctl("bundle", "import", one).stdout and state(second) == "active"
    sites.cross(second, third)
    assert state(third) == "active", "what people said there came later than what they had been told"
    second.ctl("bundle", "import", two)
    assert state(second) == "deprecated", "made anew"
    second.ctl("bundle", "import", three)
    second.ctl("bundle", "import", two)
    assert state(second) == "active" and told(second) == ["deprecated", "undeprecated"] * 2


def test_a_name_that_the_sites_spell_differently(sites):
    first, second = sites.first, sites.new()
    sites.cross(first, second)
    sites.hub.rename("org/odd", "org/Odd")
    other = sites.new(sites.hub.url)
    other.ctl("sync", "org/Odd")
    other.ctl("deprecate", "org/Odd", "--sunset", "2099-06-30", "--reason", "worn out")
    sites.cross(other, second)
    time.sleep(1.1)
    other.ctl("deprecate", "org/Odd", "--sunset", "2099-07-31")
    assert "people" not in sites.cross(other, second)
    assert second.json("show", "org/odd")["lifecycle"]["sunset_at"][:10] == "2099-07-31"
    second.ctl("undeprecate", "org/odd")
    assert "stays as people here have said" in sites.cross(other, second) and state(second) == "active"


def old(medium):
    """As an older registryd made it: one end for both."""
    def change(entry, manifest):
        life = entry["lifecycle"]
        of_revision = life.pop("of_revision")
        life.pop("said_at")
        life.update(of_revision | {"said_at": None})
    replace_entry(medium, "org/odd", change)
    return medium


def test_the_end_that_an_older_entry_gave_to_the_model(sites):
    """It goes when an entry of that revision tells the two apart, and does not come again."""
    first, second, third = sites.first, sites.new(), sites.new()
    rev = f"org/odd@{first.json('show', 'org/odd')['revision']}"
    first.ctl("deprecate", rev, "--sunset", "2099-06-30", "--reason", "broken")
    before, now = old(sites.bundle(first)), sites.bundle(first)
    second.ctl("bundle", "import", before)
    sites.hub.commit("org/odd", {"config.json": '{"fixed": 1}'})
    first.ctl("sync", "org/odd")
    sites.cross(first, second)
    third.ctl("bundle", "import", before)
    assert state(second) == state(third) == "deprecated"
    third.ctl("deprecate", "org/odd", "--reason", "people here say so too")
    for reg in second, third:
        reg.ctl("bundle", "import", now)
        reg.ctl("bundle", "import", before)
        assert state(reg, rev) == "deprecated"
    assert (state(second), state(third)) == ("active", "deprecated")
    assert told(second) == ["deprecated", "undeprecated", "deprecated"]
    time.sleep(1.1)
    first.ctl("undeprecate", rev)
    sites.cross(first, second, rev)
    second.ctl("bundle", "import", before)
    assert state(second) == state(second, rev) == "active"
    fourth = sites.new()
    fourth.ctl("bundle", "import", before)
    sites.cross(first, fourth, "org/odd", rev)
    fourth.ctl("bundle", "import", before)
    assert state(fourth) == state(fourth, rev) == "active" and told(fourth) == ["deprecated", "undeprecated"]


def test_a_word_that_comes_with_a_rule_of_a_site_on_the_way(sites):
    """It is the same word still: what comes by both ways in turn changes nothing."""
    first, second, third = sites.first, sites.new(), sites.new()
    rev = f"org/odd@{first.json('show', 'org/odd')['revision']}"
    sites.cross(first, second)
    (second.where / "policy.yaml").write_text(RULE)
    second.ctl("policy", "reload")
    wait_for(lambda: second.json("show", "org/odd")["lifecycle"]["sunset_at"])
    time.sleep(1.1)
    first.ctl("deprecate", rev, "--sunset", "2099-06-30", "--reason", "worn out")
    sites.cross(first, second)
    for source in second, first, second, first:
        sites.cross(source, third)
    assert told(third) == ["deprecated"]
    time.sleep(1.1)
    first.ctl("undeprecate", rev)
    sites.cross(first, second)
    for source in first, second, first, second:
        sites.cross(source, third)
    assert second.json("show", "org/odd")["lifecycle"]["sunset_at"] and state(third) == "active" and told(third) == ["deprecated", "undeprecated"]
