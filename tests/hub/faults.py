"""The script of a misbehaving Hub: rules that match requests and say what goes wrong.

A rule is a dict, the same in Python and as JSON on /_hub/faults. What it matches (all given ones must hold; globs):

    listener  "hub", "cdn", "other" (absent: the first two)      method  "GET"
    route     info listing tree paths-info refs commits resolve resolve-cache raw cdn git lfs-batch whoami page
    repo      "org/*"                             file    path inside the repository; for "cdn", of the file's content
    path      decoded URL path                    range   true: only requests with Range; false: only without
    skip      let this many matches pass first    times   act on this many (absent: for ever)

What it does (any number together):

    delay SECONDS               before the answer
    close true                  close without an answer;  "rst": reset
    status N                    answer with N; with `headers` {..}, `body` "..", `retry_after` SECONDS, `code`, `message`
    redirect "loop"|"other"|URL 302 to itself, to the third listener (which has the file), or to URL
    html true                   a 200 login page instead of the answer
    malformed true|TEXT         the JSON cut in half, or TEXT in its place
    set_headers {..}            drop_headers [..]        add_headers {..}: a further line of each
    etag "changing"|VALUE       another ETag with each answer, or VALUE
    linked_size N               X-Linked-Size is off by N;   content_length N: Content-Length is off by N
    ignore_range true           200 and the whole body for a Range request
    wrong_range N               a 206 whose Content-Range and bytes begin N later than asked
    expires SECONDS             the signed URL given out lives this long (negative: expired already)
    truncate N                  end the connection after N body bytes of this answer;   reset N: with RST
    stall [N, SECONDS]          pause after N body bytes of this answer
    corrupt N                   the byte at offset N of the file is wrong
    throttle N                  bytes a second
    listing {patch, add, drop}  change entries of tree, paths-info and siblings: patch {path: {key: value}}, keys size oid
                                lfs_oid lfs_size pointer_size path type; add [entries as in tree]; drop [globs]
    endless true                a tree that always has one more page
"""

import fnmatch
import itertools
import threading

MATCH = {"listener", "method", "route", "repo", "file", "path", "range", "skip", "times"}
BODY = {"truncate", "reset", "stall", "corrupt", "throttle"}
WHOLE = {"delay", "close", "status", "headers", "body", "retry_after", "code", "message", "redirect", "html", "malformed",
         "set_headers", "add_headers", "drop_headers", "etag", "linked_size", "content_length", "ignore_range", "wrong_range", "expires",
         "listing", "endless"}
PATCH = {"size", "oid", "lfs_oid", "lfs_size", "pointer_size", "path", "type"}


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.ids = itertools.count(1)
        self.rules = []

    def add(self, **rule):
        """Add a rule and return its id."""
        check(rule)
        with self.lock:
            number = next(self.ids)
            self.rules.append({"id": number, "seen": 0, "acted": 0, "rule": dict(rule)})
        return number

    def remove(self, number):
        with self.lock:
            before = len(self.rules)
            self.rules = [r for r in self.rules if r["id"] != number]
            return len(self.rules) < before

    def clear(self):
        with self.lock:
            self.rules = []

    def list(self):
        with self.lock:
            return [{"id": r["id"], "seen": r["seen"], "acted": r["acted"], **r["rule"]} for r in self.rules]

    def acted(self, number):
        """How often a rule has acted: a test that injects a fault asserts that it was met."""
        return next((r["acted"] for r in self.list() if r["id"] == number), 0)

    def take(self, request, where):
        """The effects for this request, later rules winning; counts each rule that acts."""
        effects = {}
        with self.lock:
            for r in self.rules:
                rule = r["rule"]
                if not matches(rule, request, where):
                    continue
                r["seen"] += 1
                skip = rule.get("skip", 0)
                if r["seen"] <= skip or ("times" in rule and r["acted"] >= rule["times"]):
                    continue
                r["acted"] += 1
                effects.update({k: v for k, v in rule.items() if k not in MATCH})
        return effects


def check(rule):
    for key in rule:
        if key not in MATCH | BODY | WHOLE:
            raise ValueError(f"a fault rule has no key {key!r}")
    if not set(rule) - MATCH:
        raise ValueError("a fault rule that does nothing")
    if "stall" in rule and len(rule["stall"]) != 2:
        raise ValueError("stall takes [after bytes, seconds]")
    for key in ("skip", "times", "truncate", "reset", "corrupt", "throttle"):
        if key in rule and (not isinstance(rule[key], int) or rule[key] < 0):
            raise ValueError(f"{key} takes a whole number, not {rule[key]!r}")
    listing = rule.get("listing", {})
    if set(listing) - {"patch", "add", "drop"}:
        raise ValueError("listing takes patch, add and drop")
    for path, patch in listing.get("patch", {}).items():
        if set(patch) - PATCH:
            raise ValueError(f"listing.patch of {path!r}: unknown key {sorted(set(patch) - PATCH)[0]!r}")


def matches(rule, request, where):
    """`where` is routes.Where: what the URL means."""
    if request.listener not in ([rule["listener"]] if "listener" in rule else ["hub", "cdn"]):
        return False
    if "method" in rule and rule["method"] != request.method:
        return False
    if "route" in rule and rule["route"] != where.route:
        return False
    if "range" in rule and rule["range"] != ("range" in request.headers):
        return False
    if "repo" in rule and not fnmatch.fnmatchcase(where.repo or "", rule["repo"]):
        return False
    if "path" in rule and not fnmatch.fnmatchcase(request.path, rule["path"]):
        return False
    if "file" in rule and not any(fnmatch.fnmatchcase(f, rule["file"]) for f in where.files):
        return False
    return True


def bend_listing(entries, listing):
    """Apply a `listing` effect to tree entries (as the tree API shows them)."""
    if not listing:
        return entries
    out = []
    for entry in entries:
        if any(fnmatch.fnmatchcase(entry["path"], g) for g in listing.get("drop", [])):
            continue
        out.append(bend_entry(entry, listing.get("patch", {}).get(entry["path"])))
    return out + list(listing.get("add", []))


def bend_entry(entry, patch):
    if not patch:
        return entry
    entry = dict(entry)
    entry.update({k: v for k, v in patch.items() if k in ("size", "oid", "path", "type")})
    inner = {"lfs_oid": "oid", "lfs_size": "size", "pointer_size": "pointerSize"}
    if "lfs" in entry and set(patch) & set(inner):
        entry["lfs"] = dict(entry["lfs"], **{inner[k]: v for k, v in patch.items() if k in inner})
    return entry
