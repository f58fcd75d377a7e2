"""Sync against a Hub that misbehaves: what passes is tried again, what stays is one sentence, and nothing unproven is ever published."""
import dataclasses
import json
import re

import pytest

from tests.hub import api, git_http
from tests.system.registry import Registry
from tests.system.sync_case import NAME, POLICY, Noise, assert_not_served, assert_served, files, mirror_round, settings, settled, wait_for


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as it:
        yield it


PASSING = {
    "truncated": dict(listener="cdn", truncate=1_000_000, times=2),
    "truncated small": dict(listener="cdn", truncate=1000, times=1, file="small.safetensors"),
    "reset": dict(listener="cdn", reset=2_000_000, times=2),
    "stalled": dict(listener="cdn", stall=[3_000_000, 30], times=1),
    "wrong byte once": dict(listener="cdn", corrupt=5_000_000, times=1, file="data.safetensors"),
    "200 to a range": dict(listener="cdn", ignore_range=True),
    "another range": dict(listener="cdn", range=True, wrong_range=7, times=1),
    "etag changes": dict(listener="cdn", etag="changing"),
    "signed address expired": dict(route="resolve", expires=-5, times=2),
    "429": dict(route="resolve", status=429, retry_after=1, times=1),
    "503": dict(route="resolve", status=503, times=2),
    "500 for the info": dict(route="info", status=500, times=2),
    "closed without answer": dict(route="tree", close=True, times=1),
    "redirected to another host": dict(route="resolve", redirect="other"),
    "git refuses": dict(route="git", status=503),
}


@pytest.mark.parametrize("fault", sorted(PASSING))
def test_passing_fault(reg, hub, fault):
    hub.add_model(NAME, files())
    if fault in ("200 to a range", "another range"):
        hub.faults.add(listener="cdn", file="data.safetensors", truncate=1_500_000, times=1)
    rule = hub.faults.add(**PASSING[fault])
    reg.ctl("sync", NAME)
    assert hub.faults.acted(rule)
    hub.faults.clear()
    assert_served(reg, hub)
    assert reg.json("show", NAME)["proof"] == ("listing" if fault == "git refuses" else "commit")
    assert not list((reg.data / "partial").iterdir())


def test_git_is_asked_again_when_its_fault_has_passed(reg, hub):
    hub.add_model(NAME, files())
    hub.faults.add(route="git", status=503)
    reg.ctl("sync", NAME)
    shown = reg.json("show", NAME)
    assert shown["proof"] == "listing" and "answers 503" in shown["proof_reason"] and "answers 503" in reg.ctl("show", NAME).stdout
    hub.faults.clear()
    reg.ctl("sync", NAME)
    shown = reg.json("show", NAME)
    assert shown["proof"] == "commit" and shown["proof_reason"] is None
    assert [e["kind"] for e in reg.json("events") if e["repo"] == NAME].count("revision.published") == 1
    hub.clear_log()
    reg.ctl("sync", NAME)
    assert len(hub.requests()) == 1


def test_a_hub_without_git_is_not_asked_again(reg, hub):
    hub.add_model(NAME, files())
    hub.faults.add(route="git", status=404)
    reg.ctl("sync", NAME)
    hub.clear_log()
    reg.ctl("sync", NAME)
    assert len(hub.requests()) == 1 and reg.json("show", NAME)["proof"] == "listing"


def git_of(monkeypatch, hub, name, other):
    """Git answers for `name` with the objects of `other`."""
    real = git_http.serve

    def serve(repo, where, request, options):
        if repo.name == name and where.verb == "git-upload-pack":
            repo, request = hub.repos[other], dataclasses.replace(request, body=request.body.replace(repo.head.sha.encode(), hub.repos[other].head.sha.encode()))
        return real(repo, where, request, options)
    monkeypatch.setattr(git_http, "serve", serve)


def test_another_commit_from_git_is_no_proof_and_no_accident(reg, hub, monkeypatch):
    hub.add_model(NAME, files())
    hub.add_model("org/other", files(**{"config.json": '{"b": 1}'}))
    git_of(monkeypatch, hub, NAME, "org/other")
    said = reg.ctl("sync", NAME, code=6).stderr
    assert "git answers with something else than this commit" in said and reg.json("show", NAME)["state"] == "rejected"
    assert_not_served(reg)


