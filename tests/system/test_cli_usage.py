"""registryctl without a model: wrong usage, no daemon, tokens and roles, help."""
import json
import subprocess
import time
import urllib.error
import urllib.request

import openapi_spec_validator
import pytest

from tests.system.registry import BIN, clean_env


def ctl(*args, env=None):
    return subprocess.run([BIN / "registryctl", *args], capture_output=True, text=True, timeout=60, env={**clean_env(), **(env or {})})


@pytest.mark.parametrize("args, says", [
    (["syn", "x"], "unknown command 'syn'; did you mean 'sync'?"),
    (["token", "crate"], "did you mean 'token create'?"),
    (["ls", "--licens", "mit"], "did you mean --license?"),
    (["--jsn", "ls"], "did you mean --json?"),
    (["ls", "--min-size", "much"], "'much' is not a size"),
    (["show"], "show needs REPO[@REV]"),
    (["show", "a/b/c"], "not a model's name"),
    (["verify"], "verify needs either REPO[@REV] or --all"),
    (["withdraw", "org/m"], "withdraw needs --reason"),
    (["deprecate", "org/m", "--sunset", "2027-01-20T12:00:00Z"], "write it as 2027-01-20"),
    (["ls", "--limit", "0"], "--limit must be at least 1"),
    (["mirror", "add"], "mirror add needs either"),
    (["import", "/nonexistent", "--as", "org/m"], "'/nonexistent' is not a directory"),
    (["--url", "ftp://x", "ls"], "must begin with http"),
    ([], "a command is missing"),
])
def test_wrong_usage_is_one_sentence_and_2(args, says):
    done = ctl(*args)
    assert done.returncode == 2 and not done.stdout
    assert says in done.stderr and done.stderr.count("\n") == 1


def test_no_daemon_is_3_and_names_the_url():
    done = ctl("ls", "--json", env={"REGISTRYD_URL": "http://127.0.0.1:9"})
    assert done.returncode == 3 and done.stdout == ""
    assert "http://127.0.0.1:9" in done.stderr and done.stderr.count("\n") == 1


def test_help_lists_every_command_and_its_options():
    all_help = ctl("--help")
    assert all_help.returncode == 0 and not all_help.stderr
    listed = all_help.stdout.split("Not supported yet")[0]
    for verb in ("sync REPO[@REV]", "ls ", "show ", "why ", "verify ", "smoke ", "publish ", "reject ", "status ", "jobs "):
        assert f"\n  {verb}" in listed
    sync = ctl("sync", "--help")
    assert sync.returncode == 0 and "--include GLOB" in sync.stdout and "--no-wait" in sync.stdout


def test_status_and_an_empty_catalog(registry):
    status = registry.json("status")
    assert status["catalog"]["models"] == 0 and status["store"]["free_bytes"] > 0 and status["jobs"]["running"] == 0
    assert "registryd" in registry.ctl("status").stdout
    assert registry.json("ls") == []
    assert registry.json("jobs") == []
    assert registry.json("licenses") == []
    empty = registry.ctl("ls")
    assert empty.stdout == "" and empty.stderr == "no models match\n"


@pytest.mark.parametrize("verb", ["show", "why", "smoke", "publish", "reject", "verify", "deprecate", "usage"])
def test_an_unknown_model_is_4(registry, verb):
    done = registry.ctl(verb, "org/absent", "--json", code=4)
    assert "org/absent" in done.stderr and done.stdout == ""


def test_a_daemon_says_no_in_its_own_words(registry):
    assert "did you mean 'apache-2.0'?" in registry.ctl("ls", "--license", "apache-2", code=2).stderr
    assert "safetensors" in registry.ctl("ls", "--format", "safetensor", code=2).stderr
    registry.ctl("ls", "--state", "publishd", code=2)
    registry.ctl("ls", "--sort", "colour", code=2)
    registry.ctl("ls", "--contains", "abc", code=2)


