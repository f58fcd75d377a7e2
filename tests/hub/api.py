"""The JSON of the Hub's read API: model info, listing, tree, paths-info, refs, commits.

Field names, which of them appear when, and the shapes of cursors follow recordings of huggingface.co.
"""

import base64
import json
import urllib.parse

from . import card
from .faults import bend_listing
from .repo import stamp
from .wire import Response

MASK = "*" * 64                 # what a gated repository shows for its hashes to those without access
TREE_PAGE, TREE_PAGE_EXPANDED = 1000, 100
LIST_PAGE_MAX = 1000
PATHS_MAX = 2000
SORTS = {"createdAt": lambda r: r.created_at, "lastModified": lambda r: r.last_modified, "downloads": lambda r: r.downloads,
         "likes": lambda r: r.likes, "likes30d": lambda r: r.likes, "trendingScore": lambda r: r.trending, "id": lambda r: r.name}
DEFAULT_LIST = ["likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt", "modelId"]
FULL_LIST = DEFAULT_LIST + ["author", "sha", "lastModified", "gated", "disabled", "siblings"]
DEFAULT_INFO = FULL_LIST + ["config", "cardData", "model-index", "safetensors", "usedStorage", "spaces", "widgetData", "transformersInfo"]


def json_response(value, status=200, headers=()):
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")
    return Response(status, [("Content-Type", "application/json; charset=utf-8"), *headers], body)


def error(status, message, code=None, headers=(), text=False):
    """An error the way the Hub sends it: the header always, the body as JSON under /api and as text elsewhere."""
    head = [("X-Error-Code", code)] if code else []
    head += [("X-Error-Message", message.encode("latin-1", "replace").decode("latin-1")), *headers]
    if text:
        return Response(status, [("Content-Type", "text/plain; charset=utf-8"), *head], message.encode())
    return json_response({"error": message}, status, head)


# one model

def fields(repo, commit, blobs=False, masked=False, listing=None):
    """name -> function giving the field; only those asked for are computed."""
    facts = lambda: summary(repo, commit)
    return {
        "modelId": lambda: repo.name, "author": lambda: repo.author, "sha": lambda: commit.sha if commit else None,
        "lastModified": lambda: stamp(repo.last_modified), "createdAt": lambda: stamp(repo.created_at),
        "private": lambda: repo.private, "gated": lambda: repo.gated, "disabled": lambda: bool(repo.disabled),
        "downloads": lambda: repo.downloads, "downloadsAllTime": lambda: repo.downloads * 12, "likes": lambda: repo.likes,
        "trendingScore": lambda: repo.trending, "tags": lambda: facts()["tags"], "pipeline_tag": lambda: facts()["pipeline_tag"],
        "library_name": lambda: facts()["library_name"], "config": lambda: facts()["config"], "cardData": lambda: facts()["cardData"],
        "model-index": lambda: facts()["cardData"].get("model-index"), "safetensors": lambda: facts()["safetensors"],
        "siblings": lambda: siblings(repo, commit, blobs, masked, listing), "spaces": lambda: [],
        "usedStorage": lambda: sum({e.etag: e.size for c in repo.commits.values() for e in c.entries.values()}.values()),
        "widgetData": lambda: [{"text": "Once upon a time"}] if facts()["pipeline_tag"] == "text-generation" else None,
        "transformersInfo": lambda: {"auto_model": "AutoModelForCausalLM", "pipeline_tag": "text-generation", "processor": "AutoTokenizer"}
        if facts()["pipeline_tag"] == "text-generation" else None,
        "gguf": lambda: None, "inference": lambda: None, "resourceGroup": lambda: None, "baseModels": lambda: None,
        "childrenModelCount": lambda: 0, "evalResults": lambda: None,
        "securityRepoStatus": lambda: {"scansDone": True, "filesWithIssues": []},
    }


def summary(repo, commit):
    if commit is None:
        return {"tags": [], "pipeline_tag": None, "library_name": None, "config": {}, "cardData": {}, "safetensors": None}
    if getattr(commit, "summary", None) is None or commit.summary[0] is not repo.card_data:
        found = card.summarize(lambda p, n: commit.entries[p].read(n), commit.entries, repo.card_data)
        commit.summary = (repo.card_data, found)
    return commit.summary[1]


def pick(repo, commit, names, **how):
    table = fields(repo, commit, **how)
    out = {"_id": repo.hub_id, "id": repo.name}
    for name in names:
        if name in repo.extra:
            out[name] = repo.extra[name]
        elif name in table:
            value = table[name]()
            if value is not None or name in ("sha", "author", "model-index"):
                out[name] = value
    return out


def info(repo, commit, request, masked, listing):
    expand = request.values("expand")
    names = expand or DEFAULT_INFO + [k for k in repo.extra if k not in DEFAULT_INFO]
    unknown = [n for n in expand if n not in fields(repo, commit) and n not in repo.extra]
    if unknown:
        return error(400, f"Invalid option: expand does not know {unknown[0]}")
    return json_response(pick(repo, commit, names, blobs=request.flag("blobs"), masked=masked, listing=listing))