def test_git_contradicts_what_is_served(reg, hub, monkeypatch):
    """Published while git could not be asked; what is served stays, and it is said."""
    hub.add_model(NAME, files())
    hub.add_model("org/other", files(**{"config.json": '{"b": 1}'}))
    hub.faults.add(route="git", status=503)
    reg.ctl("sync", NAME)
    hub.faults.clear()
    git_of(monkeypatch, hub, NAME, "org/other")
    reg.ctl("sync", NAME, code=6)
    assert_served(reg, hub)
    assert "something else than this commit" in reg.json("show", NAME)["findings"][0]["message"]
    assert "upstream.contradicts" in [e["kind"] for e in reg.json("events")]


def test_the_clock_looks_again_where_the_reason_may_have_passed(tmp_path, hub):
    """Git was away, and the policy demands its proof."""
    hub.add_model(NAME, files())
    hub.faults.add(route="git", status=503)
    entry = f"mirror:\n  - {{repo: {NAME}, every: 6h}}\n"
    with Registry(tmp_path / "registry", policy=POLICY.replace("smoke: none", "smoke: none, proof: commit"), settings=settings(hub, entry)) as reg:
        settled(reg)
        assert reg.json("show", NAME)["state"] == "held"
        hub.faults.clear()
        mirror_round(reg)
        assert reg.json("show", NAME)["state"] == "published" and reg.json("show", NAME)["proof"] == "commit"


def test_the_clock_leaves_what_is_rejected_alone(tmp_path, hub):
    """A damaged file is not fetched again at each round, and not kept again; a person may ask for it."""
    hub.add_model(NAME, files())
    hub.faults.add(listener="cdn", corrupt=5_000_000, file="data.safetensors")
    entry = f"mirror:\n  - {{repo: {NAME}, every: 6h}}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        settled(reg)
        assert reg.json("show", NAME)["state"] == "rejected"
        hub.clear_log()
        for _ in range(2):
            mirror_round(reg)
        assert len(hub.requests()) == 2 and reg.json("show", NAME)["state"] == "rejected"
        reg.ctl("sync", NAME, code=6)
        kept = [f for f in (reg.data / "quarantine").iterdir() if f.suffix != ".reason"]
        assert len(kept) == 1 and len(hub.requests(listener="cdn")) > 0
        assert [e["kind"] for e in reg.json("events") if e["repo"] == NAME].count("revision.rejected") == 1
        hub.faults.clear()
        reg.ctl("sync", NAME)
        assert_served(reg, hub)


FINAL = {
    # rule, exit code, what the sentence says, state
    "wrong bytes": (dict(listener="cdn", corrupt=5_000_000, file="data.safetensors"), 6, r"data\.safetensors.*quarantine", "rejected"),
    "wrong bytes in a git file": (dict(route="resolve-cache", corrupt=0, file="config.json"), 6, r"config\.json", "rejected"),
    "another size": (dict(listener="cdn", content_length=9, file="data.safetensors"), 6, r"data\.safetensors.*6291456", "rejected"),
    "linked size": (dict(route="resolve", linked_size=3, file="data.safetensors"), 6, r"data\.safetensors.*size", "rejected"),
    "redirect loop": (dict(route="resolve", redirect="loop"), 1, r"redirects more than 5 times", "planned"),
    "503 for ever": (dict(route="resolve", status=503), 1, r"answers 503", "planned"),
    "reset for ever": (dict(listener="cdn", reset=10), 1, r"broke off", "planned"),
    "file gone": (dict(route="resolve", status=404, code="EntryNotFound", file="config.json"), 4, r"config\.json", "planned"),
    "listing lies about a SHA-256": (dict(route="tree", listing={"patch": {"data.safetensors": {"lfs_oid": "1" * 64}}}), 6, r"data\.safetensors.*disagree", "rejected"),
    "listing lies about an id": (dict(route="tree", listing={"patch": {"config.json": {"oid": "1" * 40}}}), 6, r"config\.json.*disagree", "rejected"),
    "listing lies about a size": (dict(route="tree", listing={"patch": {"small.safetensors": {"size": 5, "lfs_size": 5}}}), 6, r"small\.safetensors.*disagree", "rejected"),
    "listing leaves a file out": (dict(route="tree", listing={"drop": ["config.json"]}), 6, r"config\.json.*leaves it out", "rejected"),
    "malformed listing": (dict(route="tree", malformed=True), 1, r"not JSON", None),
    "login page": (dict(route="tree", html=True), 1, r"HTML page", None),
    "login page for the info": (dict(route="info", html=True), 1, r"HTML page", None),
    "listing without end": (dict(route="tree", endless=True), 1, r"more than", None),
    "no such model": (dict(route="info", status=404, code="RepoNotFound"), 4, r"no repository", None),
    "no such revision": (dict(route="info", status=404, code="RevisionNotFound"), 4, r"no such revision", None),
    "401": (dict(route="info", status=401), 4, r"token_file", None),
    "403": (dict(route="info", status=403), 5, r"refuses", None),
    "500 for ever": (dict(route="info", status=500), 1, r"answers 500", None),
}
for path in ("../x", "/etc/x", "a//b", "a\0b", ".git/config", "a/..", "x" * 2000, "a\\b", "config.json/x"):
    FINAL[f"path {path[:20]!r}"] = (dict(route="tree", listing={"patch": {"empty.txt": {"path": path}}}), 1, r"listing", None)


