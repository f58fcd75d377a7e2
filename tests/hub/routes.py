"""What a URL of the Hub means: the kind of request, repository, revision and path. Pure; knows no models."""

from dataclasses import dataclass

from .wire import unquote

# what may follow the id in /api/models/<id>/...
API_VERBS = {"revision", "tree", "paths-info", "refs", "commits", "xet-read-token", "auth-check", "treesize", "scan"}
FILE_VERBS = {"resolve", "raw", "blob"}


@dataclass
class Where:
    route: str
    repo: str = None
    rev: str = None
    path: str = ""
    verb: str = None
    files: tuple = ()           # paths inside the repository that the request is about, for fault rules


def parse(request):
    if request.listener == "cdn":
        return Where("cdn")
    raw = request.raw_path.lstrip("/").split("/")
    if raw[:1] == ["_hub"]:
        return Where("control", path="/".join(raw[1:]))
    if raw[:2] == ["api", "models"]:
        return api(raw[2:]) if len(raw) > 2 and raw[2] else Where("listing")
    if raw[:3] == ["api", "resolve-cache", "models"]:
        return cached(raw[3:])
    if raw[:2] == ["api", "whoami-v2"]:
        return Where("whoami")
    if raw[:2] == ["api", "models-tags-by-type"]:
        return Where("tags-by-type")
    if raw[:1] == ["api"]:
        return Where("api-other")
    return outside_api(raw)


def split_id(segments, verbs):
    """(id, rest): the id is one or two segments, whichever leaves a verb in front."""
    if len(segments) >= 2 and segments[1] in verbs:
        return unquote(segments[0]), segments[1:]
    return unquote("/".join(segments[:2])), segments[2:]


def take_rev(segments):
    """A revision is one segment, but `refs/pr/1` also arrives unescaped."""
    if segments[:1] == ["refs"] and len(segments) >= 3:
        return unquote("/".join(segments[:3])), segments[3:]
    return (unquote(segments[0]) if segments else ""), segments[1:]


def api(segments):
    repo, rest = split_id(segments, API_VERBS)
    if not rest:
        return Where("info", repo, "main")
    verb, rest = rest[0], rest[1:]
    if verb == "revision":
        return Where("info", repo, take_rev(rest)[0])
    if verb in ("tree", "paths-info", "commits", "xet-read-token"):
        rev, rest = take_rev(rest)
        path = unquote("/".join(rest)).rstrip("/")
        return Where(verb, repo, rev, path, files=(path,) if path else ())
    return Where(verb if verb in ("refs", "auth-check") else "api-other", repo, verb=verb)


def cached(segments):
    """/api/resolve-cache/models/<id>/<commit>/<path>: a commit is 40 hex digits, which tells a one-part id."""
    ids = 1 if len(segments) > 1 and len(segments[1]) == 40 and "/" not in segments[1] else 2
    repo, rest = unquote("/".join(segments[:ids])), segments[ids:]
    path = unquote("/".join(rest[1:]))
    return Where("resolve-cache", repo, unquote(rest[0]) if rest else "", path, files=(path,))


def outside_api(raw):
    if raw and raw[-1] in ("git-upload-pack", "git-receive-pack") or raw[-2:] == ["info", "refs"]:
        tail = 2 if raw[-1] == "refs" else 1
        return Where("git", git_id(raw[:-tail]), verb="/".join(raw[-tail:]))
    if raw[-4:] == ["info", "lfs", "objects", "batch"]:
        return Where("lfs-batch", git_id(raw[:-4]))
    repo, rest = split_id(raw, FILE_VERBS)
    if rest and rest[0] in FILE_VERBS:
        rev, tail = take_rev(rest[1:])
        path = unquote("/".join(tail))
        return Where("resolve" if rest[0] == "resolve" else "raw", repo, rev, path, files=(path,))
    return Where("page", repo if raw != [""] else None)


def git_id(segments):
    return unquote("/".join(segments)).removesuffix(".git")
