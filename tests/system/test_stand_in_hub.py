"""The stand-in Hub before real clients and before recordings: a test bed that is wrong would prove nothing."""
import base64
import gzip
import hashlib
import http.client
import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.hub import File, Hub, Noise, Sparse
from tests.hub.card import front_matter
from tests.hub.gitstore import GitStore, object_id

GOLDEN = Path(__file__).resolve().parents[1] / "data/git-chain/bert-base-uncased.json"
CARD = "---\nlicense: apache-2.0\ntags: [a, \"b c\"]\nlanguage:\n- en\nbase_model: x/y\n---\n# Tiny\n"
TOKEN = "hf_" + "a" * 37


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def ask(url, method="GET", body=None, **headers):
    """One request, redirects not followed; header names with _ for -."""
    parts = urllib.parse.urlsplit(url)
    conn = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        conn.request(method, target, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = conn.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        conn.close()


@pytest.fixture
def model(hub):
    return hub.add_model("org/tiny", {
        "README.md": CARD, "config.json": '{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}',
        "model.safetensors": Noise(300_000, seed=7), "sub dir/a#b%.txt": "x", "sub dir/deep/é.json": "{}", "empty.bin": b"", "empty.txt": b"",
        "run.sh": File("#!/bin/sh\n", "100755"), "link": File("config.json", "120000")}, tags=["v1"], likes=3)


def cdn_url(hub, path="model.safetensors", rev="main", **headers):
    first = ask(f"{hub.url}/org/tiny/resolve/{rev}/{path}", "HEAD", **headers)
    assert first.status == 302
    return first.headers["Location"]


# git

def test_trees_and_commits_equal_a_real_repository(tmp_path):
    """google-bert/bert-base-uncased at dd4bc8b2…, as huggingface.co shows it."""
    golden = json.loads(GOLDEN.read_text())
    store = GitStore(tmp_path / "x.git")
    tree, _ = store.put_tree({f["path"]: (f["mode"], f["oid"]) for f in golden["files"]})
    assert tree == golden["tree"]
    assert object_id("commit", golden["commit_body"].encode()) == golden["commit"]
    head, message = golden["commit_body"].split("\n\n", 1)
    parent = next(ln.split()[1] for ln in head.splitlines() if ln.startswith("parent"))
    assert store.put_commit(tree, [parent], "system <system@huggingface.co>", 1569268124, message) == golden["commit"]


def test_a_clone_is_sound_and_has_the_listed_ids(hub, model, tmp_path):
    hub.commit("org/tiny", {"config.json": "{}"}, message="change")
    head = ask(f"{hub.url}/api/models/org/tiny").json["sha"]
    subprocess.run(["git", "clone", "-q", f"{hub.url}/org/tiny", tmp_path / "c"], check=True)
    git = lambda *a: subprocess.run(["git", "-C", tmp_path / "c", *a], check=True, capture_output=True, text=True).stdout
    git("fsck", "--strict", "--full")
    assert git("log", "--format=%H").split() == [head, model]
    listed = {r["path"]: r["oid"] for r in ask(f"{hub.url}/api/models/org/tiny/tree/{head}?recursive=true").json}
    seen = {row.split("\t")[1]: row.split()[2] for row in git("-c", "core.quotePath=false", "ls-tree", "-r", "-t", head).splitlines()}
    assert seen == listed
    pointer = (tmp_path / "c/model.safetensors").read_text()
    lfs = next(r["lfs"] for r in ask(f"{hub.url}/api/models/org/tiny/tree/main").json if r["path"] == "model.safetensors")
    assert pointer == f"version https://git-lfs.github.com/spec/v1\noid sha256:{lfs['oid']}\nsize 300000\n"
    assert lfs["pointerSize"] == len(pointer) and lfs["size"] == 300_000
    assert git("ls-tree", head, "run.sh", "link").split()[0::4] == ["120000", "100755"]


def test_git_serves_a_filtered_commit_and_mishandles_gzip(hub, model, tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path / "c"], check=True)
    git = lambda *a: subprocess.run(["git", "-C", tmp_path / "c", *a], capture_output=True, text=True)
    assert git("fetch", "-q", "--depth=1", "--filter=blob:limit=1k", f"{hub.url}/org/tiny", model).returncode == 0
    body = gzip.compress(b"0014command=ls-refs\n0000")
    kind = "application/x-git-upload-pack-request"
    send = dict(method="POST", body=body, Content_Type=kind, Git_Protocol="version=2", Content_Encoding="gzip")
    assert b"refs/heads/main" not in ask(f"{hub.url}/org/tiny.git/git-upload-pack", **send).body
    hub.options.git_gzip = True
    assert b"refs/heads/main" in ask(f"{hub.url}/org/tiny.git/git-upload-pack", **send).body