def test_changing_calls_need_a_role(registry, tmp_path):
    token = registry.ctl("token", "create", "ci", "--role", "reader", "--expires", "1d").stdout.strip()
    assert token.startswith("hf_") and len(token) >= 40
    listed = {t["name"]: t for t in registry.json("token", "list")}
    assert listed["ci"]["role"] == "reader" and listed["ci"]["expires_at"] and token not in json.dumps(listed)

    nobody = subprocess.run([BIN / "registryctl", "--url", registry.url, "sync", "org/m"], capture_output=True, text=True,
                            env={**clean_env(), "HOME": str(tmp_path / "nobody"), "REGISTRYD_TOKEN": token})
    assert nobody.returncode == 5 and nobody.stderr.count("\n") == 1
    registry.ctl("token", "create", "x", env={"REGISTRYD_TOKEN": token}, code=5)
    file = tmp_path / "token"
    file.write_text(token + "\n")
    registry.ctl("--token-file", file, "token", "list", code=5)
    wrong = registry.ctl("status", env={"REGISTRYD_TOKEN": "hf_" + "x" * 40}, code=None)
    assert wrong.returncode in (0, 5)       # a bad token may be ignored for what everybody may read, never for more
    registry.ctl("token", "list", env={"REGISTRYD_TOKEN": "hf_" + "x" * 40}, code=5)

    registry.ctl("token", "create", "ci", code=1)       # the name is taken
    registry.ctl("token", "revoke", "ci")
    assert {t["name"]: t for t in registry.json("token", "list")}["ci"]["revoked_at"]
    registry.ctl("token", "revoke", "nobody", code=4)
    registry.ctl("token", "create", "x", "--role", "emperor", code=2)
    for own in "bundle", "Policy", "schedule", "anonymous":     # who did it would be read wrongly
        assert f"can't be named '{own.lower()}'" in registry.ctl("token", "create", own, code=2).stderr


@pytest.mark.parametrize("expires", ["0d", "0s", "0"])
def test_a_token_that_ends_at_once_is_not_made(registry, expires):
    assert "--expires" in registry.ctl("token", "create", "brief", "--expires", expires, code=2).stderr
    assert [t["name"] for t in registry.json("token", "list")] == ["admin"]


