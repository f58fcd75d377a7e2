"""What a model's end looks like from outside: at its doors, in listings and in the events, whoever has announced it."""
import http.client
import os
import sqlite3
import time
import urllib.error
import urllib.request

import pytest

from tests.system.registry import Registry
from tests.system.seeded import Seeded
from tests.system.sync_case import Noise
from tests.system.test_policy_change import settle

LICENCES = "licenses: {allow: [apache-2.0, mit], unknown: hold}\nrequire: {smoke: none}\n"
FILES = {"config.json": b"{}\n", "README.md": b"---\nlicense: mit\n---\n"}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def door(reg, path):
    try:
        answer = urllib.request.urlopen(urllib.request.Request(reg.url + path))
    except urllib.error.HTTPError as e:
        answer = e
    with answer:
        return answer.status, answer.headers


@pytest.fixture
def site(tmp_path, hub):
    with Registry(tmp_path / "r", upstream=hub.url, policy=LICENCES + "lifecycle: {notice: 30d, hints: deprecate}\n") as reg:
        reg.policy = reg.where / "policy.yaml"
        yield reg


def add(reg, hub, name, card="license: mit"):
    hub.add_model(name, {"config.json": b"{}\n", "README.md": f"---\n{card}\n---\n".encode()})
    reg.ctl("sync", name)


def run_rules(reg):
    """They run at the start, and then by the hour."""
    reg.stop()
    reg.start()
    end = time.monotonic() + 20
    while "lifecycle.rules" not in reg.said():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_hint_does_not_hide_what_a_person_says(site, hub):
    add(site, hub, "org/c")
    add(site, hub, "org/a", "license: mit\nnew_version: org/b")
    run_rules(site)
    assert site.json("show", "org/a")["lifecycle"]["reason"] == "its card names a newer version"
    assert site.ctl("deprecate", "org/a", "--sunset", "2099-06-30", "--successor", "org/c", "--reason", "mine").stdout == "org/a is deprecated until 2099-06-30\n"
    status, headers = door(site, "/org/a/resolve/main/config.json")
    assert status == 200 and headers["Sunset"] == "Tue, 30 Jun 2099 00:00:00 GMT" and "/org/c>" in headers["Link"]
    assert headers["X-HF-Warning"] == "deprecated; org/a is deprecated until 2099-06-30, use org/c"
    assert [m["repo"] for m in site.json("ls", "--sunset-before", "2099-07-01")] == ["org/a"]
    site.ctl("withdraw", "org/a", "--legal", "--reason", "court order 7")
    status, headers = door(site, "/org/a/resolve/main/config.json")
    assert status == 451 and headers["X-Error-Message"] == "org/a is not available for legal reasons: court order 7"
    assert site.ctl("restore", "org/a").stdout == "org/a is deprecated until 2099-06-30\n"
    assert site.ctl("undeprecate", "org/a").stdout == "org/a is active\n"         # the rule's mark with it
    site.ctl("deprecate", "org/a", "--successor", "", code=2)


def test_orders_that_lifecycle_refuses(site, hub):
    """5, as whatever policy and permission refuse; what could never be right is wrong usage."""
    for name in "org/a", "org/b":
        add(site, hub, name)
    soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2 * 86400))
    first = site.ctl("deprecate", "org/a", "--sunset", soon, code=5).stderr.split("the earliest sunset is ")[1][:10]
    site.ctl("deprecate", "org/a", "--sunset", first)
    site.ctl("deprecate", "org/a", "--sunset", "2020-01-01", code=2)
    assert "needs a reason" in site.ctl("deprecate", "org/a", "--sunset", soon, "--force", "--reason", " \t", code=2).stderr
    assert "needs a reason" in site.ctl("withdraw", "org/a", "--reason", "  ", code=2).stderr
    site.ctl("deprecate", "org/a", "--successor", "org/a", code=5)
    site.ctl("retire", "org/b")
    site.ctl("publish", "org/b", code=5)
    site.ctl("deprecate", "org/a", "--successor", "org/b", code=5)
    site.ctl("deprecate", "org/a", "--successor", "org/none", code=4)