# files

def test_small_file_takes_two_hops(hub, model):
    first = ask(f"{hub.url}/org/tiny/resolve/main/sub%20dir/a%23b%25.txt", "HEAD")
    assert first.status == 307 and first.headers["Location"].startswith(f"/api/resolve-cache/models/org/tiny/{model}/sub%20dir/")
    assert first.headers["X-Repo-Commit"] == model
    assert first.headers["X-Linked-Etag"] == f'"{object_id("blob", b"x")}"'
    second = ask(hub.url + first.headers["Location"])
    assert (second.status, second.body, second.headers["ETag"]) == (200, b"x", first.headers["X-Linked-Etag"])
    assert ask(hub.url + first.headers["Location"], If_None_Match=second.headers["ETag"]).status == 304
    hub.options.small_files = "direct"
    assert ask(f"{hub.url}/org/tiny/resolve/main/sub%20dir/a%23b%25.txt").body == b"x"


def test_lfs_file_is_on_another_host_under_another_etag(hub, model):
    first = ask(f"{hub.url}/org/tiny/resolve/main/model.safetensors", "HEAD")
    assert first.status == 302 and first.headers["X-Linked-Size"] == "300000"
    where = urllib.parse.urlsplit(first.headers["Location"])
    assert where.hostname != urllib.parse.urlsplit(hub.url).hostname
    whole = ask(first.headers["Location"])
    assert f'"{hashlib.sha256(whole.body).hexdigest()}"' == first.headers["X-Linked-Etag"]
    assert whole.headers["ETag"] == f'"{first.headers["X-Xet-Hash"]}"' != first.headers["X-Linked-Etag"]
    assert ask(f"{hub.url}/org/tiny/raw/main/model.safetensors").body.startswith(b"version https://git-lfs")


@pytest.mark.parametrize("asked, status, content_range, part", [
    ("bytes=0-9", 206, "bytes 0-9/300000", slice(0, 10)), ("bytes=299990-400000", 206, "bytes 299990-299999/300000", slice(299990, None)),
    ("bytes=-5", 206, "bytes 299995-299999/300000", slice(-5, None)), ("bytes=300000-", 416, "bytes */300000", slice(0, 0)),
    ("bytes=7-", 206, "bytes 7-299999/300000", slice(7, None)), ("chickens=1-2", 200, None, slice(None))])
def test_ranges(hub, model, asked, status, content_range, part):
    url = cdn_url(hub)
    whole = ask(url).body
    got = ask(url, Range=asked)
    assert (got.status, got.headers["Content-Range"], got.body) == (status, content_range, whole[part])


def test_signed_urls_expire_and_cannot_be_made_up(hub, model):
    hub.options.url_lifetime_s = -1
    assert ask(cdn_url(hub)).status == 403
    hub.options.url_lifetime_s = 3600
    url = cdn_url(hub)
    assert ask(url).status == 200
    assert ask(url.replace("Expires=1", "Expires=2")).status == 403


