"""File bytes: resolve with its two kinds of redirect, the resolve cache, raw, the signed URLs and the CDN behind them."""

import base64
import hashlib
import hmac
import json
import re
import urllib.parse

from .wire import FileBody, Response, quote
from .api import error

EXPOSED = "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash"
TEXT = (".md", ".txt", ".json", ".py", ".yaml", ".yml", ".jinja", "LICENSE", ".gitattributes")
# what a gated repository shows to everybody
PUBLIC_WHEN_GATED = re.compile(r"(README\.md|LICENSE.*|\.gitattributes)$")


def content_type(path):
    return "text/plain; charset=utf-8" if path.endswith(TEXT) else "application/octet-stream"


def disposition(path):
    name = path.rsplit("/", 1)[-1]
    plain = name.encode("ascii", "replace").decode().replace('"', "%22").replace("\n", " ")
    return f"inline; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"


def not_found(commit):
    """A missing file: an ETag on a 404, as recorded, and the commit that lacks it."""
    return error(404, "Entry not found", "EntryNotFound", text=True, headers=[
        ("X-Repo-Commit", commit.sha), ("Accept-Ranges", "bytes"), ("X-Hub-Cache", "MISS"), ("ETag", 'W/"f-mY2VvLxuxB7KhsoOdQTlMTccuAQ"')])


def first_hop_headers(commit, path):
    return [("X-Repo-Commit", commit.sha), ("Accept-Ranges", "bytes"), ("X-Hub-Cache", "MISS"),
            ("Content-Disposition", disposition(path)), ("Content-Security-Policy", "default-src 'none'; sandbox")]


def resolve(repo, commit, where, request, options, signer, base, effects):
    entry = commit.entries.get(where.path)
    if entry is None:
        return not_found(commit)
    if entry.sha256:
        return to_cdn(repo, commit, entry, request, options, signer, base, effects)
    head = first_hop_headers(commit, entry.path) + [("X-Linked-Etag", f'"{entry.oid}"')]
    if options.small_files == "direct" or repo.gated:
        return content(entry, request, f'"{entry.oid}"', head, effects)
    named = "/".join(quote(p, safe="") for p in entry.path.split("/"))
    query = quote(request.raw_path, safe="") + "=&etag=" + quote(f'"{entry.oid}"', safe="")
    location = f"/api/resolve-cache/models/{quote(repo.name)}/{commit.sha}/{named}?{query}"
    return Response(307, [("Location", location), ("Content-Type", "text/plain; charset=utf-8"), *head],
                    f"Temporary Redirect. Redirecting to {location}".encode())


def to_cdn(repo, commit, entry, request, options, signer, base, effects):
    location = signer.url(repo, entry, effects.get("expires", options.url_lifetime_s))
    head = [("Location", location), ("Content-Type", "text/plain; charset=utf-8"), ("X-Repo-Commit", commit.sha),
            ("X-Linked-Size", str(entry.size + effects.get("linked_size", 0))), ("X-Linked-Etag", f'"{entry.etag}"'),
            ("Accept-Ranges", "bytes"), ("Cache-Control", "no-store")]
    if options.xet:
        token = f"{base}/api/models/{repo.name}/xet-read-token/{commit.sha}"
        head += [("X-Xet-Hash", entry.xet),
                 ("Link", f'<{token}>; rel="xet-auth", <{base}/xet-cas/v1/reconstructions/{entry.xet}>; rel="xet-reconstruction-info"')]
    ollama = "ollama" in request.headers.get("user-agent", "").lower()
    return Response(307 if ollama else 302, head, f"Found. Redirecting to {location}".encode())


def cached(commit, where, request, effects):
    entry = commit.entries.get(where.path) if commit else None
    if entry is None or entry.sha256:
        return error(404, "Entry not found", "EntryNotFound", text=True)
    return content(entry, request, f'"{entry.oid}"', [("X-Repo-Commit", commit.sha), ("X-Hub-Cache", "HIT")], effects)


def raw(commit, where, request, effects):
    """As git has it: the pointer of an LFS file."""
    entry = commit.entries.get(where.path)
    if entry is None:
        return not_found(commit)
    body = entry.pointer if entry.sha256 else None
    return content(entry, request, f'"{entry.oid}"', [("X-Repo-Commit", commit.sha)], effects, body=body)