@pytest.mark.parametrize("fault", sorted(FINAL))
def test_final_fault(reg, hub, fault):
    rule, code, words, state = FINAL[fault]
    hub.add_model(NAME, files())
    number = hub.faults.add(**rule)
    done = reg.ctl("sync", NAME, code=code)
    assert hub.faults.acted(number)
    assert re.search(words, done.stderr), done.stderr
    assert_not_served(reg)
    if state:
        shown = reg.json("show", NAME)
        assert shown["state"] == state
        assert re.search(words, json.dumps(reg.json("why", NAME)) + str(shown))
    # the fault passes, and so does the sync, without a hand
    hub.faults.clear()
    reg.ctl("sync", NAME)
    assert_served(reg, hub)


def test_names_that_differ_by_case_are_kept_apart(reg, hub):
    """Not every system can hold both, so a person decides."""
    hub.add_model(NAME, files(**{"A.txt": "upper", "a.txt": "lower"}))
    assert "differ only in case" in reg.ctl("sync", NAME, code=5).stderr
    assert_not_served(reg)
    reg.ctl("publish", NAME, "--reason", "Linux only")
    assert_served(reg, hub)


@pytest.mark.parametrize("path", ["", "/a/hub"])
def test_next_pages_are_asked_for_where_upstream_is_reached(tmp_path, hub, monkeypatch, path):
    """Another registry with a public_url, or a mirror that passes the Hub's links through, names a host that need not even exist, and a path that is not ours."""
    monkeypatch.setattr(api, "TREE_PAGE", 3)
    monkeypatch.setattr(api, "LIST_PAGE_MAX", 2)
    hub.options.public_url = hub.other_url + path
    for n in range(5):
        hub.add_model(f"org/m{n}", files(**{"data.safetensors": Noise(4000, 10 + n)}))
    entry = "mirror:\n  - {author: org, every: 6h}\n"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, entry)) as reg:
        wait_for(lambda: {m["repo"] for m in reg.json("ls") if m["state"] == "published"} == {f"org/m{n}" for n in range(5)})
        assert reg.json("mirror", "list")[0]["last_error"] is None
        assert len(hub.requests(route="listing")) == 3 and len(hub.requests(route="tree", repo="org/m0")) == 3
        assert not hub.requests(listener="other")
        monkeypatch.undo()
        for n in range(5):
            assert_served(reg, hub, f"org/m{n}")


def test_a_link_in_a_line_of_its_own_does_not_hide_the_next_page(reg, hub, monkeypatch):
    monkeypatch.setattr(api, "TREE_PAGE", 3)
    hub.add_model(NAME, files())
    hub.faults.add(route="git", status=404)
    hub.faults.add(route="tree", add_headers={"Link": '</terms>; rel="license"'})
    reg.ctl("sync", NAME)
    assert len(hub.requests(route="tree")) == 3
    monkeypatch.undo()
    assert_served(reg, hub)


def test_a_listing_without_its_further_pages_is_not_all(reg, hub, monkeypatch):
    """Where git can't tell, the files that the model's info names do."""
    monkeypatch.setattr(api, "TREE_PAGE", 3)
    hub.add_model(NAME, files(rfilename="called like a key of the info\n"))
    hub.faults.add(route="git", status=404)
    dropped = hub.faults.add(route="tree", drop_headers=["Link"])
    assert "ends after 3 files, and upstream's info of the model names 8" in reg.ctl("sync", NAME, code=1).stderr
    assert_not_served(reg)
    hub.faults.remove(dropped)
    reg.ctl("sync", NAME)
    monkeypatch.undo()
    assert_served(reg, hub)