def siblings(repo, commit, blobs, masked, listing):
    if commit is None:
        return []
    rows = [entry_json(p, commit.entries[p], masked, True) for p in commit.paths]
    out = []
    for row in bend_listing(rows, listing):
        item = {"rfilename": row["path"]}
        if blobs:
            item.update(size=row["size"], blobId=row["oid"])
            if "lfs" in row:
                item["lfs"] = {"sha256": row["lfs"]["oid"], "size": row["lfs"]["size"], "pointerSize": row["lfs"]["pointerSize"]}
        out.append(item)
    return out


# trees

def entry_json(path, entry, masked, xet):
    if isinstance(entry, str):
        return {"type": "directory", "oid": entry, "size": 0, "path": path}
    out = {"type": "file", "oid": entry.oid, "size": entry.size}
    if entry.sha256:
        out["lfs"] = {"oid": MASK if masked else entry.sha256, "size": entry.size, "pointerSize": len(entry.pointer)}
        if xet:
            out["xetHash"] = MASK if masked else entry.xet
    out["path"] = path
    return out


def expand_entry(repo, commit, row):
    if row["path"] in commit.entries or row["path"] in commit.folders:
        last = repo.last_change(commit, row["path"])
        row["lastCommit"] = {"id": last.sha, "title": last.message.split("\n")[0], "date": stamp(last.date)}
        if row["type"] == "file":
            row["securityFileStatus"] = {"status": "safe", "avScan": {"status": "safe"}, "pickleImportScan": None}
    return row


def tree(repo, commit, where, request, base, masked, xet, effects):
    folder = where.path
    if folder and folder not in commit.folders:
        return error(404, f'{folder} does not exist on "{where.rev}"', "EntryNotFound")
    expand = request.flag("expand")
    page = TREE_PAGE_EXPANDED if expand else TREE_PAGE
    limit = max(1, min(number(request.value("limit"), page), page))
    rows = commit.descendants(folder) if request.flag("recursive") else commit.children(folder)
    listing = effects.get("listing")
    if effects.get("endless"):
        return endless_tree(request, base, limit)
    if listing:
        shown = bend_listing([entry_json(p, e, masked, xet) for p, e in rows], listing)
    else:
        shown = None
    start = tree_start(request.value("cursor"), [r["path"] for r in shown] if listing else None, rows)
    total = len(shown) if listing else len(rows)
    part = shown[start:start + limit] if listing else [entry_json(p, e, masked, xet) for p, e in rows[start:start + limit]]
    headers = []
    if start + limit < total and part:
        cursor = tree_cursor(part[-1], limit)
        headers.append(("Link", next_link(request, base, cursor, limit)))
    if expand:
        part = [expand_entry(repo, commit, row) for row in part]
    return json_response(part, headers=headers)


def tree_cursor(last, limit):
    inner = json.dumps({"file_name": last["path"], "tree_oid": last["oid"]}, separators=(",", ":")).encode("utf-8", "surrogateescape")
    return base64.b64encode(base64.b64encode(inner) + b":%d" % limit).decode()


def tree_start(cursor, names, rows):
    """Index of the first row after the cursor's; everything is shown again for no cursor, nothing for a bad one."""
    if cursor is None:
        return 0
    names = names if names is not None else [p for p, _ in rows]
    try:
        inner = base64.b64decode(base64.b64decode(cursor).rpartition(b":")[0])
        return names.index(json.loads(inner.decode("utf-8", "surrogateescape"))["file_name"]) + 1
    except (ValueError, KeyError, TypeError):
        return len(names)


def endless_tree(request, base, limit):
    cursor = request.value("cursor")
    page = number(cursor, 0)
    rows = [{"type": "file", "oid": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "size": 0, "path": f"endless/{page:06d}-{i:04d}.txt"}
            for i in range(limit)]
    return json_response(rows, headers=[("Link", next_link(request, base, str(page + 1), limit))])


def next_link(request, base, cursor, limit=None):
    """The next page's absolute URL: this one's parameters with another cursor."""
    query = [(k, v) for k, v in request.query if k not in ("cursor", "skip", "limit")]
    query += [("limit", str(limit))] if limit else []
    return f'<{base}{request.raw_path}?{urllib.parse.urlencode(query + [("cursor", cursor)])}>; rel="next"'


def paths_info(repo, commit, request, masked, xet, listing):
    if "json" in request.headers.get("content-type", ""):
        try:
            asked = json.loads(request.body or b"{}")
            paths, expand = asked["paths"], bool(asked.get("expand"))
        except (ValueError, KeyError, TypeError):
            return error(400, "Invalid request body: paths is missing")
    else:
        form = urllib.parse.parse_qs(request.body.decode("utf-8", "replace"))
        paths, expand = form.get("paths", []), form.get("expand", [""])[0].lower() in ("true", "1")
    paths = [paths] if isinstance(paths, str) else paths
    if len(paths) > PATHS_MAX:
        return error(400, f"Too many paths: {len(paths)}, at most {PATHS_MAX}")
    rows = []
    for path in paths:
        found = commit.entries.get(path) or commit.folders.get(path)
        if found:
            rows.append(entry_json(path, found, masked, xet))
    rows = bend_listing(rows, {k: v for k, v in (listing or {}).items() if k != "add"})
    return json_response([expand_entry(repo, commit, r) for r in rows] if expand else rows)