def test_missing_file_names_its_commit(hub, model):
    got = ask(f"{hub.url}/org/tiny/resolve/main/nope.bin", "HEAD")
    assert (got.status, got.headers["X-Error-Code"], got.headers["X-Repo-Commit"]) == (404, "EntryNotFound", model)
    bad = ask(f"{hub.url}/api/models/org/tiny/revision/badrev")
    assert (bad.status, bad.headers["X-Error-Code"], bad.json) == (404, "RevisionNotFound", {"error": "Invalid rev id: badrev"})


# JSON

def test_tree_pages(hub):
    hub.add_model("org/many", {f"d{i % 7}/f{i:04d}.txt": "same" for i in range(2500)})
    url, rows, pages = f"{hub.url}/api/models/org/many/tree/main?recursive=true", [], 0
    while url:
        page = ask(url)
        rows, pages = rows + page.json, pages + 1
        link = page.headers["Link"]
        url = link[1:link.index(">")] if link else None
    assert pages == 3 and len({r["path"] for r in rows}) == len(rows) == 2500 + 7 + 1
    top = ask(f"{hub.url}/api/models/org/many/tree/main").json
    assert [r["type"] for r in top] == ["directory"] * 7 + ["file"]
    assert ask(f"{hub.url}/api/models/org/many/tree/main/d3").json[0]["path"].startswith("d3/f")
    assert ask(f"{hub.url}/api/models/org/many/tree/main/none").headers["X-Error-Code"] == "EntryNotFound"
    # a cursor is base64 of base64: it says after which name to go on
    first = ask(f"{hub.url}/api/models/org/many/tree/main?limit=2").headers["Link"]
    cursor = urllib.parse.parse_qs(urllib.parse.urlsplit(first[1:first.index(">")]).query)["cursor"][0]
    assert json.loads(base64.b64decode(base64.b64decode(cursor)[:-2]))["file_name"] == "d1"


