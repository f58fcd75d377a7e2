"""The Hub's read API byte by byte: statuses, headers and bodies that clients of all kinds rely on (no client involved)."""
import hashlib
import json
import socket
import urllib.request
from urllib.parse import quote

import pytest

from tests.system.registry import Registry
from tests.system.seeded import Seeded

WEIGHTS = bytes(range(256)) * 4000
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "config.json": b'{"model_type": "llama"}\n',
    "model.safetensors": WEIGHTS,
    "empty.txt": b"",
    "sub dir/a#b?c%d.txt": b"odd name\n",
    "sub dir/deep/x+y.json": b"{}",
    "config/\u65b9\u6b63.txt": b"not ascii\n",
}


def git_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def pointer(content):
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (sha256(content).encode(), len(content))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Seeded(tmp_path_factory.mktemp("wire")) as r:
        r.commits = {
            "org/m": r.seed("org/m", FILES, alias="old-org/m", license="mit", downloads=10),
            "org/held": r.seed("org/held", FILES, state="held"),
            "org/rejected": r.seed("org/rejected", FILES, state="rejected"),
            "org/gated": r.seed("org/gated", FILES, gated=True),
            "org/part": r.seed("org/part", FILES, leave_out=["*.txt"]),
            "solo": r.seed("solo", {"a.txt": b"a"}),
            "org/next": r.seed("org/next", {"a.txt": b"next"}),
            "org/ending": r.seed("org/ending", FILES, deprecated_at="2026-01-01", sunset_at="2099-06-30", successor="org/next"),
            "org/ended": r.seed("org/ended", FILES, deprecated_at="2020-01-01", sunset_at="2021-06-30", successor="org/next"),
            "org/retired": r.seed("org/retired", FILES, retired=True),
            "org/withdrawn": r.seed("org/withdrawn", FILES, withdrawn=True),
            "org/illegal": r.seed("org/illegal", FILES, legal=True),
        }
        yield r.start()
        assert r.stop() == 0, r.log


@pytest.fixture
def commit(site):
    return site.commits["org/m"]


# --- resolve -------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", FILES)
def test_a_file_is_whole_and_named_by_its_hash(site, commit, path):
    content, url = FILES[path], f"/org/m/resolve/main/{quote(path)}"
    got, head = site.get(url), site.head(url)
    assert got.status == head.status == 200
    assert got.body == content and head.body == b""
    wanted = sha256(content) if path.endswith(".safetensors") else git_id(content)
    for answer in got, head:
        assert answer["X-Repo-Commit"] == commit
        assert answer["ETag"] == answer["X-Linked-Etag"] == f'"{wanted}"'
        assert answer["X-Linked-Size"] == answer["Content-Length"] == str(len(content))
        assert answer["Accept-Ranges"] == "bytes"
        assert "Location" not in answer.headers and "Content-Encoding" not in answer.headers
        assert quote(path.split("/")[-1], safe="") in answer["Content-Disposition"]


@pytest.mark.parametrize("rev", ["main", "HEAD", "commit", "short"])
def test_revisions_by_every_name(site, commit, rev):
    rev = {"commit": commit, "short": commit[:7]}.get(rev, rev)
    assert site.get(f"/org/m/resolve/{rev}/config.json")["X-Repo-Commit"] == commit
    assert site.get(f"/api/models/org/m/revision/{rev}").json()["sha"] == commit


@pytest.mark.parametrize("header,status,first,last", [
    ("bytes=0-0", 206, 0, 0), ("bytes=10-19", 206, 10, 19), ("bytes=1023990-", 206, 1023990, 1023999), ("bytes=-5", 206, 1023995, 1023999),
    ("bytes=1023999-9999999", 206, 1023999, 1023999), ("bytes=0-100000", 206, 0, 100000),
])
def test_ranges(site, header, status, first, last):
    got = site.get("/org/m/resolve/main/model.safetensors", Range=header)
    assert (got.status, got.body) == (status, WEIGHTS[first:last + 1])
    assert got["Content-Range"] == f"bytes {first}-{last}/{len(WEIGHTS)}"
    whole = site.head("/org/m/resolve/main/model.safetensors", Range=header)      # a part is for GET alone
    assert (whole.status, whole["Content-Length"], whole["Content-Range"]) == (200, str(len(WEIGHTS)), None)


