"""A model that came through the whole pipeline answers as its upstream did, and what people decide about it counts at once."""
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

ODD = {"docs/a b/x#1%.txt": b"odd", "docs/deep/er/y.md": b"y", "empty.txt": b""}


@pytest.fixture
def story(hub, models, registry):
    where = models / "tiny-story"
    files = {str(p.relative_to(where)): p.read_bytes() for p in where.rglob("*") if p.is_file()} | ODD
    commit = hub.add_model("org/story", files, tags=["v1"])
    registry.ctl("sync", "org/story")
    return commit, files


def ask(base, path, method="GET", **headers):
    request = urllib.request.Request(base + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def get_json(base, path):
    return json.loads(ask(base, path)[2])


def plain(entries):
    """Entries of a tree without what only the real Hub has."""
    return sorted(({k: v for k, v in e.items() if k not in ("xetHash", "securityFileStatus")} for e in entries), key=lambda e: e["path"])


def test_answers_equal_upstreams(hub, registry, story):
    commit, files = story
    for path in f"tree/{commit}?recursive=true", "tree/main", "tree/main/docs", "tree/main/docs%2Fdeep?recursive=1":
        path = f"/api/models/org/story/{path}"
        assert plain(get_json(registry.url, path)) == plain(get_json(hub.url, path)), path
    ours, theirs = (get_json(base, "/api/models/org/story?blobs=true") for base in (registry.url, hub.url))
    for key in "id", "modelId", "sha", "private", "gated", "pipeline_tag", "library_name", "author":
        assert ours.get(key) == theirs.get(key), key
    strip = [{k: v for k, v in s.items() if k != "xetHash"} for s in theirs["siblings"]]
    assert sorted(ours["siblings"], key=lambda s: s["rfilename"]) == sorted(strip, key=lambda s: s["rfilename"])
    assert "license:apache-2.0" in ours["tags"] and ours["safetensors"]["total"] > 1000
    etags = {e["path"]: (e.get("lfs") or e)["oid"] for e in get_json(hub.url, "/api/models/org/story/tree/main?recursive=true")}
    for path in files:
        url = f"/org/story/resolve/{commit}/{urllib.parse.quote(path)}"
        status, headers, body = ask(registry.url, url)
        assert (status, body, headers["X-Repo-Commit"]) == (200, files[path], commit), path
        assert headers["ETag"] == f'"{etags[path]}"', path


def test_decisions_count_at_once(registry, story):
    """Asked for again and again, so that kept answers would show."""
    commit, _ = story
    paths = ["/api/models/org/story", f"/api/models/org/story/tree/{commit}", "/org/story/resolve/main/config.json", "/org/story"]

    def statuses():
        return {ask(registry.url, p)[0] for p in paths} | {ask(registry.url, "/org/story/resolve/main/config.json", "HEAD")[0]}

    for _ in range(20):
        assert statuses() == {200}
    for verb, status in (["withdraw", "org/story", "--reason", "leaked data"], 403), (["restore", "org/story"], 200), (["withdraw", "org/story", "--reason", "court order", "--legal"], 451), \
            (["restore", "org/story"], 200), (["retire", "org/story"], 410), (["restore", "org/story"], 200):
        registry.ctl(*verb)
        assert statuses() == {status}, verb
        listed = [m["id"] for m in get_json(registry.url, "/api/models")]
        assert listed == (["org/story"] if status == 200 else []), verb
        words = {403: "leaked data", 451: "court order"}.get(status)
        if words:
            assert words in ask(registry.url, paths[0])[1]["X-Error-Message"]


def test_a_sunset_comes_on_its_second(registry, story, hub, models):
    """Nothing writes anything at that moment: the door itself knows the time."""
    where = models / "tiny-story"
    hub.add_model("org/next", where)
    registry.ctl("sync", "org/next")
    end = int(time.time()) + 4
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    registry.post("/-/v1/models/org/story/-/deprecate", {"sunset": at, "successor": "org/next", "reason": "short notice", "force": True})
    seen = set()
    while time.time() < end + 2:
        before = time.time()
        status, headers, _ = ask(registry.url, "/api/models/org/story")
        after = time.time()
        if after < end:
            assert status == 200 and "use org/next" in headers["X-HF-Warning"] and headers["Sunset"]
        elif before >= end + 1:
            assert status == 410 and "org/next" in headers["X-Error-Message"]
            assert "org/story" not in [m["id"] for m in get_json(registry.url, "/api/models")]
        seen.add(status)
        time.sleep(0.05)
    assert seen == {200, 410}


def test_a_token_of_ours(registry, story):
    made = registry.json("token", "create", "ci", "--role", "reader")
    token = made["token"]
    assert ask(registry.url, "/api/whoami-v2", Authorization=f"Bearer {token}")[0] == 200
    registry.ctl("token", "revoke", "ci")
    assert ask(registry.url, "/api/whoami-v2", Authorization=f"Bearer {token}")[0] == 401


def test_pulls_are_counted(registry, story):
    for _ in range(3):
        ask(registry.url, "/org/story/resolve/main/config.json")
        ask(registry.url, "/org/story/resolve/main/config.json", "HEAD")
    ask(registry.url, "/org/story/resolve/main/config.json", Authorization=f"Bearer {registry.token()}")
    registry.stop()     # counts are written at the latest now
    registry.start()
    used = {u["consumer"]: u["pulls"] for u in registry.json("usage", "org/story")}
    assert used == {"127.0.0.1": 3, "admin": 1}