def test_nobody_is_sent_to_what_is_off_the_doors(site, hub):
    for name in "org/a", "org/b":
        add(site, hub, name)
    site.ctl("deprecate", "org/a", "--successor", "org/b")
    assert "but org/a names it as the successor" in site.ctl("withdraw", "org/b", "--reason", "leaked").stdout
    status, headers = door(site, "/org/a/resolve/main/config.json")
    assert (status, headers["X-HF-Warning"], headers["Link"]) == (200, "deprecated; org/a is deprecated", None)
    assert "named_by" not in site.json("retire", "org/a")
    site.policy.write_text(LICENCES + "lifecycle: {ends: [{repo: org/a, at: 2099-01-01, successor: org/b}]}\n")
    assert "but lifecycle.ends: entry 1 names no successor for now: successor org/b is withdrawn itself" in site.ctl("policy", "reload").stdout
    assert "# lifecycle.ends: entry 1" in site.ctl("policy", "show").stdout
    site.ctl("restore", "org/b")
    assert site.json("policy", "show")["warnings"] == []


def test_what_the_policy_denies_does_not_come_back_by_restoring(site, hub):
    add(site, hub, "org/a")
    add(site, hub, "org/b", "license: apache-2.0")
    site.ctl("retire", "org/a")
    site.policy.write_text("licenses: {allow: [apache-2.0], deny: [mit]}\nrequire: {smoke: none}\n")
    site.ctl("policy", "reload")
    settle(site)
    revision = site.json("show", "org/a")["revision"]
    restored = site.json("restore", "org/a")
    assert restored["not_served"] == [{"revision": revision, "state": "rejected", "reason": "licence mit is denied (licenses.deny)"}]
    assert door(site, "/org/a/resolve/main/config.json")[0] == 403

    site.ctl("withdraw", "org/b", "--reason", "claim")
    site.policy.write_text("licenses: {allow: [mit], deny: [apache-2.0]}\nrequire: {smoke: none}\n")
    site.ctl("policy", "reload", "--yes")
    settle(site)
    assert f"but org/b@{site.json('show', 'org/b')['revision'][:12]} is rejected" in site.ctl("restore", "org/b").stdout


def test_a_withdrawal_counts_from_the_next_request_on(site, hub):
    """An answer that has begun ends whole; whoever asks for the rest of it anew is refused."""
    size = 16 << 20         # more than the sockets' buffers take
    hub.add_model("org/big", {"README.md": FILES["README.md"], "m.safetensors": Noise(size)})
    site.ctl("sync", "org/big")
    runs, resumes = (http.client.HTTPConnection("127.0.0.1", site.port, timeout=30) for _ in range(2))
    runs.request("GET", "/org/big/resolve/main/m.safetensors")
    answer = runs.getresponse()
    begun = answer.read(100_000)
    site.ctl("withdraw", "org/big", "--reason", "leaked", "--legal")
    resumes.request("GET", "/org/big/resolve/main/m.safetensors", headers={"Range": f"bytes={len(begun)}-"})
    refused = resumes.getresponse()
    assert refused.status == 451 and "leaked" in refused.headers["X-Error-Message"]
    assert begun + answer.read() == site.blob(answer.headers["X-Linked-Etag"].strip('"')).read_bytes()
    runs.close()
    resumes.close()


def test_a_withdrawn_revision_says_so_when_its_files_are_freed(site, hub):
    add(site, hub, "org/m")
    commits = []
    for _ in range(3):
        commits.append(hub.commit("org/m", {"notes.png": PNG + os.urandom(100_000)}))
        site.ctl("sync", "org/m")
    site.ctl("withdraw", f"org/m@{commits[0]}", "--reason", "leaked")
    site.ctl("gc", "--keep-last", "1")
    assert [site.json("show", f"org/m@{c}")["state"] for c in commits] == ["planned", "planned", "published"]
    status, headers = door(site, f"/org/m/resolve/{commits[0]}/config.json")
    assert status == 403 and headers["X-Error-Message"] == "org/m has been withdrawn: leaked"
    assert door(site, f"/org/m/resolve/{commits[1]}/config.json")[0] == 410
    site.ctl("withdraw", f"org/m@{commits[0]}", "--reason", "leaked", "--legal")
    assert door(site, f"/org/m/resolve/{commits[0]}/config.json")[0] == 451