def refs(repo, request):
    def rows(prefix):
        return [{"name": ref[len(prefix):], "ref": ref, "targetCommit": sha}
                for ref, sha in sorted(repo.refs.items()) if ref.startswith(prefix)]

    out = {"branches": rows("refs/heads/"), "tags": rows("refs/tags/"), "converts": rows("refs/convert/")}
    if request.flag("include_prs"):
        out["pullRequests"] = rows("refs/pr/")
    return json_response(out)


def commits(commit, request, base):
    page, limit = number(request.value("p"), 0), max(1, min(number(request.value("limit"), 50), 1000))
    chain = []
    while commit:
        chain.append(commit)
        commit = commit.parent
    rows = [{"id": c.sha, "title": c.message.split("\n")[0], "message": "\n".join(c.message.split("\n")[1:]).strip(),
             "authors": [{"user": "system", "avatar": "/avatars/system.svg"}], "date": stamp(c.date)}
            for c in chain[page * limit:(page + 1) * limit]]
    headers = [("X-Total-Count", str(len(chain)))]
    if (page + 1) * limit < len(chain):
        query = [(k, v) for k, v in request.query if k != "p"] + [("p", str(page + 1))]
        headers.append(("Link", f'<{base}{request.raw_path}?{urllib.parse.urlencode(query)}>; rel="next"'))
    return json_response(rows, headers=headers)


# the listing of models

def listing(repos, request, base, listing_effect):
    sort = request.value("sort", "trendingScore")
    if sort not in SORTS:
        return error(400, f"Invalid sort parameter: {sort}")
    key, down = SORTS[sort], request.value("direction", "-1") != "1"
    found = [r for r in repos if wanted(r, request)]
    found.sort(key=lambda r: (key(r), r.hub_id) if not down else (negated(key(r)), r.hub_id))
    found = after_cursor(found, request.value("cursor"), sort, key, down)[max(0, number(request.value("skip"), 0)):]
    limit = max(1, min(number(request.value("limit"), LIST_PAGE_MAX), LIST_PAGE_MAX))
    names = request.values("expand") or (FULL_LIST if request.flag("full") else list(DEFAULT_LIST))
    if not request.values("expand"):
        names += [n for n, flag in (("config", "config"), ("cardData", "cardData")) if request.flag(flag)]
    rows = [pick(r, r.head, names, listing=listing_effect) for r in found[:limit]]
    headers = []
    if len(found) > limit:
        headers.append(("Link", next_link(request, base, list_cursor(found[limit - 1], sort, key, down), number(request.value("limit"), 0) and limit)))
    return json_response(rows, headers=headers)


class negated:
    """Turns an order round, for strings as well as numbers."""

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return other.value < self.value

    def __eq__(self, other):
        return other.value == self.value


def list_cursor(last, sort, key, down):
    """Base64 of a filter document, as the Hub's cursors are."""
    value = key(last)
    document = {"$or": [{sort: value, "_id": {"$gt": last.hub_id}}, {sort: {"$lt" if down else "$gt": value}}, {sort: None}]}
    return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


def after_cursor(repos, cursor, sort, key, down):
    if cursor is None:
        return repos
    try:
        first = json.loads(base64.b64decode(cursor))["$or"][0]
        value, after = first[sort], first["_id"]["$gt"]
    except (ValueError, KeyError, TypeError, IndexError):
        return []
    return [r for r in repos if (key(r) == value and r.hub_id > after) or (key(r) < value if down else key(r) > value)]


def wanted(repo, request):
    facts = summary(repo, repo.head)
    tags = set(facts["tags"])
    filters = [f for value in request.values("filter") for f in value.split(",") if f]
    if not all(f in tags for f in filters):
        return False
    if not all(s.lower() in repo.name.lower() for s in request.values("search")):
        return False
    if request.value("author") and (repo.author or "").lower() != request.value("author").lower():
        return False
    if request.value("pipeline_tag") and facts["pipeline_tag"] != request.value("pipeline_tag"):
        return False
    if request.value("gated") is not None and bool(repo.gated) != request.flag("gated"):
        return False
    return within(request.value("num_parameters"), (facts["safetensors"] or {}).get("total"))


def within(bounds, count):
    """`min:6B,max:128B`."""
    for bound in (bounds or "").split(","):
        side, _, text = bound.partition(":")
        if side in ("min", "max"):
            scale = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1:].upper(), 1)
            limit = float(text.rstrip("KMBTkmbt")) * scale
            if count is None or (count < limit if side == "min" else count > limit):
                return False
    return True


def number(text, default):
    try:
        return int(text)
    except (TypeError, ValueError):
        return default


def tags_by_type(repos):
    found = sorted({t for r in repos for t in summary(r, r.head)["tags"] if t.startswith("license:")})
    return json_response({"license": [{"id": t, "label": t.removeprefix("license:"), "type": "license"} for t in found]})