@pytest.mark.parametrize("header", ["bytes=0-0,5-6", "bytes=5-3", "lines=0-1", "bytes=x", "bytes=-"])
def test_ranges_that_are_ignored(site, header):
    got = site.get("/org/m/resolve/main/model.safetensors", Range=header)
    assert got.status == 200 and got.body == WEIGHTS


@pytest.mark.parametrize("header", ["bytes=1024000-", "bytes=99999999999999999999-", "bytes=-0"])
def test_ranges_beyond_the_end(site, commit, header):
    got = site.get("/org/m/resolve/main/model.safetensors", Range=header)
    assert got.status == 416 and got["Content-Range"] == f"bytes */{len(WEIGHTS)}" and got["X-Repo-Commit"] == commit


def test_range_of_an_empty_file(site):
    got = site.get("/org/m/resolve/main/empty.txt", Range="bytes=0-0")
    assert (got.status, got["Content-Length"], got["Content-Range"]) == (200, "0", "bytes */0")


def test_not_modified_and_if_range(site, commit):
    url, etag = "/org/m/resolve/main/model.safetensors", f'"{sha256(WEIGHTS)}"'
    for value in etag, f'"x", W/{etag}', "*", sha256(WEIGHTS):
        got = site.get(url, If_None_Match=value)
        assert (got.status, got.body, got["X-Repo-Commit"], got["ETag"]) == (304, b"", commit, etag)
        assert got["Content-Length"] in (None, str(len(WEIGHTS)))
    assert site.get(url, If_None_Match='"other"').status == 200
    assert site.get(url, If_Range=etag, Range="bytes=0-3").status == 206
    assert site.get(url, If_Range='"other"', Range="bytes=0-3").status == 200
    assert site.get(url, If_Range="Fri, 20 Nov 2026 12:00:00 GMT", Range="bytes=0-3").status == 200


def test_raw_is_what_git_has(site, commit):
    assert site.get("/org/m/raw/main/config.json").body == FILES["config.json"]
    got = site.get("/org/m/raw/main/model.safetensors")
    assert (got.status, got.body, got["ETag"]) == (200, pointer(WEIGHTS), f'"{git_id(pointer(WEIGHTS))}"')
    assert site.head("/org/m/raw/main/model.safetensors")["Content-Length"] == str(len(pointer(WEIGHTS)))
    assert site.head("/org/m/raw/main/nothing").status == 404


def test_pipelined_and_kept_connections(site):
    """Several requests on one connection, sent at once: all are answered, in order."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as s:
        for name in "config.json", "empty.txt", "README.md":
            s.sendall(f"GET /org/m/resolve/main/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while piece := s.recv(65536):
            text += piece
    assert text.count(b"HTTP/1.1 200 OK") == 4
    assert text.index(FILES["config.json"]) < text.index(FILES["README.md"]) < text.index(b"ok\n")


@pytest.mark.parametrize("target,status", [
    ("http://models.example:8640/org/m/resolve/main/config.json", 200), ("HTTPS://models.example/api/models?limit=1", 200), ("http://models.example", 200),
    ("http://models.example?search=m", 200), ("http://models.example/nothing/at/all", 404), ("ftp://models.example/", 400), ("*", 400),
])
def test_the_absolute_form_of_a_target(site, target, status):
    """As for a proxy (RFC 9112, 3.2.2); what it names counts and not the Host header."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as s:
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n".encode())
        text = b""
        while piece := s.recv(65536):
            text += piece
    assert text.startswith(b"HTTP/1.1 %d " % status), text[:300]
    assert b"other.example" not in text
    if "limit=1" in target:
        assert b"Link: <http://models.example/api/models?" in text


