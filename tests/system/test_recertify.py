"""What is published is tested again: one that no longer passes is deprecated with the reason, goes on being served, and recovers."""
import json
import shutil
import struct

import pytest

from tests.system import registry as programs
from tests.system.registry import BIN, Registry
from tests.system.sync_case import wait_for
from tests.system.test_cli_model import CARD, files_of
from tests.system.test_policy_change import settle

POLICY = "licenses: {allow: [apache-2.0, mit]}\n"
NO_TEST = "require: {smoke: none}\n"


@pytest.fixture
def site(tmp_path, hub, models, monkeypatch):
    """Its registryd-smoke is the real one until `broken` is there: then every model fails, as under a driver that computes wrongly."""
    where = tmp_path / "bin"
    where.mkdir()
    for name in "registryd", "registryctl":
        shutil.copy(BIN / name, where / name)
    broken, platform, wrong, slow = tmp_path / "broken", tmp_path / "platform", tmp_path / "wrong", tmp_path / "slow"
    (where / "registryd-smoke").write_text(f"""#!/bin/sh
other() {{ if [ -e {platform} ]; then sed "s/\\"platform\\": *{{[^}}]*}}/\\"platform\\":$(cat {platform})/"; else cat; fi; }}
case "$*" in *"--device cuda"*) echo "registryd-smoke: device cuda: there is none" >&2; exit 1 ;; esac
case "$*" in *--platform*) {BIN}/registryd-smoke "$@" | other; exit ;; esac
case "$*" in *--inspect*) exec {BIN}/registryd-smoke "$@" ;; esac
while [ -e {slow} ]; do sleep 0.05; done
[ -e {wrong} ] && {{ echo '{{"verdict":"error","device":"cpu","reasons":["the device has no memory left"]}}'; exit 1; }}
[ -e {broken} ] || {{ {BIN}/registryd-smoke "$@" | other; exit; }}
{BIN}/registryd-smoke "$@" | sed 's/"verdict": *"pass"/"verdict":"fail"/; s/"reasons": *\\[\\]/"reasons":["the logits are not finite"]/'
exit 6
""")
    (where / "registryd-smoke").chmod(0o755)
    monkeypatch.setattr(programs, "BIN", where)
    hub.add_model("org/tiny-story", models / "tiny-story")
    with Registry(tmp_path / "r", upstream=hub.url, policy=POLICY) as reg:
        reg.broken, reg.platform, reg.wrong, reg.slow = broken, platform, wrong, slow
        reg.ctl("sync", "org/tiny-story")
        yield reg


def test_a_model_that_no_longer_passes_is_deprecated_and_recovers(site, hf_client):
    site.broken.touch()
    site.ctl("smoke", "org/tiny-story", code=6)
    life = site.json("show", "org/tiny-story")["lifecycle"]
    assert life["state"] == "deprecated" and life["sunset_at"] is None
    assert life["reason"].startswith("tested again on cpu: smoke test failed: the logits are not finite")
    told = hf_client(site.url, "from huggingface_hub import hf_hub_download; hf_hub_download('org/tiny-story', 'config.json')")
    assert told.returncode == 0                                 # a person decides whether it goes
    event = site.json("events")[-1] if site.json("events")[-1]["kind"].startswith("lifecycle") else site.json("events")[-2]
    assert event["kind"] == "lifecycle.deprecated" and event["data"]["by"] == "smoke"
    assert "smoke.regressed" in site.said()

    site.broken.unlink()
    site.ctl("smoke", "--all")
    settle(site)
    assert site.json("show", "org/tiny-story")["lifecycle"]["state"] == "active"
    assert "smoke.recovered" in site.said()
    assert len([e for e in site.json("events") if e["kind"] == "revision.sbom"]) == 3        # each verdict is a fact of the bill of materials


def test_repaired_while_it_was_off_it_comes_back_without_the_mark(site):
    def life():
        shown = site.json("show", "org/tiny-story")
        return shown["state"], shown["lifecycle"]["state"]

    for off, on in ("retire", "restore"), ("reject", "publish"):
        site.broken.touch()
        site.ctl("smoke", "org/tiny-story", code=6)
        assert life() == ("published", "deprecated")
        site.ctl(off, "org/tiny-story", "--reason", "the driver")
        site.broken.unlink()
        site.ctl("smoke", "org/tiny-story")
        site.ctl(on, "org/tiny-story", "--reason", "repaired")
        assert life() == ("published", "active")


