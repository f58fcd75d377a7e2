"""A policy that takes another's place: what is taken off, what comes back, and when a person is asked first."""
import shutil
import signal
import time

import pytest

from tests.hub import Hub
from tests.system.registry import Registry
from tests.system.test_cli_model import CARD, files_of

LENIENT = "licenses: {allow: [apache-2.0, mit], unknown: hold}\n"
WITHOUT_MIT = "licenses: {allow: [apache-2.0], deny: [mit], unknown: hold}\n"
NOTHING = "licenses: {allow: [isc], deny: [mit, apache-2.0], unknown: hold}\n"


def add(hub, models, name, licence):
    files = files_of(models / "tiny-story", **{"README.md": CARD.format(license=licence).encode()})
    del files["LICENSE"]        # Apache's, which would contradict the card
    hub.add_model(name, files)


@pytest.fixture(scope="module")
def filled(tmp_path_factory, models):
    """A data directory with two Apache models and one under MIT, all tested and published; and one under the GPL, held."""
    where = tmp_path_factory.mktemp("filled")
    with Hub(root=where / "hub") as hub, Registry(where / "r", upstream=hub.url, policy=LENIENT) as reg:
        for name, licence in ("org/one", "apache-2.0"), ("org/two", "apache-2.0"), ("org/mit", "mit"), ("org/gpl", "gpl-3.0"):
            add(hub, models, name, licence)
        for name in "org/one", "org/two", "org/mit":
            reg.ctl("sync", name)
        reg.ctl("sync", "org/gpl", code=5)
    return reg.data


@pytest.fixture
def site(tmp_path, filled):
    """A daemon on a copy of it; its upstream is away."""
    shutil.copytree(filled, tmp_path / "r/data")
    with Registry(tmp_path / "r", upstream="http://127.0.0.1:9", policy=LENIENT) as reg:
        reg.policy = reg.where / "policy.yaml"
        yield reg


def test_a_task_that_nothing_has_is_named(site):
    text = LENIENT + "smoke: {for: [{task: TEXT-generation, require: inspect}, {task: 'image-*', require: inspect}, {task: text-genration, require: none}, {repo: org/x, task: sing, require: none}]}\n"
    site.policy.write_text(text)
    misspelt, unknown = site.json("policy", "test", site.policy)["warnings"]
    assert misspelt == "smoke.for: entry 3 fits nothing: task 'text-genration' is not known to the Hub, and no model here has it; did you mean 'text-generation'?"
    assert "entry 4" in unknown and "'sing'" in unknown
    for args in ["test", site.policy], ["reload"]:
        assert f"but {misspelt}" in site.ctl("policy", *args).stdout
    assert f"# {misspelt}" in site.ctl("policy", "show").stdout


def settle(reg):
    """Until the change has been worked through."""
    end = time.monotonic() + 60
    while any(j["state"] in ("queued", "running", "waiting") for j in reg.json("jobs")):
        assert time.monotonic() < end, reg.json("jobs")
        time.sleep(0.05)


def states(reg):
    settle(reg)
    return {m["repo"]: m["state"] for m in reg.json("ls")}


def test_reasons_of_a_site_without_a_policy_file_stay_what_they_are(tmp_path, hub, models):
    add(hub, models, "org/one", "gpl-3.0")
    add(hub, models, "org/two", "gpl-3.0")
    with Registry(tmp_path / "r", upstream=hub.url) as reg:
        first = reg.ctl("sync", "org/one", code=5).stderr
        reg.stop()
        reg.start()
        second = reg.ctl("sync", "org/two", code=5).stderr
        assert all("permissive licences, which alone are published where no policy file lists licences" in said for said in (first, second))


def test_reasons_name_where_the_same_rules_stand_now(tmp_path, hub, models):
    """From no policy file to one that says the same, and back: no rule has changed, but where it stands."""
    for i in range(3):
        add(hub, models, f"org/{i}", "gpl-3.0")
    with Registry(tmp_path / "r", upstream=hub.url) as reg:
        built_in, listed = "no policy file lists licences", "licence gpl-3.0 is in no list of the policy"
        bare, policy = reg.config.read_text(), tmp_path / "policy.yaml"
        policy.write_text(reg.ctl("policy", "show").stdout)
        assert built_in in reg.ctl("sync", "org/0", code=5).stderr
        reg.config.write_text(bare + f"policy: {policy}\n")
        hang_up(reg, "config.reloaded")
        assert listed in reg.ctl("sync", "org/1", code=5).stderr
        reg.config.write_text(bare)
        hang_up(reg, "config.reloaded")
        assert built_in in reg.ctl("sync", "org/2", code=5).stderr and kinds(reg) == ["policy.changed"]     # of the first start