# --- what may not be had --------------------------------------------------------------------------------------------------------------

def test_missing_file(site, commit):
    for method in "GET", "HEAD":
        got = site.ask(method, "/org/m/resolve/main/preset.ini")
        assert (got.status, got["X-Error-Code"], got["X-Error-Message"], got["X-Repo-Commit"]) == (404, "EntryNotFound", "Entry not found", commit)
    assert site.get("/org/m/resolve/main/preset.ini").body == b"Entry not found"


def test_a_message_in_a_header_is_ascii(site):
    got = site.get("/-/v1/models?format=caf%C3%A9%E2%82%AC")
    assert got["X-Error-Message"] == "unknown format 'caf??'" and got.json()["error"]["message"] == "unknown format 'caf\u00e9\u20ac'"


@pytest.mark.parametrize("repo", ["org/none", "org/held", "none", "org/held/"])
def test_missing_repository(site, repo):
    got = site.get(f"/api/models/{repo}")
    if not repo.endswith("/"):
        assert (got.status, got["X-Error-Code"], got.json()) == (404, "RepoNotFound", {"error": "Repository not found"})
        assert site.head(f"/{repo}/resolve/main/config.json")["X-Error-Code"] == "RepoNotFound"
    assert got.status == 404


def test_missing_revision(site):
    for path in "/api/models/org/m/revision/nope", "/api/models/org/m/tree/nope", "/org/m/resolve/nope/config.json", "/api/models/org/m/revision/" + "0" * 40:
        got = site.get(path)
        assert (got.status, got["X-Error-Code"]) == (404, "RevisionNotFound"), path
    assert site.get("/api/models/org/m/revision/nope").json() == {"error": "Invalid rev id: nope"}


def test_refused_by_the_gate(site):
    for path in "/api/models/org/rejected", "/org/rejected/resolve/main/config.json":
        got = site.get(path)
        assert got.status == 403 and "org/rejected was refused" in got["X-Error-Message"], path
    assert WEIGHTS[:64] not in site.get("/org/rejected/resolve/main/model.safetensors").body


def test_gated_needs_a_token(site):
    path = "/org/gated/resolve/main/config.json"
    for headers in {}, {"Authorization": "Bearer hf_" + "x" * 40}, {"Authorization": "Bearer nonsense"}:
        got = site.get(path, **headers)
        assert (got.status, got["X-Error-Code"]) == (401, "GatedRepo")
    assert site.get("/api/models/org/gated").json()["gated"] == "auto"
    assert site.get("/api/models/org/gated/auth-check").status == 401
    known = {"Authorization": f"Bearer {site.admin}"}
    assert site.get(path, **known).body == FILES["config.json"]
    assert site.get("/api/models/org/gated/auth-check", **known).status == 200


def test_a_foreign_token_does_not_hurt(site):
    """People have a token of huggingface.co in their environment; it is sent here too."""
    assert site.get("/org/m/resolve/main/config.json", Authorization="Bearer hf_" + "q" * 34).status == 200


def test_renamed(site):
    got = site.get("/api/models/old-org/m/revision/main?blobs=true")
    assert (got.status, got["Location"]) == (307, "/api/models/org/m/revision/main?blobs=true")
    assert site.head("/old-org/m/resolve/main/config.json")["Location"] == "/org/m/resolve/main/config.json"
    assert site.get("/api/models/ORG/M").json()["id"] == "org/m"