def test_another_policy_decides_by_what_it_adds(site):
    """It goes on being served though a test has failed: a policy that holds its licence holds it for that, and taken back it leaves what there was."""
    policy = site.where / "policy.yaml"

    def put(text):
        policy.write_text(text)
        said = site.json("policy", "test", policy)
        site.ctl("policy", "reload", "--yes")
        settle(site)
        shown = site.json("show", "org/tiny-story")
        assert site.json("policy", "test", policy)["changes"] == []
        return [(c["from"], c["to"], c["reason"]) for c in said["changes"]], shown["state"], shown["lifecycle"]["reason"]

    site.broken.touch()
    site.ctl("smoke", "org/tiny-story", code=6)
    mark = "tested again on cpu: smoke test failed: the logits are not finite"
    held, lived_with = "licence apache-2.0 needs a person's decision (licenses.hold)", "smoke test failed: the logits are not finite; it has been served all the same"
    assert put("licenses: {hold: [apache-2.0]}\n") == ([("published", "held", held)], "held", mark)
    assert put(POLICY) == ([("held", "published", lived_with)], "published", mark)
    # Where no test is demanded none has passed by that.
    assert put("licenses: {hold: [apache-2.0]}\n" + NO_TEST) == ([("published", "held", held)], "held", mark)
    assert put(POLICY) == ([("held", "published", lived_with)], "published", mark)
    assert put(POLICY + NO_TEST) == ([], "published", mark)
    site.ctl("smoke", "org/tiny-story", code=6)
    site.ctl("retire", "org/tiny-story")
    site.ctl("restore", "org/tiny-story")
    assert put(POLICY) == ([], "published", mark)
    # A person takes the mark back, and it is served as before.
    site.ctl("undeprecate", "org/tiny-story")
    assert put("licenses: {hold: [apache-2.0]}\n" + NO_TEST) == ([("published", "held", held)], "held", None)
    assert put(POLICY) == ([("held", "published", lived_with)], "published", None)
    site.ctl("smoke", "org/tiny-story", code=6)
    assert put(POLICY + NO_TEST) == ([], "published", mark)
    site.broken.unlink()
    site.ctl("smoke", "--all")
    settle(site)
    assert site.json("show", "org/tiny-story")["lifecycle"]["state"] == "active"


def test_one_that_fails_where_nobody_demands_that_it_pass_is_not_marked(site):
    policy = site.where / "policy.yaml"

    def put(text):
        policy.write_text(text)
        site.ctl("policy", "reload", "--yes")
        settle(site)
        return site.json("show", "org/tiny-story")["state"]

    assert put(POLICY + NO_TEST) == "published"
    site.broken.touch()
    site.ctl("smoke", "org/tiny-story", code=6)
    assert site.json("show", "org/tiny-story")["lifecycle"]["state"] == "active"
    assert put(POLICY) == "rejected"


def test_tests_behind_other_work(site, hub, models):
    """One of them runs at a time, and another sync goes before those that wait. A kill ends none of them; what is withdrawn meanwhile is left alone."""
    def jobs(*states):
        return sorted(j["repo"] for j in site.json("jobs") if j["kind"] == "smoke" and j["state"] in states)

    names = [f"org/t{i}" for i in range(3)]
    for name in names:
        hub.add_model(name, {p.name: p.read_bytes() for p in (models / "tiny-story").iterdir()} | {"note.txt": name})
        site.ctl("sync", name)
    site.slow.touch()
    site.broken.touch()
    site.ctl("smoke", "--all")
    wait_for(lambda: len(jobs("running")) == 1)
    site.ctl("withdraw", "org/tiny-story", "--reason", "leaked")
    hub.add_model("org/new", {"README.md": "---\nlicense: mit\n---\nnew\n", "config.json": "{}"})
    site.ctl("sync", "org/new", code=5)                         # nothing in it could be tested
    assert len(jobs("running")) == 1 and len(jobs("running", "queued")) == 4
    site.kill()
    site.start()
    assert len(jobs("running", "queued")) == 4
    site.slow.unlink()
    settle(site)
    assert jobs("done") == sorted([*names, "org/tiny-story"])
    skipped = next(j for j in site.json("jobs") if j["kind"] == "smoke" and j["repo"] == "org/tiny-story")["result"]
    assert skipped["state"] == "withdrawn" and skipped["smoke"] is None and "not tested again" in skipped["reason"]
    assert site.json("show", "org/tiny-story")["smoke"]["verdict"] == "pass"
    assert sorted(e["repo"] for e in site.json("events") if e["kind"] == "lifecycle.deprecated") == names