def test_a_change_to_no_file_names_the_built_in_rules(tmp_path, hub, models):
    add(hub, models, "org/gpl", "gpl-3.0")
    with Registry(tmp_path / "r", upstream=hub.url, policy="licenses: {allow: [gpl-3.0, mit, apache-2.0], unknown: hold}\n") as reg:
        for name in "org/mit", "org/apache":
            add(hub, models, name, "mit")
            reg.ctl("sync", name)
        reg.ctl("sync", "org/gpl")
        reg.config.write_text(reg.config.read_text().replace(f"policy: {reg.where / 'policy.yaml'}\n", ""))
        hang_up(reg, "policy.changed")
        assert states(reg)["org/gpl"] == "held" and "no policy file lists licences" in reg.ctl("why", "org/gpl").stdout


def hang_up(reg, word):
    seen = reg.said().count(word)
    reg.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 20
    while reg.said().count(word) == seen:
        assert time.monotonic() < end, reg.said()
        time.sleep(0.02)


def kinds(reg):
    return [e["kind"] for e in reg.json("events") if e["kind"].startswith("policy.")]


def status_of(reg, name, hf_client, path="config.json"):
    done = hf_client(reg.url, f"from huggingface_hub import hf_hub_download; print(hf_hub_download('{name}', '{path}'))")
    return done.stdout + done.stderr


def test_what_is_no_longer_allowed_is_taken_off_and_comes_back(site):
    commit = site.json("show", "org/mit")["revision"]
    site.policy.write_text(WITHOUT_MIT)
    hang_up(site, "config.reloaded")
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "rejected", "org/gpl": "held"}
    why = site.json("why", "org/mit")
    assert "licence mit is denied" in why["reason"] and why["decisions"][0]["by"] == "policy"
    assert site.json("show", "org/mit")["refs"] == []
    assert kinds(site) == ["policy.changed", "policy.changed"]
    assert "0 published, 1 taken off" in site.ctl("jobs").stdout

    site.policy.write_text(LENIENT.replace("mit", "mit, gpl-3.0"))
    assert "in force since" in site.ctl("policy", "reload").stdout
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "published", "org/gpl": "published"}
    shown = site.json("show", "org/mit")
    assert (shown["revision"], shown["refs"]) == (commit, ["main"])
    assert site.json("policy", "show")["by"] == "admin"


def test_one_that_can_not_be_judged_keeps_no_other(site):
    with site.stopped() as catalog:
        catalog.execute("CREATE TRIGGER fault BEFORE UPDATE OF state ON revision WHEN NEW.model_id = (SELECT id FROM model WHERE name = 'org/one') "
                        "BEGIN SELECT abs(-9223372036854775807 - 1); END")      # overflows
    site.policy.write_text(WITHOUT_MIT.replace("apache-2.0", "bsd-3-clause"))
    site.ctl("policy", "reload", "--yes", code=None)
    assert states(site) == {"org/one": "published", "org/two": "held", "org/mit": "rejected", "org/gpl": "held"}
    job, *_ = [j for j in site.json("jobs") if j["kind"] == "policy"]
    assert job["state"] == "failed" and job["error"]["message"].startswith("judge org/one@")

    without, lenient = site.policy.read_text(), LENIENT
    site.policy.write_text(lenient)                                 # taken back: what was done is undone, though it never came to its end
    site.ctl("policy", "reload")
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "published", "org/gpl": "held"}
    tested = site.json("policy", "test", site.policy)
    assert (tested["changes"], tested["published"]) == ([], 3)
    site.policy.write_text(without)
    site.ctl("policy", "reload", "--yes", code=None)
    assert states(site)["org/mit"] == "rejected"
    with site.stopped() as catalog:
        catalog.execute("DROP TRIGGER fault")
    assert states(site)["org/one"] == "held"