@pytest.mark.parametrize("link", ["ftp://127.0.0.2/api/models", "file:///etc/passwd", "http://"])
def test_a_next_page_that_is_no_address(reg, hub, link):
    hub.add_model(NAME, files())
    hub.faults.add(route="tree", set_headers={"Link": f'<{link}>; rel="next"'})
    assert "next page, which is no http address" in reg.ctl("sync", NAME, code=1).stderr
    assert_not_served(reg)


def test_a_next_page_that_is_the_same_one(reg, hub):
    hub.add_model(NAME, files())
    hub.faults.add(route="tree", set_headers={"Link": f'<{hub.other_url}/api/models/{NAME}/tree/main?recursive=true>; rel="next"'})
    assert "leads to itself" in reg.ctl("sync", NAME, code=1).stderr
    assert_not_served(reg)
    assert not hub.requests(listener="other")


# --- encodings ------------------------------------------------------------------------------------------------------------------


def test_only_answers_of_the_api_come_compressed(reg, hub):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    asked = {}
    for r in hub.requests():
        asked.setdefault(r.headers.get("accept-encoding"), set()).add(r.route)
    assert set(asked) == {"gzip", "identity"} and not asked["gzip"] & asked["identity"], asked
    assert {"info", "tree"} <= asked["gzip"] and not {"resolve", "resolve-cache", "cdn", "git"} & asked["gzip"]
    assert_served(reg, hub)


@pytest.mark.parametrize("encoding,words", [("br", "encoded as 'br'"), ("gzip", "damaged or not whole")])
def test_an_answer_in_an_encoding_that_it_is_not_in(reg, hub, encoding, words):
    hub.add_model(NAME, files())
    hub.faults.add(route="tree", status=200, body="[]", headers={"Content-Encoding": encoding, "Content-Type": "text/plain"})
    said = reg.ctl("sync", NAME, code=None)
    assert said.returncode and words in said.stderr and hub.url in said.stderr, said.stderr
    assert_not_served(reg)


def test_a_file_that_somebody_on_the_way_compresses(reg, hub):
    """It is not upstream's fault: nothing is rejected for good."""
    hub.add_model(NAME, files())
    rule = hub.faults.add(route="resolve-cache", file="config.json", status=200, body="not two bytes", headers={"Content-Encoding": "gzip"})
    said = reg.ctl("sync", NAME, code=1).stderr
    assert hub.faults.acted(rule) and "'config.json'" in said and "encoded as 'gzip'" in said and "proxy" in said, said
    assert_not_served(reg)
    hub.faults.clear()
    reg.ctl("sync", NAME)
    assert_served(reg, hub)


# --- tokens ---------------------------------------------------------------------------------------------------------------------


def with_token(tmp_path, hub, token):
    (tmp_path / "token").write_text(token + "\n")
    return Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, token_file=tmp_path / "token"))


def test_the_token_never_leaves_its_host(tmp_path, hub):
    hub.add_token("hf_good", granted=[NAME])
    hub.add_model(NAME, files(), gated="manual")
    hub.faults.add(route="resolve", redirect="other", file="config.json")
    with with_token(tmp_path, hub, "hf_good") as reg:
        reg.ctl("sync", NAME)
    asked = hub.requests()
    assert [r for r in asked if r.listener == "hub" and r.authorization]
    elsewhere = [r for r in asked if r.listener != "hub"]
    assert {r.listener for r in elsewhere} == {"cdn", "other"}
    assert not [r for r in elsewhere if r.authorization]


def test_gated_without_a_token_says_what_to_do(reg, hub):
    hub.add_model(NAME, files(), gated="manual")
    said = reg.ctl("sync", NAME, code=None)
    assert said.returncode == 5 or said.returncode == 1
    assert "gated" in said.stderr and "token_file" in said.stderr and hub.url in said.stderr
    assert_not_served(reg)


def test_gated_with_a_token_that_is_not_granted(tmp_path, hub):
    hub.add_token("hf_other")
    hub.add_model(NAME, files(), gated="manual")
    with with_token(tmp_path, hub, "hf_other") as reg:
        said = reg.ctl("sync", NAME, code=None)
        assert said.returncode and "accept" in said.stderr and "not valid" not in said.stderr


def test_a_token_that_is_not_valid_is_named(tmp_path, hub):
    hub.add_model(NAME, files(), gated="manual")
    with with_token(tmp_path, hub, "hf_wrong") as reg:
        said = reg.ctl("sync", NAME, code=None)
        assert said.returncode and ("not valid" in said.stderr)