def test_deprecated_is_served_with_a_warning(site):
    for path in "/api/models/org/ending", "/org/ending/resolve/main/config.json", "/api/models/org/ending/tree/main", "/org/ending":
        got = site.get(path)
        assert got.status == 200, path
        assert got["Deprecation"] == "@1767225600"
        assert got["Sunset"] == "Tue, 30 Jun 2099 00:00:00 GMT"
        assert got["Link"] == f'<{site.url}/org/next>; rel="successor-version"'
        assert got["X-HF-Warning"] == "deprecated; org/ending is deprecated until 2099-06-30, use org/next"
    assert "Deprecation" not in site.get("/api/models/org/m").headers
    first, further = site.get("/api/models/org/ending/tree/main?limit=1")["Link"].split(", ")       # in one line: not every client reads a second
    assert first == f'<{site.url}/org/next>; rel="successor-version"' and further.endswith('>; rel="next"')


@pytest.mark.parametrize("repo,status,words", [
    ("org/ended", 410, "org/ended was retired on 2021-06-30; use org/next"), ("org/retired", 410, "org/retired was retired"),
    ("org/withdrawn", 403, "org/withdrawn has been withdrawn"), ("org/illegal", 451, "org/illegal is not available for legal reasons"),
])
def test_gone(site, repo, status, words):
    commit = site.commits[repo]
    for path in f"/api/models/{repo}", f"/api/models/{repo}/tree/{commit}", f"/{repo}/resolve/{commit}/config.json", f"/{repo}/raw/main/config.json", f"/{repo}":
        got = site.get(path)
        assert got.status == status, path
        assert words in got["X-Error-Message"]
        assert FILES["config.json"] not in got.body
    assert repo not in [m["id"] for m in site.get("/api/models?limit=1000").json()]


@pytest.mark.parametrize("method,path", [
    ("POST", "/api/models/org/m/commit/main"), ("POST", "/api/models/org/m/preupload/main"), ("POST", "/api/repos/create"),
    ("DELETE", "/api/repos/delete"), ("PUT", "/api/models/org/m/settings"), ("POST", "/api/models/org/m/branch/x"),
])
def test_writes(site, method, path):
    got = site.ask(method, path, body=b'{"x": 1}', Content_Type="application/json")
    assert (got.status, got["X-Error-Message"]) == (403, "read-only mirror")


@pytest.mark.parametrize("path", ["/api/agent-harnesses", "/api/telemetry/hf_hub/x", "/api/models/org/m/xet-read-token/main", "/api/datasets/a/b", "/datasets/a/b/resolve/main/x", "/nothing/at/all", "/-/nothing"])
def test_not_offered(site, path):
    assert site.get(path).status == 404
    assert site.head(path).status == 404


@pytest.mark.parametrize("path", ["/org/m/resolve/main/%00", "/org/m/resolve/main/%zz", "/org/m/resolve/main/%ff", "/api/models?limit=x", "/api/models?search=%00",
                                  "/api/models/org/m/tree/main?limit=0", "/api/models?sort=nonsense", "/api/models?num_parameters=min:many",
                                  "/api/models?num_parameters=max:0", "/api/models?num_parameters=max:0.4", "/api/models?num_parameters=min:0x10", "/api/models?num_parameters=min:%201K",
                                  "/api/models?num_parameters=min:1K&num_parameters=6B", "/api/models?limit=1&x=" + "(" * 4000, "/api/models/org/m/tree/main?limit=1&x=" + "(" * 4000,
                                  "/api/models?gated=foo", "/api/models?apps=vllm", "/-/v1/models?max_size=0", "/-/v1/models?commercial=yes",
                                  "/-/v1/models?deprecated=yes", "/-/v1/models?commercial=", "/-/v1/facets?deprecated=2", "/-/v1/jobs?active=no"])
def test_malformed_requests(site, path):
    got = site.get(path)
    assert got.status in (400, 404) and got["X-Error-Message"], got.status
    assert site.get("/-/healthy").body == b"ok\n"


@pytest.mark.parametrize("path", ["/org/m/resolve/main/../../../admin.token", "/org/m/resolve/main/..%2F..%2Fadmin.token", "/org/m/resolve/main//etc/passwd",
                                  "/-/assets/..%2Fstyle.css", "/org/m/resolve/main/catalog.sqlite", "//", "/..", "/%2e%2e/%2e%2e"])