def test_a_new_driver_is_seen_at_the_start(site):
    """Nobody runs a test by hand: the daemon looks at what tests run on, and queues those of another platform once."""
    def tests():
        return [j for j in site.json("jobs") if j["kind"] == "smoke"]

    def restart():
        looks = site.said().count("smoke.platform ")
        site.stop()
        site.start()
        wait_for(lambda: site.said().count("smoke.platform ") > looks)
        settle(site)

    restart()
    assert not tests()
    site.platform.write_text('{"isa":"of another processor"}')
    restart()
    wait_for(lambda: "smoke.platform_changed queued=1" in site.said())
    settle(site)
    assert [j["state"] for j in tests()] == ["done"]
    restart()
    restart()
    assert len(tests()) == 1 and site.said().count("smoke.platform_changed") == 1


def test_a_test_that_goes_wrong_is_no_verdict(site):
    before, bills = site.json("show", "org/tiny-story")["smoke"], site.json("sbom", "org/tiny-story", "--list")
    site.wrong.touch()
    site.ctl("smoke", "org/tiny-story", code=1)
    shown = site.json("show", "org/tiny-story")["smoke"]
    last = shown.pop("last_try")
    assert shown == before and last["verdict"] == "error" and last["reasons"] == ["the device has no memory left"]
    assert "which went wrong: the device has no memory left" in site.ctl("show", "org/tiny-story").stdout
    assert site.json("sbom", "org/tiny-story", "--list") == bills
    site.ctl("retire", "org/tiny-story")
    site.ctl("restore", "org/tiny-story")
    assert site.json("show", "org/tiny-story")["state"] == "published"
    site.wrong.unlink()
    site.ctl("smoke", "org/tiny-story")
    assert "last_try" not in site.json("show", "org/tiny-story")["smoke"]


def test_a_device_that_is_not_there_is_said_at_once(site):
    before, jobs = site.json("show", "org/tiny-story")["smoke"], len(site.json("jobs"))
    for what in "org/tiny-story", "--all":
        assert "cuda:1" in site.ctl("smoke", what, "--device", "cuda:1", code=1).stderr
    assert site.json("show", "org/tiny-story")["smoke"] == before and len(site.json("jobs")) == jobs


def test_where_inspection_is_enough_no_test_asks_for_more(tmp_path, hub, models):
    """A model that is none of language, though its configuration names such a class: whoever tests it, and whatever was wanted before."""
    inspect = POLICY + "smoke: {for: [{task: feature-extraction, require: inspect}]}\n"
    weights = (models / "tiny-story" / "model.safetensors").read_bytes()
    body = 8 + struct.unpack("<Q", weights[:8])[0]
    tensors = json.loads(weights[8:body])

    def changed(name, change):
        begin, end = (body + at for at in tensors[name]["data_offsets"])
        rows = tensors[name]["shape"][0]
        width = (end - begin) // rows
        return weights[:begin] + b"".join(change([weights[begin + i * width:begin + (i + 1) * width] for i in range(rows)])) + weights[end:]

    hub.add_model("org/embedder", files_of(models / "tiny-story", **{
        "model.safetensors": changed("model.embed_tokens.weight", lambda rows: rows[::-1]),
        "README.md": CARD.format(license="apache-2.0").replace("text-generation", "feature-extraction").encode()}))
    with Registry(tmp_path / "r", upstream=hub.url, policy=POLICY) as reg:
        def put(text):
            (reg.where / "policy.yaml").write_text(text)
            reg.ctl("policy", "reload")
            settle(reg)

        def is_now():
            m = reg.json("show", "org/embedder")
            return m["state"], m["smoke"]["verdict"], m["lifecycle"]["state"]

        reg.ctl("sync", "org/embedder", code=5)
        assert is_now() == ("rejected", "fail", "active")
        (reg.where / "policy.yaml").write_text(inspect)
        assert reg.json("policy", "test", reg.where / "policy.yaml")["changes"][0]["repo"] == "org/embedder"
        put(inspect)
        assert is_now() == ("published", "fail", "active")

        # Its language is not asked for again, by hand or by the clock.
        said = reg.ctl("smoke", "org/embedder", code=5).stderr
        assert "only structure and statistics were asked for" in said
        assert is_now() == ("published", "not_run", "active")
        reg.ctl("smoke", "--all")
        settle(reg)
        assert is_now() == ("published", "not_run", "active")

        # A mark of the time when it was goes with the next test.
        put(POLICY + "require: {smoke: pass_or_not_run}\n")
        reg.ctl("smoke", "org/embedder", code=6)
        assert is_now() == ("published", "fail", "deprecated")
        put(inspect)
        reg.ctl("smoke", "org/embedder", code=5)
        assert is_now() == ("published", "not_run", "active")

        # What is wrong with the files counts as ever.
        hub.commit("org/embedder", {"model.safetensors": changed("model.norm.weight", lambda rows: [b"\xff" * len(row) for row in rows])})
        reg.ctl("sync", "org/embedder", code=5)
        assert "model.norm.weight" in str(reg.json("why", "org/embedder"))