@pytest.mark.parametrize("how", ["reload", "kill"])
def test_one_that_is_taken_back_half_way(site, how):
    with site.stopped() as catalog:
        catalog.execute("CREATE TRIGGER slow BEFORE UPDATE OF state ON revision BEGIN SELECT count(*) FROM "
                        "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000000) SELECT x FROM c); END")
    site.policy.write_text(NOTHING)
    site.ctl("policy", "reload", "--yes")
    end = time.monotonic() + 60
    while site.json("show", "org/one")["state"] == "published":
        assert time.monotonic() < end
        time.sleep(0.02)
    site.policy.write_text(LENIENT)
    if how == "kill":
        site.kill()
        site.start()
    else:
        site.ctl("policy", "reload")
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "published", "org/gpl": "held"}
    assert site.json("policy", "test", site.policy)["changes"] == []


def test_a_client_is_told_of_what_was_taken_off(site, hf_client):
    site.policy.write_text(WITHOUT_MIT)
    site.ctl("policy", "reload")
    settle(site)
    assert "config.json" in status_of(site, "org/one", hf_client)
    assert "licence mit is denied" in status_of(site, "org/mit", hf_client)


def test_a_policy_that_empties_the_site_waits_for_a_person(site, tmp_path):
    in_force = site.json("policy", "show")
    site.policy.write_text(NOTHING)
    tested = site.json("policy", "test", site.policy)
    assert (tested["published"], tested["unpublishes"], tested["asks"]) == (3, 3, True) and len(tested["changes"]) == 3
    assert "3 of 3 published revisions" in site.ctl("policy", "test", site.policy).stdout

    hang_up(site, "config.reloaded")
    hang_up(site, "config.reloaded")
    assert "policy.refused" in site.said()
    assert kinds(site) == ["policy.changed", "policy.refused"]      # once, though it was read twice
    refused = site.ctl("policy", "reload", code=5).stderr
    assert "3 of 3 published revisions" in refused and "--yes" in refused
    now = site.json("policy", "show")
    assert (now["sha256"], now["policy"]) == (in_force["sha256"], in_force["policy"])
    assert (now["waiting"]["published"], now["waiting"]["unpublishes"]) == (3, 3)
    assert "3 of 3" in site.ctl("policy", "show").stdout and "3 of 3" in site.ctl("status").stdout
    assert set(states(site).values()) == {"published", "held"}

    site.stop()
    site.start()                                                    # the file still says so; so does the daemon
    assert site.json("status")["policy"]["waiting"]["unpublishes"] == 3
    assert list(states(site).values()).count("published") == 3

    site.ctl("policy", "reload", "--yes")
    assert states(site) == {"org/one": "rejected", "org/two": "rejected", "org/mit": "rejected", "org/gpl": "held"}
    assert site.json("policy", "show")["waiting"] is None
    site.stop()
    site.start()
    assert site.json("policy", "show")["waiting"] is None
    assert site.json("audit", "verify")["intact"]


def test_so_does_one_whose_lifecycle_rules_empty_it(site):
    """What ends after the notice is told, with its day."""
    site.policy.write_text(LENIENT + "lifecycle: {notice: 30d, deprecated: pinned_only, ends: [{repo: 'ORG/*', at: 2020-01-01, reason: over}]}\n")
    told = site.json("policy", "test", site.policy)
    assert (told["changes"], told["lifecycle"]["pins"], told["asks"]) == ([], 3, True) and "new users 3 of 3" in told["message"]
    site.policy.write_text(site.policy.read_text().replace("pinned_only", "serve"))
    told = site.json("policy", "test", site.policy)
    assert (told["changes"], told["lifecycle"]["deprecates"], told["asks"], told["message"]) == ([], 3, False, None)
    day = told["lifecycle"]["changes"][0]["sunset_at"][:10]
    said = site.ctl("policy", "test", site.policy).stdout
    assert f"ends on {day}: over" in said and "3 newly deprecated" in said and "--yes" not in said

    site.policy.write_text(site.policy.read_text().replace("notice: 30d", "notice: 0d"))
    said = site.ctl("policy", "test", site.policy).stdout
    assert "3 gone (410)" in said and "3 of 3 published revisions" in said and "--yes" in said
    assert "3 of 3 published revisions" in site.ctl("policy", "reload", code=5).stderr
    assert site.json("policy", "show")["waiting"]["ends"] == 3
    site.ctl("policy", "reload", "--yes")
    assert "notice: 0d" in site.json("policy", "show")["policy"]
    settle(site)
    assert site.json("show", "org/one")["lifecycle"]["state"] == "retired"     # what `policy test` says is so then, and not within the hour