def test_what_was_never_published_has_no_end_to_announce(site, hub):
    hub.add_model("org/held", {"config.json": b"{}\n", "README.md": b"---\nlicense: cc-by-nc-4.0\n---\n"})
    site.ctl("sync", "org/held", code=5)
    for name in "org/held", f"org/held@{site.json('show', 'org/held')['revision']}":
        assert "was never published" in site.ctl("deprecate", name, "--sunset", "2099-06-30", code=1).stderr
    assert site.json("show", "org/held")["lifecycle"]["deprecated_at"] is None
    site.ctl("withdraw", "org/held", "--reason", "claim")
    assert site.json("show", "org/held")["lifecycle"]["state"] == "withdrawn"
    site.ctl("publish", "org/held", code=None)
    assert door(site, "/org/held/resolve/main/config.json")[0] == 404


def test_lists_of_ends_name_what_people_can_look_at(site, hub):
    """A mark stays with a model that the policy has taken from the doors; it is listed again when it is back."""
    def listed():
        with urllib.request.urlopen(site.url + "/-/lifecycle") as page, urllib.request.urlopen(site.url + "/-/lifecycle.ics") as ics:
            return [m["repo"] for m in site.json("lifecycle")], b"org/a" in page.read(), b"org/a" in ics.read()

    add(site, hub, "org/a")
    site.ctl("deprecate", "org/a", "--sunset", "2099-06-30")
    assert listed() == (["org/a"], True, True)
    site.ctl("reject", "org/a", "--reason", "second thoughts")
    assert door(site, "/org/a")[0] == 403 and listed() == ([], False, False)
    site.ctl("publish", "org/a")
    assert listed() == (["org/a"], True, True)


def test_a_new_name_does_not_publish_what_is_withdrawn(site, hub):
    add(site, hub, "org/bad")
    site.ctl("withdraw", "org/bad", "--reason", "leaked")
    hub.rename("org/bad", "org/good")
    assert "the revision: it is withdrawn as org/bad: leaked (withdrawn)" in site.ctl("sync", "org/good", code=5).stderr
    assert site.json("show", "org/good")["state"] == "held"
    site.ctl("sync", "org/bad", code=None)                  # upstream answers with the new name: now they are known to be one
    hub.commit("org/good", {"notes.txt": b"another commit\n"})
    assert "it is withdrawn as org/bad" in site.ctl("sync", "org/good", code=5).stderr
    site.ctl("publish", "org/good", "--reason", "looked at")
    assert [door(site, f"/org/{n}/resolve/main/config.json")[0] for n in ("good", "bad")] == [200, 403]


def test_a_new_name_and_a_new_commit_do_not_publish_what_is_withdrawn(site, hub):
    """Nobody has asked for the former name since: upstream's own id of the repository tells."""
    add(site, hub, "org/bad")
    add(site, hub, "org/other", "license: apache-2.0")
    site.ctl("withdraw", "org/bad", "--reason", "leaked")
    hub.rename("org/bad", "org/good")
    hub.commit("org/good", {"notes.txt": b"another commit\n"})
    why = "it is withdrawn as org/bad, which upstream has renamed to this: leaked (withdrawn)"
    assert why in site.ctl("sync", "org/good", "--dry-run").stdout
    assert why in site.ctl("sync", "org/good", code=5).stderr
    assert site.json("show", "org/good")["state"] == "held" and why in site.ctl("why", "org/good").stdout
    hub.commit("org/other", {"notes.txt": b"another commit\n"})
    site.ctl("sync", "org/other")                           # not all that comes is suspected
    site.ctl("publish", "org/good", "--reason", "looked at")
    assert [door(site, f"/org/{n}/resolve/main/config.json")[0] for n in ("good", "bad")] == [200, 403]
    assert why not in site.ctl("sync", "org/good", "--dry-run").stdout


def test_a_new_name_does_not_publish_what_a_person_has_rejected(site, hub):
    for name in "org/no", "org/once":
        add(site, hub, name, f"license: mit\ntags: [{name}]")
        site.ctl("reject", name, "--reason", "trained on our mail")
    hub.commit("org/once", {"notes.txt": b"a better one\n"})
    site.ctl("sync", "org/once")                            # so it was that commit which was rejected, and not the model
    for name in "org/no", "org/once":
        hub.rename(name, name + "-2")
    assert "it was rejected by admin as org/no: trained on our mail (rejected)" in site.ctl("sync", "org/no-2", code=5).stderr
    for name in "org/no-2", "org/once-2":
        hub.commit(name, {"notes.txt": b"yet another\n"})
    why = "it was rejected by admin as org/no, which upstream has renamed to this: trained on our mail"
    assert why in site.ctl("sync", "org/no-2", code=5).stderr
    site.ctl("sync", "org/once-2")
    site.ctl("publish", "org/no-2")
    assert door(site, "/org/no-2/resolve/main/config.json")[0] == 200