def test_info_and_its_shapes(hub, model):
    info = ask(f"{hub.url}/api/models/org/tiny?blobs=true").json
    assert info["sha"] == model and info["cardData"]["license"] == "apache-2.0" and "license:apache-2.0" in info["tags"]
    weights = next(s for s in info["siblings"] if s["rfilename"] == "model.safetensors")
    assert set(weights) == {"rfilename", "size", "blobId", "lfs"} and set(weights["lfs"]) == {"sha256", "size", "pointerSize"}
    assert [s["rfilename"] for s in info["siblings"]] == sorted(s["rfilename"] for s in info["siblings"])
    few = ask(f"{hub.url}/api/models/org/tiny?expand=sha&expand[]=gated").json
    assert set(few) == {"_id", "id", "sha", "gated"}
    packed = ask(f"{hub.url}/api/models/org/tiny", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and json.loads(gzip.decompress(packed.body))["id"] == "org/tiny"
    assert packed.headers["Content-Length"] is None and packed.headers["RateLimit"].startswith('"api";r=')
    for rev in ("v1", model[:8], "refs%2Fheads%2Fmain", "HEAD"):
        assert ask(f"{hub.url}/api/models/org/tiny/revision/{rev}").json["sha"] == model


def test_listing_filters_sorts_and_pages(hub, model):
    for i in range(25):
        hub.add_model(f"acme/m{i:02d}", {"README.md": CARD.replace("apache-2.0", "mit" if i % 2 else "apache-2.0")}, likes=i % 5)
    names = lambda q: [m["id"] for m in ask(f"{hub.url}/api/models?{q}").json]
    assert len(names("author=acme")) == 25 and names("search=TINY") == ["org/tiny"]
    assert len(names("author=acme&filter=license:mit")) == 12
    assert names("author=acme&filter=license:mit&filter=gguf") == []
    url, seen = f"{hub.url}/api/models?author=acme&sort=likes&limit=4", []
    while url:
        page = ask(url)
        seen += [(m["likes"], m["id"]) for m in page.json]
        link = page.headers["Link"]
        url = link[1:link.index(">")] if link else None
    assert len(set(seen)) == len(seen) == 25 and [s[0] for s in seen] == sorted((s[0] for s in seen), reverse=True)


def test_paths_info_takes_form_and_json(hub, model):
    url = f"{hub.url}/api/models/org/tiny/paths-info/main"
    form = ask(url, "POST", "paths=config.json&paths=gone&paths=sub%20dir", Content_Type="application/x-www-form-urlencoded").json
    assert [(r["path"], r["type"]) for r in form] == [("config.json", "file"), ("sub dir", "directory")]
    sent = ask(url, "POST", json.dumps({"paths": ["model.safetensors"], "expand": True}), Content_Type="application/json").json
    assert sent[0]["lastCommit"]["id"] == model and len(sent[0]["xetHash"]) == 64


def test_card_front_matter():
    assert front_matter("---\r\na: 1\r\nb:\r\n  - x\r\n  - y: 'z'\r\n    w: [p, q]\r\n---\r\nrest") == {"a": 1, "b": ["x", {"y": "z", "w": ["p", "q"]}]}
    assert front_matter("no card") == {} and front_matter("---\n{{[[\n---\n") == {}


# who may see what

def test_gated(hub, model):
    hub.update("org/tiny", gated="manual")
    hub.add_token(TOKEN, granted=["org/tiny"])
    hub.add_token(TOKEN + "x")
    url = f"{hub.url}/org/tiny/resolve/main/config.json"
    assert [ask(url).status, ask(url, Authorization="Bearer nonsense").status, ask(url, Authorization=f"Bearer {TOKEN}x").status,
            ask(url, Authorization=f"Bearer {TOKEN}").status] == [401, 401, 403, 200]
    assert ask(url).headers["X-Error-Code"] == "GatedRepo"
    assert ask(f"{hub.url}/org/tiny/resolve/main/README.md").status == 200
    masked = next(r for r in ask(f"{hub.url}/api/models/org/tiny/tree/main").json if "lfs" in r)
    assert masked["lfs"]["oid"] == masked["xetHash"] == "*" * 64
    assert ask(f"{hub.url}/org/tiny.git/info/refs?service=git-upload-pack").status == 401
    basic = "Basic " + base64.b64encode(f"user:{TOKEN}".encode()).decode()
    assert ask(f"{hub.url}/org/tiny.git/info/refs?service=git-upload-pack", Authorization=basic).status == 200


def test_private_missing_disabled_renamed(hub, model):
    hub.add_token(TOKEN, user="ann", sees=["org/tiny"])
    hub.add_token(TOKEN + "x")
    bearer = {"Authorization": f"Bearer {TOKEN}x"}
    hub.update("org/tiny", private=True)
    for name in ("org/tiny", "org/none"):
        anonymous, known = ask(f"{hub.url}/api/models/{name}"), ask(f"{hub.url}/api/models/{name}", **bearer)
        assert (anonymous.status, anonymous.headers["X-Error-Code"], anonymous.json["error"]) == (401, None, "Invalid username or password.")
        assert (known.status, known.headers["X-Error-Code"]) == (404, "RepoNotFound")
    assert ask(f"{hub.url}/api/models/org/tiny", Authorization=f"Bearer {TOKEN}").status == 200
    assert ask(f"{hub.url}/api/whoami-v2", Authorization=f"Bearer {TOKEN}").json["name"] == "ann"
    hub.update("org/tiny", private=False, disabled=True)
    assert ask(f"{hub.url}/api/models/org/tiny").headers["X-Error-Message"] == "Access to this resource is disabled."
    hub.update("org/tiny", disabled=False)
    hub.rename("org/tiny", "new/name")
    moved = ask(f"{hub.url}/api/models/org/tiny/tree/main?limit=1")
    assert (moved.status, moved.headers["Location"]) == (307, "/api/models/new/name/tree/main?limit=1")
    assert ask(f"{hub.url}/api/models/NEW/Name").headers["Location"] == "/api/models/new/name"
    hub.delete("new/name")
    assert ask(f"{hub.url}/api/models/new/name").status == 401


def test_rate_limit_is_announced_and_enforced():
    with Hub(rate_limits={"api": (3, 300), "resolvers": (9, 300), "pages": (9, 300)}) as hub:
        hub.add_model("org/tiny", {"a.txt": "x"})
        answers = [ask(f"{hub.url}/api/models/org/tiny") for _ in range(4)]
        assert [a.status for a in answers] == [200, 200, 200, 429]
        assert [a.headers["RateLimit"].split(";")[1] for a in answers] == ["r=2", "r=1", "r=0", "r=0"]
        assert 0 < int(answers[3].headers["Retry-After"]) <= 300


# faults

def test_faults_act_as_often_as_told(hub, model):
    rule = hub.faults.add(route="info", status=503, skip=1, times=2, retry_after=7)
    answers = [ask(f"{hub.url}/api/models/org/tiny") for _ in range(4)]
    assert [a.status for a in answers] == [200, 503, 503, 200]
    assert answers[1].headers["Retry-After"] == "7" and hub.faults.acted(rule) == 2
    with pytest.raises(ValueError, match="no key 'statos'"):
        hub.faults.add(statos=500)


def test_broken_bodies(hub, model):
    url = cdn_url(hub)
    whole = ask(url).body
    hub.faults.add(listener="cdn", truncate=1000, times=1)
    with pytest.raises(http.client.IncompleteRead) as short:
        ask(url)
    assert short.value.partial == whole[:1000]
    hub.faults.add(listener="cdn", reset=5000, times=1)
    with pytest.raises(ConnectionResetError):
        ask(url)
    hub.faults.add(listener="cdn", corrupt=1234, times=2)
    wrong = ask(url).body
    assert [i for i in range(len(whole)) if wrong[i] != whole[i]] == [1234]
    assert ask(url, Range="bytes=1230-1239").body == wrong[1230:1240] != whole[1230:1240]
    assert ask(url).body == whole
    hub.faults.add(listener="cdn", close=True, times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url)


def test_slow_bodies(hub, model):
    url = cdn_url(hub)
    hub.faults.add(file="*.safetensors", stall=[100_000, 0.5], times=1)
    began = time.monotonic()
    assert len(ask(url).body) == 300_000 and time.monotonic() - began > 0.5
    hub.faults.add(listener="cdn", throttle=600_000, times=1)
    began = time.monotonic()
    assert len(ask(url).body) == 300_000 and 0.3 < time.monotonic() - began < 2


def test_lies_about_ranges_lengths_and_etags(hub, model):
    url = cdn_url(hub)
    hub.faults.add(listener="cdn", ignore_range=True, times=1)
    assert ask(url, Range="bytes=10-").status == 200
    hub.faults.add(listener="cdn", etag="changing", times=2)
    assert ask(url).headers["ETag"] != ask(url).headers["ETag"]
    hub.faults.add(listener="cdn", wrong_range=3, times=1)
    assert ask(url, Range="bytes=10-19").headers["Content-Range"] == "bytes 13-19/300000"
    hub.faults.add(route="resolve", linked_size=-1, times=1)
    assert ask(f"{hub.url}/org/tiny/resolve/main/model.safetensors", "HEAD").headers["X-Linked-Size"] == "299999"
    hub.faults.add(route="resolve", expires=-5, times=1)
    assert ask(cdn_url(hub)).status == 403
    hub.faults.add(listener="cdn", content_length=50, times=1)
    with pytest.raises(http.client.IncompleteRead):
        ask(url)


def test_redirects_that_lead_astray(hub, model):
    rule = hub.faults.add(route="resolve", redirect="loop", times=1)
    assert ask(f"{hub.url}/org/tiny/resolve/main/a").headers["Location"] == "/org/tiny/resolve/main/a"
    hub.faults.remove(rule)
    hub.faults.add(route="resolve", redirect="other")
    away = ask(f"{hub.url}/org/tiny/resolve/main/config.json").headers["Location"]
    assert away.startswith(hub.other_url) and ask(away, Authorization="Bearer x").status == 200
    assert [r.authorization for r in hub.requests(listener="other")] == [True]


def test_lying_listings(hub, model):
    hub.faults.add(listing={"patch": {"config.json": {"size": 5}, "model.safetensors": {"lfs_oid": "0" * 64}}, "drop": ["run.*"],
                            "add": [{"type": "file", "path": p, "size": 1, "oid": "0" * 40} for p in ("../x", "/etc/x", "a//b", "a\0b", "CONFIG.json")]})
    rows = {r["path"]: r for r in ask(f"{hub.url}/api/models/org/tiny/tree/main").json}
    assert rows["config.json"]["size"] == 5 and rows["model.safetensors"]["lfs"]["oid"] == "0" * 64 and "run.sh" not in rows
    assert {"../x", "/etc/x", "a//b", "a\0b", "CONFIG.json"} <= set(rows)
    assert "../x" in [s["rfilename"] for s in ask(f"{hub.url}/api/models/org/tiny").json["siblings"]]


def test_nonsense_answers(hub, model):
    hub.faults.add(route="tree", malformed=True, times=1)
    with pytest.raises(ValueError):
        ask(f"{hub.url}/api/models/org/tiny/tree/main").json
    hub.faults.add(route="tree", html=True, times=1)
    assert b"<form" in ask(f"{hub.url}/api/models/org/tiny/tree/main").body
    hub.faults.add(route="tree", endless=True)
    url = f"{hub.url}/api/models/org/tiny/tree/main"
    for _ in range(20):
        page = ask(url)
        assert len(page.json) == 1000
        url = page.headers["Link"][1:page.headers["Link"].index(">")]


def test_hostile_names_can_be_in_the_git_tree_itself(hub, tmp_path):
    sha = hub.add_model("org/evil", {"../x": "1", ".git/config": "2", "Twin": "4", "twin": "5", "tab\tnew\nline": "6"})
    git = lambda *a: subprocess.run(["git", "-C", tmp_path / "c", *a], capture_output=True, text=True)
    subprocess.run(["git", "init", "-q", tmp_path / "c"], check=True)
    assert git("fetch", "-q", "--depth=1", f"{hub.url}/org/evil", sha).returncode == 0
    assert set(git("ls-tree", "-z", "-r", "--name-only", sha).stdout.split("\0")) >= {"../x", ".git/config", "Twin", "twin", "tab\tnew\nline"}
    with pytest.raises(ValueError, match="git can't hold"):
        hub.commit("org/evil", {"a//b": "x"})


def test_control_door(hub, model):
    rules = [{"route": "info", "status": 500, "times": 1}]
    assert ask(f"{hub.url}/_hub/faults", "POST", json.dumps(rules)).json["ids"]
    assert ask(f"{hub.url}/api/models/org/tiny").status == 500
    assert ask(f"{hub.url}/_hub/faults").json["faults"][0]["acted"] == 1
    assert ask(f"{hub.url}/_hub/faults", "DELETE").status == 200
    assert ask(f"{hub.url}/_hub/faults", "POST", '{"nonsense": 1}').status == 400
    assert [r["route"] for r in ask(f"{hub.url}/_hub/log").json["requests"]] == ["info"]
    ask(f"{hub.url}/_hub/models/org/tiny", "POST", json.dumps({"commit": {"new.txt": "hello"}, "message": "more"}))
    assert ask(f"{hub.url}/org/tiny/raw/main/new.txt").body == b"hello"


@pytest.mark.parametrize("what", ["api/models/org/tiny", "org/tiny/resolve/main/config.json", "org/tiny/raw/main/README.md", "org/tiny/raw/main/empty.txt"])
def test_an_answer_that_was_read_is_logged(hub, model, what):
    hub.options.small_files = "direct"
    listener = hub.listeners["hub"]
    done = listener.done
    listener.done = lambda *a: time.sleep(0.3) or done(*a)
    for method in "GET", "HEAD":
        assert ask(f"{hub.url}/{what}", method).status == 200
        assert [r.method for r in hub.requests(path=f"/{what}")][-1:] == [method]
    hub.faults.add(close="rst")
    with pytest.raises(ConnectionError):
        ask(f"{hub.url}/{what}")
    assert hub.requests()[-1].status == 599


def test_the_log_does_not_wait_for_stalls(hub, model):
    url = cdn_url(hub)
    host = urllib.parse.urlsplit(url)
    hub.faults.add(listener="cdn", stall=[300_000, 30])
    with socket.create_connection((host.hostname, host.port)) as s:
        s.sendall(f"GET {host.path}?{host.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        got = 0
        while got < 300_000:
            got += len(s.recv(1 << 16))
        began = time.monotonic()
        assert not hub.requests(listener="cdn") and time.monotonic() - began < 0.5


# bulk and connections

def test_large_files_cost_no_memory(hub):
    size, digest = 5 << 30, "7f06c62352aebd8125b2a1841e2b9e1ffcbed602f381c3dcb3200200e383d1d5"
    hub.add_model("org/big", {"model.safetensors": Sparse(size, digest)})
    url = ask(f"{hub.url}/org/big/resolve/main/model.safetensors", "HEAD").headers["Location"]
    tail = ask(url, Range=f"bytes={size - 4}-")
    assert tail.status == 206 and tail.body == b"\0" * 4
    began, n = time.monotonic(), 0
    with urllib.request.urlopen(url) as body:
        while n < 1 << 30:
            n += len(body.read(1 << 20))
    assert n / (time.monotonic() - began) > 100e6, "the stand-in must not be what a transfer waits for"


def test_connections_are_kept(hub, model):
    conn = http.client.HTTPConnection(urllib.parse.urlsplit(hub.url).netloc)
    for _ in range(5):
        conn.request("GET", "/api/models/org/tiny")
        conn.getresponse().read()
    conn.close()
    assert len({r.connection for r in hub.requests()}) == 1


def test_raw_targets_and_nonsense_do_not_stop_it(hub, model):
    host = urllib.parse.urlsplit(hub.url)
    for line in (b"GARBAGE\r\n\r\n", b"GET /org/tiny/resolve/main/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n"):
        with socket.create_connection((host.hostname, host.port)) as s:
            s.sendall(line)
            s.shutdown(socket.SHUT_WR)
            assert s.recv(100).startswith(b"HTTP/1.1 4")
    assert ask(f"{hub.url}/api/models/org/tiny").status == 200


# real clients

def test_huggingface_hub_agrees(hub, model, hf_client, tmp_path):
    code = """
import huggingface_hub as h, json, sys
api = h.HfApi()
where = h.snapshot_download("org/tiny")
info = api.model_info("org/tiny", files_metadata=True)
print(json.dumps({"where": where, "sha": info.sha, "license": info.card_data.license, "ids": [m.id for m in api.list_models(filter="license:apache-2.0")],
  "missing": api.file_exists("org/tiny", "nope.json"), "tree": [r.path for r in api.list_repo_tree("org/tiny", recursive=True, expand=True)],
  "tags": [t.name for t in api.list_repo_refs("org/tiny").tags]}))
"""
    done = hf_client(hub.url, code, HF_HUB_DISABLE_XET="1")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout.splitlines()[-1])
    assert (got["sha"], got["license"], got["ids"], got["missing"], got["tags"]) == (model, "apache-2.0", ["org/tiny"], False, ["v1"])
    where = Path(got["where"])
    for path, entry in hub.repos["org/tiny"].head.entries.items():
        assert (where / path).read_bytes() == entry.read(1 << 30), path
    assert not [r for r in hub.requests(listener="cdn") if r.authorization]