def test_gated_where_nobody_says_whether_the_token_is_valid(tmp_path, hub):
    """A gateway that lets no such question through says nothing of the token, and nor do we."""
    hub.add_model(NAME, files(), gated="manual")
    hub.add_model("org/hidden", files(), private=True)
    with with_token(tmp_path, hub, "hf_wrong") as reg:
        for fault, why in ((dict(status=404), "answers 404"), (dict(status=200, body="<html>"), "answers 200 without a name"), (dict(close=True), "asked whose it is: "),
                           (dict(redirect="other"), f"redirects to {hub.other_url}, and the token is sent to no other address")):
            hub.faults.clear()
            hub.faults.add(route="whoami", **fault)
            for name, to_do in ((NAME, "accept the terms"), ("org/hidden", "lacks the right to read it")):
                said = reg.ctl("sync", name, code=None).stderr
                assert "could not be found out" in said and why in said and to_do in said, said
                assert "is valid," not in said and "it knows the token" not in said


def test_a_new_token_counts_at_the_next_sync(tmp_path, hub):
    hub.add_token("hf_new", granted=[NAME])
    hub.add_model(NAME, files(), gated="manual")
    with with_token(tmp_path, hub, "hf_old") as reg:
        assert "not valid" in (said := reg.ctl("sync", NAME, code=None).stderr) and "every sync reads" in said
        (tmp_path / "token").write_text("hf_new\n")
        reg.ctl("sync", NAME)
        assert reg.json("show", NAME)["state"] == "published"


@pytest.mark.parametrize("begun", ["tree", "resolve"])
def test_a_token_that_is_replaced_while_a_sync_runs(tmp_path, hub, monkeypatch, begun):
    """The old one is refused from one request to the next: the sync goes on with the new one, and asks no third time."""
    hub.add_token("hf_old", granted=[NAME])
    hub.add_model(NAME, files(), gated="manual")
    real = hub._answer

    def replaced(request, where, effects):
        if where.route == begun and hub.accounts.pop("hf_old", None):
            if granted:
                hub.add_token("hf_new", granted=[NAME])
            (tmp_path / "token").write_text("hf_new\n")
        return real(request, where, effects)

    monkeypatch.setattr(hub, "_answer", replaced)
    granted = False
    with with_token(tmp_path, hub, "hf_old") as reg:
        assert "not valid" in reg.ctl("sync", NAME, code=1).stderr
        assert reg.said().count("job.new_token") == 1
        (tmp_path / "token").write_text(hub.add_token("hf_old", granted=[NAME]) + "\n")
        granted = True
        reg.ctl("sync", NAME)
        assert reg.json("show", NAME)["state"] == "published" and reg.said().count("job.new_token") == 2


@pytest.mark.parametrize("token", [None, "", "two words\n"])
def test_a_token_file_without_a_token_is_a_fault_of_this_side(tmp_path, hub, token):
    hub.add_model(NAME, files())
    with with_token(tmp_path, hub, "hf_old") as reg:
        (tmp_path / "token").unlink() if token is None else (tmp_path / "token").write_text(token)
        assert "token_file" in reg.ctl("sync", NAME, code=1).stderr
        assert not hub.requests()


def test_an_upstream_of_another_name(tmp_path, hub):
    hub.add_model(NAME, files())
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        reg.ctl("sync", NAME)
        reg.stop()
        reg.config.write_text(reg.config.read_text().replace("name: hub", "name: hf"))
        reg.start()
        assert "keep the name 'hub' in the settings and change its endpoint" in reg.ctl("sync", NAME, code=1).stderr


def test_private(tmp_path, hub):
    hub.add_token("hf_sees", sees=[NAME])
    hub.add_model(NAME, files(), private=True)
    with Registry(tmp_path / "anonymous", policy=POLICY, settings=settings(hub)) as reg:
        assert "token_file" in reg.ctl("sync", NAME, code=4).stderr
    with with_token(tmp_path, hub, "hf_sees") as reg:
        hub.faults.add(listener="other", status=401)
        hub.faults.add(route="info", listener="hub", redirect="other")
        said = reg.ctl("sync", NAME, code=1).stderr
        assert f"redirects to {hub.other_url}, which answers 401" in said and "sent to no other address" in said and "lacks" not in said
        hub.faults.clear()
        reg.ctl("sync", NAME)
        assert reg.json("show", NAME)["state"] == "published"