def ask(registry, path, body=None, token=None):
    """Status and JSON answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(registry.url + path, data, headers)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer)


def test_only_what_is_left_out_means_never(registry):
    admin = registry.token()
    for bad in 0, -1, "90d", 1.5, True, 2 ** 31:
        assert ask(registry, "/-/v1/tokens", {"name": "x", "expires_in_s": bad}, admin)[0] == 400
    for name, body in ("a", {}), ("b", {"expires_in_s": None}):
        assert ask(registry, "/-/v1/tokens", {"name": name, **body}, admin)[1]["expires_at"] is None
    assert ask(registry, "/-/v1/tokens", {"name": "c", "expires_in_s": 1}, admin)[1]["expires_at"]


def test_a_refused_token_is_told_why(registry):
    admin = registry.token()
    brief = ask(registry, "/-/v1/tokens", {"name": "brief", "role": "admin", "expires_in_s": 1}, admin)[1]["token"]
    gone = registry.ctl("token", "create", "gone", "--role", "admin").stdout.strip()
    registry.ctl("token", "revoke", "gone")
    time.sleep(1.1)
    for token, why in ("hf_" + "x" * 40, "unknown token"), (brief, "token 'brief' has expired"), (gone, "token 'gone' was revoked"):
        status, answer = ask(registry, "/-/v1/tokens", None, token)
        assert (status, answer["error"]["message"]) == (401, f"this needs a token with the role admin: {why}")
        assert registry.ctl("token", "list", env={"REGISTRYD_TOKEN": token}, code=5).stderr.count(why) == 1
    assert ask(registry, "/-/v1/tokens")[1]["error"]["message"] == "this needs a token with the role admin"


def test_the_description_is_served(registry):
    with urllib.request.urlopen(registry.url + "/-/openapi.json") as answer:
        described = json.load(answer)
    assert described["openapi"] == "3.1.0" and "/-/v1/models/{repo}" in described["paths"]
    openapi_spec_validator.validate(described)


def test_policy_show_and_test(registry, tmp_path):
    shown = registry.ctl("policy", "show").stdout
    assert "licenses:" in shown and "require:" in shown
    again = tmp_path / "policy.yaml"
    again.write_text(shown)
    assert registry.json("policy", "test", again) == {"tested": 0, "published": 0, "unpublishes": 0, "publishes": 0, "asks": False, "message": None, "warnings": [], "changes": [],
                                                      "lifecycle": {"deprecates": 0, "pins": 0, "ends": 0, "eases": 0, "changes": []}}
    again.write_text("licences: {}\n")
    assert "licenses" in registry.ctl("policy", "test", again, code=2).stderr
    registry.ctl("policy", "test", tmp_path / "absent", code=4)


def test_the_chain_of_events_is_whole(registry):
    registry.ctl("token", "create", "one")
    audit = registry.json("audit", "verify")
    assert audit["intact"] and len(audit["head"]) == 64
    assert registry.json("audit", "verify", "--head", audit["head"])["intact"]
    assert registry.ctl("audit", "head").stdout.strip() == audit["head"]
    registry.ctl("audit", "verify", "--head", "ab" * 32, code=6)


def test_mirror_entries(registry):
    assert registry.json("mirror", "list") == []
    registry.ctl("mirror", "add", "org/one", "org/two", "--every", "6h", "--include", "*.json")
    entries = {m["name"]: m for m in registry.json("mirror", "list")}
    assert set(entries) == {"org/one", "org/two"} and entries["org/one"]["every_s"] == 21600
    registry.ctl("mirror", "remove", "org/one")
    assert [m["name"] for m in registry.json("mirror", "list")] == ["org/two"]
    registry.ctl("mirror", "remove", "org/one", code=4)


def test_a_mirror_entry_that_is_added_again_changes_what_is_given(registry):
    def add(*options):
        said = registry.ctl("mirror", "add", "org/m", *options).stdout
        entry, = registry.json("mirror", "list")
        return said.strip(), entry["every_s"], entry["options"]

    assert add("--every", "1h", "--include", "*.json") == ("org/m is kept in step every 1h00m, only *.json", 3600, {"include": ["*.json"]})
    assert add() == ("org/m is kept in step every 1h00m, only *.json", 3600, {"include": ["*.json"]})
    assert add("--metadata-only")[1:] == (3600, {"include": ["*.json"], "metadata_only": True})
    assert add("--every", "2h") == ("org/m is kept in step every 2h00m, only *.json, metadata only", 7200, {"include": ["*.json"], "metadata_only": True})
    for key, left in ("include", (7200, {"metadata_only": True})), ("metadata_only", (7200, {})), ("every_s", (21600, {})):
        assert ask(registry, "/-/v1/mirrors", {"repo": "org/m", key: None}, registry.token())[0] == 201
        entry, = registry.json("mirror", "list")
        assert (entry["every_s"], entry["options"]) == left


def test_a_mirror_entry_that_no_round_could_follow_is_refused(registry):
    admin = registry.token()
    for bad in ({"include": "*.json"}, {"include": [1]}, {"exclude": [""]}, {"metadata_only": "yes"}, {"every_s": "6h"}, {"every_s": 5}, {"every_s": 10 ** 12},
                {"revision": "x" * 2000}, {"repo": "a b"}, {"repo": "a/b/c"}):
        status, answer = ask(registry, "/-/v1/mirrors", {"repo": "org/m", **bad}, admin)
        assert status == 400 and answer["error"]["message"], bad
    assert registry.json("mirror", "list") == []
    assert ask(registry, "/-/v1/mirrors", {"repo": "org/m", "include": None, "exclude": [], "metadata_only": None, "every_s": None}, admin)[0] == 201
    entry, = registry.json("mirror", "list")
    assert entry["every_s"] == 21600


def test_text_that_is_not_utf8_is_said_to_be_none(registry):
    for args in ["withdraw", "org/m", "--reason", b"caf\xe9"], ["ls", "--tag", b"\xff"], ["token", "create", b"\xff"]:
        done = subprocess.run([*registry.command(args[0]), *args[1:]], capture_output=True, timeout=60, env=clean_env())
        assert done.returncode == 2 and b"not UTF-8" in done.stderr and done.stderr.count(b"\n") == 1


def test_events_are_followed_as_they_happen(registry):
    for n in range(12):
        registry.ctl("token", "create", f"t{n}")
    assert len(registry.json("events")) == 14         # the policy, the first token and these
    process = subprocess.Popen(registry.command("events", "--follow", "--json"), stdout=subprocess.PIPE, text=True)
    try:
        seen = [json.loads(process.stdout.readline()) for _ in range(10)]
        assert seen[-1]["data"]["name"] == "t11" and [e["id"] for e in seen] == list(range(5, 15))
        registry.ctl("token", "revoke", "t3")
        revoked = json.loads(process.stdout.readline())
        assert revoked["kind"] == "token.revoked" and revoked["data"]["name"] == "t3"
    finally:
        process.terminate()
        process.wait(10)