def test_no_way_out(site, path):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        text = b""
        while piece := s.recv(65536):
            text += piece
    assert text.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), text[:200]
    assert site.admin.encode() not in text


def test_requests_that_are_too_large(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as s:
        s.sendall(b"GET /api/models?search=" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(65536).split(b" ")[1] in (b"413", b"414", b"431")
    big = json.dumps({"paths": ["x" * 1000] * 5000}).encode()
    assert site.ask("POST", "/api/models/org/m/paths-info/main", body=big, Content_Type="application/json").status == 413
    assert site.ask("POST", "/api/models/org/m/paths-info/main", body=json.dumps({"paths": ["x"] * 2001}).encode(), Content_Type="application/json").status == 400
    assert site.get("/-/healthy").status == 200


# --- listings ------------------------------------------------------------------------------------------------------------------------

def test_info(site, commit):
    info = site.get("/api/models/org/m?blobs=true").json()
    assert (info["id"], info["modelId"], info["author"], info["sha"]) == ("org/m", "org/m", "org", commit)
    assert (info["private"], info["gated"], info["disabled"]) == (False, False, False)
    assert "license:mit" in info["tags"] and info["safetensors"]["total"] == 260000
    assert [s["rfilename"] for s in info["siblings"]] == sorted(FILES, key=lambda p: p.encode())
    by_name = {s["rfilename"]: s for s in info["siblings"]}
    assert by_name["model.safetensors"] == {"rfilename": "model.safetensors", "size": len(WEIGHTS), "blobId": git_id(pointer(WEIGHTS)),
                                            "lfs": {"sha256": sha256(WEIGHTS), "size": len(WEIGHTS), "pointerSize": len(pointer(WEIGHTS))}}
    assert by_name["config.json"] == {"rfilename": "config.json", "size": len(FILES["config.json"]), "blobId": git_id(FILES["config.json"])}
    assert site.get("/api/models/org/m").json()["siblings"][0].keys() == {"rfilename"}
    assert site.get("/api/models/solo").json()["id"] == "solo"


def test_expand_gives_only_what_is_asked_for(site):
    for query in "expand=sha&expand=gated", "expand[]=sha&expand%5B%5D=gated":
        assert site.get(f"/api/models/org/m?{query}").json().keys() == {"_id", "id", "sha", "gated"}


def test_tree(site, commit):
    tree = site.get("/api/models/org/m/tree/main").json()
    assert [(e["type"], e["path"]) for e in tree] == [("directory", "config"), ("directory", "sub dir"), ("file", "README.md"), ("file", "config.json"),
                                                      ("file", "empty.txt"), ("file", "model.safetensors")]
    weights = tree[-1]
    assert weights == {"type": "file", "path": "model.safetensors", "size": len(WEIGHTS), "oid": git_id(pointer(WEIGHTS)),
                       "lfs": {"oid": sha256(WEIGHTS), "size": len(WEIGHTS), "pointerSize": len(pointer(WEIGHTS))}}
    everything = site.get("/api/models/org/m/tree/main?recursive=true&expand=false").json()
    assert {e["path"] for e in everything if e["type"] == "file"} == set(FILES)
    assert {e["path"] for e in everything if e["type"] == "directory"} == {"config", "sub dir", "sub dir/deep"}
    below = site.get("/api/models/org/m/tree/main/sub%20dir%2Fdeep").json()
    assert [e["path"] for e in below] == ["sub dir/deep/x+y.json"]
    assert site.get("/api/models/org/m/tree/main/sub%20dir?expand=true").json()[0]["lastCommit"]["id"] == commit
    for path in "additional_chat_templates", "config.json", "sub":
        got = site.get(f"/api/models/org/m/tree/main/{path}")
        assert (got.status, got["X-Error-Code"]) == (404, "EntryNotFound"), path


def test_directory_ids_are_gits(site):
    """sub dir/deep holds one file: its id is git's id of that tree."""
    name, blob = b"x+y.json", bytes.fromhex(git_id(FILES["sub dir/deep/x+y.json"]))
    body = b"100644 " + name + b"\0" + blob
    wanted = hashlib.sha1(b"tree %d\0" % len(body) + body).hexdigest()
    tree = site.get("/api/models/org/m/tree/main?recursive=true").json()
    assert next(e["oid"] for e in tree if e["path"] == "sub dir/deep") == wanted


def test_tree_pages(site):
    whole, pages, path = site.get("/api/models/org/m/tree/main?recursive=true").json(), [], "/api/models/org/m/tree/main?recursive=true&limit=3"
    while path:
        got = site.get(path)
        pages += got.json()
        link = got["Link"]
        assert len(got.json()) <= 3
        path = link and link.removeprefix(f"<{site.url}").removesuffix('>; rel="next"')
    assert pages == whole
    assert site.get("/api/models/org/m/tree/main?cursor=WlhsS2JXRnNlWE09OjUw").json() == []


def test_paths_info(site):
    form = "paths=config.json&paths=nothing&paths=sub+dir&expand=false"
    got = site.ask("POST", "/api/models/org/m/paths-info/main", body=form, Content_Type="application/x-www-form-urlencoded").json()
    assert [(e["type"], e["path"]) for e in got] == [("file", "config.json"), ("directory", "sub dir")]
    asked = json.dumps({"paths": ["model.safetensors"], "expand": True})
    got = site.ask("POST", "/api/models/org/m/paths-info/main", body=asked, Content_Type="application/json").json()
    assert got[0]["lfs"]["oid"] == sha256(WEIGHTS) and "lastCommit" in got[0]
    many = json.dumps({"paths": list(FILES) + [f"none{i}" for i in range(500)]})
    got = site.ask("POST", "/api/models/org/m/paths-info/main", body=many, Content_Type="application/json").json()
    assert {e["path"] for e in got} == set(FILES)


def test_refs_and_commits(site, commit):
    refs = site.get("/api/models/org/m/refs").json()
    assert refs == {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": commit}], "tags": [], "converts": []}
    assert site.get("/api/models/org/m/refs?include_prs=1").json()["pullRequests"] == []
    commits = site.get("/api/models/org/m/commits/main?limit=100").json()
    assert [c["id"] for c in commits] == [commit] and commits[0]["title"] == "A commit"
    assert site.get("/api/models/org/m/treesize/main").json()["size"] == sum(map(len, FILES.values()))


def test_a_partial_mirror_lists_only_what_it_holds(site):
    held = {p for p in FILES if not p.endswith(".txt")}
    assert {s["rfilename"] for s in site.get("/api/models/org/part").json()["siblings"]} == held
    tree = site.get("/api/models/org/part/tree/main?recursive=true").json()
    assert {e["path"] for e in tree if e["type"] == "file"} == held
    assert site.get("/org/part/resolve/main/empty.txt")["X-Error-Code"] == "EntryNotFound"


def test_listing(site):
    ids = [m["id"] for m in site.get("/api/models").json()]
    assert set(ids) == {"org/m", "org/gated", "org/part", "solo", "org/next", "org/ending"}
    assert [m["id"] for m in site.get("/api/models?search=PART").json()] == ["org/part"]
    assert site.get("/api/models?author=nobody").json() == []
    assert site.get("/api/models?filter=license:apache-2.0").json() == []
    assert len(site.get("/api/models?filter=license:mit&author=org").json()) == 5
    assert [m["id"] for m in site.get("/api/models?gated=true").json()] == ["org/gated"]
    first = site.get("/api/models?sort=downloads&limit=1")
    assert [m["id"] for m in first.json()] == ["org/m"]
    seen, path = [], "/api/models?limit=2&sort=lastModified&full=true"
    while path:
        got = site.get(path)
        seen += [m["id"] for m in got.json()]
        path = got["Link"] and got["Link"].removeprefix(f"<{site.url}").removesuffix('>; rel="next"')
    assert sorted(seen) == sorted(ids)
    full = site.get("/api/models?search=org/m&full=true").json()[0]
    assert full["sha"] == site.commits["org/m"] and full["siblings"] and full["gated"] is False
    assert site.get("/api/models?num_parameters=min:1M").json() == []
    assert site.get("/api/models?num_parameters=min:100K,max:1M").json() == site.get("/api/models?num_parameters=max:1M&num_parameters=min:100K&num_parameters=min:1").json() != []
    assert site.get("/api/models?num_parameters=min:0&num_parameters=max:1").json() == []
    assert site.get("/api/models?inference=warm").json() == []
    assert len(site.get("/api/models?skip=0").json()) == len(ids)
    refused = site.get("/api/models?limit=1&skip=1")        # not the first page once more
    assert refused.status == 400 and "skip=1: pages can't be skipped to here: follow the Link header" in refused.json()["error"]
    assert site.get("/api/models?apps=llama.cpp").json() == site.get("/api/models?filter=gguf").json()


def test_sorted_by_the_date_that_is_shown(tmp_path, hub):
    """That of the revision which is served, whatever upstream has committed since."""
    day = 86400
    with Registry(tmp_path / "r", upstream=hub.url, policy="licenses: {allow: [mit]}\nrequire: {smoke: none}\n") as reg:
        for name, days in ("s/a", 0), ("s/b", 30):
            hub.add_model(name, {"README.md": "---\nlicense: mit\n---\n", "config.json": "{}"}, date=1767225600 + days * day)
            reg.ctl("sync", name)
        hub.commit("s/a", {"README.md": "---\nlicense: gemma\n---\n"}, date=1767225600 + 60 * day)
        reg.ctl("sync", "s/a", code=5)
        listed = json.load(urllib.request.urlopen(f"{reg.url}/api/models?sort=lastModified&full=true"))
        assert [(m["id"], m["lastModified"][:10]) for m in listed] == [("s/b", "2026-01-31"), ("s/a", "2026-01-01")]
        assert [m["repo"] for m in reg.json("ls", "--sort", "-modified")] == ["s/b", "s/a"]


def test_whoami(site):
    got = site.get("/api/whoami-v2")
    assert (got.status, got.json()) == (401, {"error": "Invalid username or password."})
    me = site.get("/api/whoami-v2", Authorization=f"Bearer {site.admin}").json()
    assert (me["name"], me["type"], me["auth"]["accessToken"]["role"]) == ("admin", "user", "write")


# --- nothing anywhere leads a client to the Hub's chunk store ---------------------------------------------------------------------------

def test_no_chunk_store_markers(site, commit):
    paths = ["/api/models", "/api/models?full=true&cardData=true&config=true", "/api/models/org/m", "/api/models/org/m?blobs=true&securityStatus=true",
             "/api/models/org/m/revision/main", "/api/models/org/m/tree/main?recursive=true&expand=true", f"/api/models/org/m/tree/{commit}?recursive=True",
             "/api/models/org/m/refs", "/api/models/org/m/commits/main", "/org/m/resolve/main/model.safetensors", "/org/m/resolve/main/config.json",
             "/org/m/raw/main/model.safetensors", "/org/m/resolve/main/none", f"/api/models/org/m/xet-read-token/{commit}", "/org/m", "/"]
    for path in paths:
        for method in "GET", "HEAD":
            got = site.ask(method, path, Accept="application/vnd.xet-fileinfo+json, */*")
            assert "xet" not in (str(got.headers) + got.body.decode("latin-1") if "model.safetensors" not in path else str(got.headers)).lower(), path
    got = site.ask("POST", "/api/models/org/m/paths-info/main", body="paths=model.safetensors&expand=true", Content_Type="application/x-www-form-urlencoded")
    assert b"xet" not in got.body.lower()