def test_a_changed_file_is_noticed_at_the_next_start(site):
    site.stop()
    site.policy.write_text(WITHOUT_MIT)
    site.start()
    assert states(site)["org/mit"] == "rejected"


def forget(reg):
    """The policy in force is one that this version can't read."""
    with reg.stopped() as catalog:
        catalog.execute("UPDATE policy SET body = 'lifecycle: {what: 1}'")


def test_one_after_a_policy_that_can_not_be_read_is_worked_through(site):
    forget(site)        # as it starts again, with the file as it was: nothing changes
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "published", "org/gpl": "held"}
    site.policy.write_text(WITHOUT_MIT.replace("[apache-2.0]", "[apache-2.0, gpl-3.0]"))
    forget(site)
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "rejected", "org/gpl": "published"}
    assert site.json("policy", "show")["waiting"] is None

    site.policy.write_text(NOTHING)
    forget(site)
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "rejected", "org/gpl": "published"}
    assert site.json("policy", "show")["waiting"]["unpublishes"] == 3
    assert "3 of 3 published revisions" in site.ctl("policy", "reload", code=5).stderr
    assert site.json("policy", "test", site.policy)["unpublishes"] == 3
    site.ctl("policy", "reload", "--yes")
    assert states(site) == {"org/one": "rejected", "org/two": "rejected", "org/mit": "rejected", "org/gpl": "held"}


def test_a_file_that_goes_back_no_longer_waits(site):
    site.policy.write_text(NOTHING)
    site.ctl("policy", "reload", code=5)
    site.policy.write_text(LENIENT)
    site.ctl("policy", "reload")
    assert site.json("policy", "show")["waiting"] is None


def test_people_and_other_evidence_stand(site):
    """What a person published stays; what the change says nothing about stays too."""
    site.ctl("publish", "org/gpl", "--reason", "ours")
    site.policy.write_text(WITHOUT_MIT.replace("deny: [mit]", "deny: [mit, gpl-3.0]"))
    site.ctl("policy", "reload")
    assert states(site) == {"org/one": "published", "org/two": "published", "org/mit": "rejected", "org/gpl": "published"}


def test_reload_needs_an_administrator(site):
    token = site.json("token", "create", "pat", "--role", "publisher")["token"]
    site.ctl("policy", "reload", code=5, env={"REGISTRYD_TOKEN": token})


@pytest.mark.parametrize("what", ["dtype: BF16", "architecture: llama", "{format: safetensors, dtype: BF16}", "license: mit"])
def test_nothing_new_comes_in_of_what_has_ended(tmp_path, models, hub, what):
    what = what.strip("{}")
    policy = LENIENT + f"require: {{smoke: none}}\nlifecycle: {{ends: [{{{what}, at: 2026-01-01, reason: no more of these}}]}}\n"
    add(hub, models, "org/new", "mit")
    hub.add_model("org/other", {"README.md": CARD.format(license="apache-2.0"), "config.json": "{}"})
    with Registry(tmp_path / "r", upstream=hub.url, policy=policy) as reg:
        assert "ended on 2026-01-01: no more of these" in reg.ctl("sync", "org/new", code=5).stderr
        assert reg.json("show", "org/new")["state"] == "held"
        reg.ctl("sync", "org/other")


def test_what_is_gone_from_the_store_is_not_published(site):
    """Neither by a person nor by a policy; what is left is as it was."""
    files = site.json("show", "org/gpl")["files"]
    (lost,) = [f for f in files if f["path"] == "README.md"]
    site.blob(lost["sha256"]).unlink()
    assert "README.md" in site.ctl("publish", "org/gpl", "--reason", "we may", code=1).stderr
    site.policy.write_text(LENIENT.replace("mit", "mit, gpl-3.0"))
    site.ctl("policy", "reload")
    assert states(site)["org/gpl"] == "held"