class Signer:
    """Makes and checks the expiring URLs of the CDN. It also finds which content a CDN path means."""

    def __init__(self, origin, clock):
        self.origin, self.clock = origin, clock         # origin: "http://host:port" of the CDN
        self.secret = b"a stand-in needs no better"
        self.contents = {}                              # CDN path -> Entry
        self.names = {}                                 # CDN path -> paths in repositories, for fault rules

    def register(self, repo, entry):
        path = f"/xet-bridge-us/{repo.hub_id}/{entry.xet}"
        self.contents[path] = entry
        self.names.setdefault(path, set()).add(entry.path)
        return path

    def url(self, repo, entry, lifetime_s):
        path = self.register(repo, entry)
        expires = int(self.clock() + lifetime_s)
        policy = json.dumps({"Statement": [{"Condition": {"DateLessThan": {"AWS:EpochTime": expires}}, "Resource": path}]})
        query = {"X-Xet-Cas-Uid": "public", "response-content-disposition": disposition(entry.path), "user_id": "public",
                 "Expires": expires, "Policy": base64.urlsafe_b64encode(policy.encode()).decode(),
                 "Signature": self.sign(path, expires), "Key-Pair-Id": "KSTANDINHUB"}
        return f"{self.origin}{path}?{urllib.parse.urlencode(query)}"

    def sign(self, path, expires):
        mac = hmac.new(self.secret, f"{path} {expires}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(mac.digest()).decode()

    def refused(self, request):
        """Why the CDN refuses a URL, or None."""
        expires = request.value("Expires", "0")
        if not hmac.compare_digest(self.sign(request.path, expires), request.value("Signature", "")):
            return "SignatureDoesNotMatch"
        return "AccessDenied: Request has expired" if self.clock() > int(expires) else None


def cdn(signer, request, effects):
    entry = signer.contents.get(request.path)
    why = signer.refused(request)
    if why or entry is None:
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>{why or "no such key"}</Message></Error>'
        return Response(403, [("Content-Type", "application/xml")], body.encode())
    head = [("Content-Disposition", request.value("response-content-disposition") or disposition(entry.path)),
            ("X-HF-CDN-Pop", "stand-in"), ("Cache-Control", "public, max-age=31536000")]
    return content(entry, request, f'"{entry.xet}"', head, effects, kind="application/octet-stream")


def content(entry, request, etag, head, effects, body=None, kind=None):
    """200, 206, 304 or 416 of a file."""
    size = entry.size if body is None else len(body)
    source = entry.source if body is None else body
    head = [("ETag", etag), ("Accept-Ranges", "bytes"), ("Content-Type", kind or content_type(entry.path)), *head]
    if etag in [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]:
        return Response(304, head)
    span = None if effects.get("ignore_range") else byte_range(request, etag, size)
    if span == "unsatisfiable":
        return Response(416, [("Content-Range", f"bytes */{size}"), *head])
    if span is None:
        return Response(200, head, FileBody(source, 0, size))
    first, last = span
    late = min(effects.get("wrong_range", 0), last - first)
    head.append(("Content-Range", f"bytes {first + late}-{last}/{size}"))
    return Response(206, head, FileBody(source, first + late, last - first + 1 - late))


def byte_range(request, etag, size):
    """(first, last) of a Range header, None for the whole, "unsatisfiable". Several ranges are answered with the whole."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", "").replace(" ", ""))
    if not match or match.group(0) == "bytes=-":
        return None
    if "if-range" in request.headers and request.headers["if-range"] != etag:
        return None
    if not match.group(1):
        n = min(int(match.group(2)), size)
        return (size - n, size - 1) if n else "unsatisfiable"
    first = int(match.group(1))
    last = min(int(match.group(2)), size - 1) if match.group(2) else size - 1
    if first >= size:
        return "unsatisfiable"
    return (first, last) if last >= first else None


def lfs_batch(repo, request, signer, options):
    """git-lfs: where each object can be downloaded."""
    try:
        wanted = json.loads(request.body)["objects"]
    except (ValueError, KeyError, TypeError):
        return error(400, "not a git-lfs batch request")
    held = {e.sha256: e for c in repo.commits.values() for e in c.entries.values() if e.sha256}
    objects = []
    for item in wanted:
        row = {"oid": item.get("oid"), "size": item.get("size")}
        if item.get("oid") in held:
            href = signer.url(repo, held[item["oid"]], options.url_lifetime_s)
            row.update(authenticated=True, actions={"download": {"href": href, "expires_in": options.url_lifetime_s}})
        else:
            row["error"] = {"code": 404, "message": "Object does not exist"}
        objects.append(row)
    return Response(200, [("Content-Type", "application/vnd.git-lfs+json")], json.dumps({"transfer": "basic", "objects": objects}).encode())