def test_a_withdrawal_says_what_is_served_under_other_names(site, hub):
    """The same commit, a repository with a new name, the same weights; a person decides about each."""
    big = {"config.json": b"{}\n", "README.md": b"---\nlicense: mit\n---\n", "notes.png": PNG + os.urandom(2 << 20)}
    for name, files in ("org/bad", big), ("org/copy", big), ("org/tuned", big | {"more.txt": b"x"}), ("org/off", big | {"more.txt": b"y"}), ("org/other", FILES):
        hub.add_model(name, files)
        site.ctl("sync", name)
    site.ctl("retire", "org/off")
    hub.rename("org/bad", "org/good")
    hub.commit("org/good", {"notes.png": PNG + os.urandom(2 << 20)})
    site.ctl("sync", "org/good")
    said = site.ctl("withdraw", "org/bad", "--reason", "leaked").stderr + site.ctl("withdraw", "org/bad", "--reason", "leaked").stdout
    for name, why in ("copy", "it is the same commit"), ("good", "upstream has renamed the one to the other"), ("tuned", "it has the same large files, or some of them"):
        commit = site.json("show", f"org/{name}")["revision"]
        assert f"but org/{name}@{commit[:12]} goes on being served: {why}" in said
    assert "org/other" not in said and "org/off" not in said
    also = site.json("withdraw", "org/bad", "--reason", "leaked")["also_served"]
    assert [x["repo"] for x in also] == ["org/copy", "org/good", "org/tuned"]
    for name in "org/copy", "org/good", "org/tuned":
        site.ctl("withdraw", name, "--reason", "leaked")
    assert "also_served" not in site.json("withdraw", "org/bad", "--reason", "leaked")


def events(r, kind):
    token = (r.data / "admin.token").read_text().strip()
    answer = r.get("/-/v1/events", Authorization=f"Bearer {token}")
    assert answer.status == 200, answer.body
    return [e for e in answer.json()["events"] if e["kind"] == kind]


@pytest.mark.parametrize("after", ["gone", "warn"])
def test_a_sunset_that_passes_is_told_once(tmp_path, after):
    policy, config = tmp_path / "policy.yaml", tmp_path / "registryd.yaml"
    policy.write_text(f"lifecycle: {{after_sunset: {after}}}\n")
    config.write_text(f"policy: {policy}\n")
    with Seeded(tmp_path, "--config", config) as r:
        r.seed("org/next", FILES)
        r.seed("org/ended", FILES, deprecated_at="2020-01-01", sunset_at="2021-06-30", successor="org/next")
        r.seed("org/ending", FILES, deprecated_at="2020-01-01", sunset_at="2099-06-30")
        r.seed("org/off", FILES)
        with sqlite3.connect(r.data / "catalog.sqlite") as db:       # retired by hand, of a clock that was ahead
            db.execute("INSERT INTO lifecycle (model_id, revision_id, source, retired_at, who, at) SELECT id, 0, 'person', 4000000000, 'ada', 4000000000 FROM model WHERE name = 'org/off'")
        db.close()
        for _ in range(2):
            r.start()
            end = time.monotonic() + 20
            while not events(r, "lifecycle.ended"):
                assert time.monotonic() < end
                time.sleep(0.05)
            told, = events(r, "lifecycle.ended")
            assert told["repo"] == "org/ended" and told["data"]["sunset_at"] == "2021-06-30T00:00:00Z" and told["data"]["successor"] == "org/next"
            assert told["data"]["gone"] == (after == "gone")
            # What is served is listed, and nothing else is.
            served = after == "warn"
            assert r.get("/org/ended/resolve/main/config.json").status == (200 if served else 410)
            assert r.get("/org/off/resolve/main/config.json").status == 410
            assert ("org/ended" in [m["id"] for m in r.get("/api/models").json()]) == served
            assert (b"org/ended" in r.get("/").body) == served
            r.stop()
