"""The stand-in Hub itself: repositories, accounts, three listeners, and the order in which a request is judged.

Knows who may see what and which errors the Hub gives for it; what a page contains is in api.py, files.py, git_http.py.
"""

import base64
import gzip
import hashlib
import itertools
import json
import re
import shutil
import ssl
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import api, control, files, git_http, routes
from .faults import Faults
from .repo import File, GITATTRIBUTES, Payloads, Repo
from .wire import FileBody, Listener, Response, quote

LOG_MAX = 1_000_000
SETTLE_S = 1            # an answer is logged right after its last byte was sent, unless nobody reads it
UNAUTHENTICATED = ("unauthenticated; Warning: You are sending unauthenticated requests to the Hub. Please set a token to "
                   "enable higher rate limits and faster downloads.")
BUCKETS = {"resolve": "resolvers", "resolve-cache": "resolvers", "raw": "resolvers", "page": "pages", "git": "pages",
           "lfs-batch": "pages"}


@dataclass
class Options:
    small_files: str = "redirect"       # how resolve gives a git file: "redirect" (307 to the resolve cache) or "direct"
    xet: bool = True                    # Xet markers, as upstream has them; there is no Xet service behind them
    url_lifetime_s: float = 3600        # of a signed URL
    gzip: bool = True                   # API JSON compressed and chunked for clients that accept it
    public_url: str = None              # what links to further pages begin with; None: as the Hub was asked
    git_v2: bool = True
    git_filter: bool = True
    git_gzip: bool = False              # understand compressed request bodies; upstream does not
    rate_limits: dict = None            # bucket -> (requests, window seconds); enforced

    def __post_init__(self):
        self.rate_limits = self.rate_limits or {"api": (12000, 300), "resolvers": (50000, 300), "pages": (2000, 300)}


@dataclass
class Account:
    user: str
    granted: set            # gated repositories whose terms were accepted
    sees: set               # private repositories


@dataclass
class Logged:
    """One answered request, for assertions."""
    listener: str
    method: str
    path: str
    query: str
    headers: dict
    authorization: bool
    route: str
    repo: str
    file: str
    status: int
    bytes_sent: int
    at: float
    seconds: float
    connection: tuple       # client address and port: equal for requests on one connection
    faults: tuple


class Hub:
    """
        with Hub() as hub:
            hub.add_model("org/name", {"config.json": "{}", "model.safetensors": Noise(1 << 20)})
            hub.faults.add(route="cdn", truncate=1000, times=2)
            ... HF_ENDPOINT=hub.url ...
            assert not [r for r in hub.requests(listener="cdn") if r.authorization]
    """

    def __init__(self, host="127.0.0.1", port=0, cdn_host="127.0.0.2", cdn_port=0, root=None, clock=time.time, tls=None, **options):
        """tls: files of a certificate chain and its key; all three listeners then speak https."""
        self.options = Options(**options)
        self.clock = clock
        self.root = Path(root) if root else Path(tempfile.mkdtemp(prefix="stand-in-hub-"))
        self.owns_root = root is None
        self.payloads = Payloads(self.root / "payloads")
        self.repos, self.renamed, self.accounts = {}, {}, {}
        self.numbers = itertools.count(1)
        self.faults = Faults()
        self.lock = threading.RLock()
        self.log, self.used = [], {}
        self.listeners, self.scheme, context = {}, "https" if tls else "http", None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
        try:
            for name, at in (("hub", (host, port)), ("cdn", (cdn_host, cdn_port)), ("other", (cdn_host, 0))):
                self.listeners[name] = Listener(name, *at, self.handle, self._done, context)
        except OSError:
            self.stop()
            raise
        self.signer = files.Signer(self.cdn_url, self.clock)

    url = property(lambda self: f"{self.scheme}://" + self.listeners["hub"].authority)
    cdn_url = property(lambda self: f"{self.scheme}://" + self.listeners["cdn"].authority)
    other_url = property(lambda self: f"{self.scheme}://" + self.listeners["other"].authority)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for listener in self.listeners.values():
            listener.stop()
        if self.owns_root:
            shutil.rmtree(self.root, ignore_errors=True)

    # what the Hub holds

    def add_model(self, name, files, message="initial commit", date=None, branches=(), tags=(), gitattributes=True, **about):
        """`files`: a folder, or path -> data (see repo.Repo.commit). `about`: gated (False, "auto", "manual"), private,
        disabled, created, card_data, likes, downloads, trending, extra. Returns the commit id of main."""
        with self.lock:
            if name in self.repos:
                raise ValueError(f"{name} is there already")
            repo = Repo(name, self.root / "git" / f"{next(self.numbers)}.git", self.payloads, **about)
            content = read_folder(files) if isinstance(files, (str, Path)) else dict(files)
            if gitattributes:
                content.setdefault(".gitattributes", GITATTRIBUTES)
            sha = repo.commit(content, message=message, date=date)
            for branch in branches:
                repo.point(branch, "main")
            for tag in tags:
                repo.point(f"refs/tags/{tag}", "main")
            self.repos[name] = repo
            self.renamed.pop(name, None)
            return sha

    def commit(self, name, changes, **how):
        """A further commit; see repo.Repo.commit."""
        with self.lock:
            return self.repos[name].commit(changes, **how)

    def branch(self, name, branch, rev="main"):
        with self.lock:
            self.repos[name].point(branch, rev)

    def tag(self, name, tag, rev="main"):
        with self.lock:
            self.repos[name].point(f"refs/tags/{tag}", rev)

    def update(self, name, **about):
        """gated, private, disabled, likes, …: what moves without a commit."""
        with self.lock:
            self.repos[name].update(**about)

    def rename(self, old, new):
        with self.lock:
            repo = self.repos.pop(old)
            repo.name = new
            self.repos[new] = repo
            self.renamed[old] = new

    def delete(self, name):
        with self.lock:
            del self.repos[name]

    def add_token(self, token, user="reader", granted=(), sees=()):
        with self.lock:
            self.accounts[token] = Account(user, set(granted), set(sees))
        return token

    # the request log

    def requests(self, **wanted):
        """Logged requests whose attributes equal those given. An answer that a client has read whole is among them."""
        for listener in self.listeners.values():
            listener.settle(SETTLE_S)
        with self.lock:
            rows = list(self.log)
        return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]

    def clear_log(self):
        with self.lock:
            self.log.clear()

    def _done(self, request, response, sent):
        where = getattr(request, "where", None)
        if where is None or where.route == "control":
            return
        now = time.time()
        row = Logged(request.listener, request.method, request.path, request.raw_query, request.headers,
                     "authorization" in request.headers, where.route, where.repo, where.files[0] if where.files else "",
                     response.status, sent, request.started, now - request.started, request.client,
                     tuple(sorted(request.effects)))
        with self.lock:
            if len(self.log) < LOG_MAX:
                self.log.append(row)

    # answering

    def handle(self, request):
        where = request.where = routes.parse(request)
        request.effects = {}
        if where.route == "control":
            return control.handle(self, request, where)
        if where.route == "cdn":
            where.files = tuple(self.signer.names.get(request.path, ()))
        effects = request.effects = self.faults.take(request, where)
        try:
            early = self._early(request, effects)
            response = early or self._limited(request, where) or self._answer(request, where, effects)
        except Exception as e:      # a bug here must look like one, not like a fault under test
            response = Response(500, [("X-Stand-In-Bug", repr(e)[:200])], f"stand-in hub: {e!r}".encode(), close=True)
        self._decorate(request, where, response)
        return bend(response, effects, request)

    def _early(self, request, effects):
        """Faults that replace the answer."""
        if "delay" in effects and self.listeners[request.listener].stopping.wait(effects["delay"]):
            return Response(503, close=True)
        if effects.get("close"):
            return Response(599, silent="rst" if effects["close"] == "rst" else "fin")
        if "status" in effects:
            return scripted_status(effects)
        if "redirect" in effects:
            to = {"loop": request.target, "other": self.other_url + request.target}.get(effects["redirect"], effects["redirect"])
            return Response(302, [("Location", to), ("Content-Type", "text/plain")], b"Found")
        if effects.get("html"):
            return Response(200, [("Content-Type", "text/html; charset=utf-8")],
                            b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action=\"/login\">"
                            b"<input name=user><input name=password type=password></form></body></html>")
        return None

    def _limited(self, request, where):
        """Count the request in its bucket; a 429 when that is empty."""
        bucket = None if request.listener != "hub" else BUCKETS.get(where.route, "api")
        request.bucket = None
        if bucket is None:
            return None
        quota, window = self.options.rate_limits[bucket]
        who = (bucket, request.headers.get("authorization", request.client[0]))
        with self.lock:
            began, n = self.used.get(who, (self.clock(), 0))
            if self.clock() - began >= window:
                began, n = self.clock(), 0
            self.used[who] = (began, n + 1)
        left, reset = max(0, quota - n - 1), max(0, int(began + window - self.clock()))
        request.bucket = (bucket, left, reset, quota, window)
        if n >= quota:
            text = "We had to rate limit you. Please wait and try again."
            return api.error(429, text, headers=[("Retry-After", str(reset))])
        return None

    def _decorate(self, request, where, response):
        """The headers that are on every answer of huggingface.co, and compression of JSON."""
        if request.listener != "hub":
            return
        trace = request.headers.get("x-amzn-trace-id") or request.headers.get("x-request-id")
        response.set("X-Powered-By", "huggingface-moon")
        response.set("X-Request-Id", f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}" + (f";{trace}" if trace else ""))
        if getattr(request, "bucket", None):
            bucket, left, reset, quota, window = request.bucket
            response.set("RateLimit", f'"{bucket}";r={left};t={reset}')
            response.set("RateLimit-Policy", f'"fixed window";"{bucket}";q={quota};w={window}')
        response.set("Cross-Origin-Opener-Policy", "same-origin")
        response.set("Referrer-Policy", "strict-origin-when-cross-origin")
        response.set("Access-Control-Expose-Headers", files.EXPOSED)
        response.set("Vary", "Origin, Accept" if where.route == "resolve" else "Origin")
        if self._account(request) is None:
            response.set("X-HF-Warning", UNAUTHENTICATED)
        if self.options.gzip and (response.get("Content-Type") or "").startswith("application/json") and isinstance(response.body, bytes):
            self._json_transfer(request, response)

    def _json_transfer(self, request, response):
        """API JSON comes chunked and compressed, with a weak ETag and no length."""
        body = response.body
        if response.status == 200:
            etag = f'W/"{len(body):x}-{hashlib.sha1(body).hexdigest()[:27]}"'
            response.set("ETag", etag)
            if request.headers.get("if-none-match") == etag:
                response.status, response.body = 304, b""
                return
        if "gzip" in request.headers.get("accept-encoding", ""):
            response.set("Content-Encoding", "gzip")
            response.set("Vary", "Accept-Encoding")
            body = gzip.compress(body, 1)
        response.body = iter([body])

    def _account(self, request):
        """The Account of the request's token (Bearer, or the password of Basic as git sends it); None for anonymous."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value).decode().partition(":")[2]
            except ValueError:
                return None
        return self.accounts.get(value.strip())

    def _answer(self, request, where, effects):
        if request.listener == "other":
            return self._other(request, where, effects)
        if where.route == "cdn":
            return files.cdn(self.signer, request, effects)
        account = self._account(request)
        if where.repo is None:
            return self._without_repo(request, where, account, effects)
        with self.lock:
            repo = self.repos.get(where.repo)
        if repo is None:
            moved = self._moved(request, where)
            return moved or self._missing(request, where, account)
        if repo.private and (account is None or repo.name not in account.sees):
            return self._missing(request, where, account)
        if repo.disabled:
            return api.error(403, "Access to this resource is disabled.", text=outside_api(where))
        return self._repo(request, where, repo, account, effects)

    def _without_repo(self, request, where, account, effects):
        with self.lock:
            repos = [r for r in self.repos.values() if not r.private or (account and r.name in account.sees)]
        if where.route == "listing":
            return api.listing(repos, request, self._link_base(request), effects.get("listing"))
        if where.route == "tags-by-type":
            return api.tags_by_type(repos)
        if where.route == "whoami":
            if account is None:
                return api.error(401, "Invalid username or password.")
            return api.json_response({"type": "user", "id": hashlib.sha1(account.user.encode()).hexdigest()[:24], "name": account.user,
                                      "fullname": account.user, "isPro": False, "orgs": [],
                                      "auth": {"type": "access_token", "accessToken": {"displayName": "stand-in", "role": "read"}}})
        if where.route == "page":
            return Response(200, [("Content-Type", "text/html; charset=utf-8")], b"<!DOCTYPE html><title>Stand-in Hub</title>")
        return api.error(404, "Sorry, we can't find the page you are looking for.")

    def _moved(self, request, where):
        """Renamed repositories, and ids in another case: 307, relative, with hardly a header."""
        with self.lock:
            now = self.renamed.get(where.repo) or next((n for n in self.repos if n.lower() == where.repo.lower()), None)
        if now is None:
            return None
        old = quote(where.repo)
        if old not in request.target:
            return None
        return Response(307, [("Content-Type", "text/plain; charset=utf-8"), ("Location", request.target.replace(old, quote(now), 1))])

    def _missing(self, request, where, account):
        """Anonymous callers are told to log in, for a repository that is not there as for one they may not see."""
        if account is None:
            challenge = [("WWW-Authenticate", 'Bearer realm="Authentication required", charset="UTF-8"')]
            if where.route in ("git", "lfs-batch"):
                challenge = [("WWW-Authenticate", 'Basic realm="Authentication required", charset="UTF-8"')]
            return api.error(401, "Invalid username or password.", headers=challenge, text=outside_api(where))
        return api.error(404, "Repository not found", "RepoNotFound", text=outside_api(where))

    def _gate(self, request, where, repo, account):
        """The error for a gated repository's content, or None."""
        if account and repo.name in account.granted:
            return None
        what = f"Access to model {repo.name} is restricted"
        if account is None:
            return api.error(401, f"{what}. You must have access to it and be authenticated to access it. Please log in.",
                             "GatedRepo", text=True)
        return api.error(403, f"{what} and you are not in the authorized list. Visit {self._base(request)}/{repo.name} to ask for access.",
                         "GatedRepo", text=True)

    def _repo(self, request, where, repo, account, effects):
        masked = bool(repo.gated) and (account is None or repo.name not in account.granted)
        if where.route in ("git", "lfs-batch"):
            if masked:
                return self._missing(request, where, None) if account is None else self._gate(request, where, repo, account)
            if where.route == "lfs-batch":
                return files.lfs_batch(repo, request, self.signer, self.options)
            return git_http.serve(repo, where, request, self.options)
        if where.route == "refs":
            return api.refs(repo, request)
        if where.route == "auth-check":
            return (self._gate(request, where, repo, account) if masked else None) or api.json_response({})
        if where.route == "page":
            return Response(200, [("Content-Type", "text/html; charset=utf-8")], f"<!DOCTYPE html><title>{repo.name}</title>".encode())
        if where.rev is None:
            return api.error(404, "Sorry, we can't find the page you are looking for.")
        commit = repo.resolve(where.rev)
        if commit is None:
            return api.error(404, f"Invalid rev id: {where.rev}", "RevisionNotFound", text=outside_api(where))
        return self._revision(request, where, repo, commit, account, masked, effects)

    def _revision(self, request, where, repo, commit, account, masked, effects):
        base, links = self._base(request), self._link_base(request)
        if where.route == "info":
            return api.info(repo, commit, request, masked, effects.get("listing"))
        if where.route == "tree":
            return api.tree(repo, commit, where, request, links, masked, self.options.xet, effects)
        if where.route == "paths-info":
            return api.paths_info(repo, commit, request, masked, self.options.xet, effects.get("listing"))
        if where.route == "commits":
            return api.commits(commit, request, links)
        if where.route == "xet-read-token":
            return api.error(404, "there is no Xet service here")
        if masked and not files.PUBLIC_WHEN_GATED.match(where.path):
            return self._gate(request, where, repo, account)
        if where.route == "resolve":
            return files.resolve(repo, commit, where, request, self.options, self.signer, base, effects)
        if where.route == "resolve-cache":
            return files.cached(commit, where, request, effects)
        return files.raw(commit, where, request, effects)

    def _other(self, request, where, effects):
        """A host that a redirect fault points at: it has the files, and its log says what it was sent."""
        entry = self.signer.contents.get(request.path)
        if entry is None and where.route in ("resolve", "resolve-cache") and where.repo in self.repos:
            commit = self.repos[where.repo].resolve(where.rev)
            entry = commit.entries.get(where.path) if commit else None
        if entry is None:
            return Response(404, [("Content-Type", "text/plain")], b"nothing here")
        return files.content(entry, request, f'"{entry.xet or entry.oid}"', [], effects)

    def _base(self, request):
        return f"{self.scheme}://" + request.headers.get("host", self.listeners["hub"].authority)

    def _link_base(self, request):
        return self.options.public_url or self._base(request)


def outside_api(where):
    return where.route in ("resolve", "resolve-cache", "raw", "page", "git", "lfs-batch")


def scripted_status(effects):
    headers = list(effects.get("headers", {}).items())
    if "retry_after" in effects:
        headers.append(("Retry-After", str(effects["retry_after"])))
    status = effects["status"]
    message = effects.get("message") or {401: "Invalid username or password.", 403: "Forbidden", 404: "Not found",
                                         429: "Too many requests", 500: "Internal Error - We're working hard to fix this as soon as possible!",
                                         503: "Service Unavailable"}.get(status, f"status {status}")
    response = api.error(status, message, effects.get("code"), headers)
    if "body" in effects:
        response.body = effects["body"].encode()
        response.set("Content-Type", "text/plain; charset=utf-8")
    return response


def bend(response, effects, request):
    """Faults in an answer that is otherwise true."""
    if "malformed" in effects:
        response.drop("Content-Encoding")
        body = b"".join(response.body) if not isinstance(response.body, (bytes, FileBody)) else response.body
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        response.body = effects["malformed"].encode() if isinstance(effects["malformed"], str) else body[:max(1, len(body) // 2)]
    if "etag" in effects:
        response.set("ETag", f'"{uuid.uuid4().hex * 2}"' if effects["etag"] == "changing" else effects["etag"])
    if "content_length" in effects and isinstance(response.body, (bytes, FileBody)):
        true = response.body.length if isinstance(response.body, FileBody) else len(response.body)
        response.set("Content-Length", str(max(0, true + effects["content_length"])))
        response.close = True
    for name, value in effects.get("set_headers", {}).items():
        response.set(name, value)
    response.headers += list(effects.get("add_headers", {}).items())
    for name in effects.get("drop_headers", []):
        response.drop(name)
    response.effects = {k: effects[k] for k in ("truncate", "reset", "stall", "corrupt", "throttle") if k in effects}
    return response


def read_folder(folder):
    """path -> Path of every file under a folder; symbolic links are followed, .git is left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith((".git/", ".cache/")):
            found[name] = File(path, "100755" if path.stat().st_mode & 0o100 and not path.name.endswith((".json", ".md")) else "100644")
    return found


def load_root(hub, root):
    """Add every model below `root`: ORG/NAME folders, each with an optional ORG/NAME.hub.json of add_model's arguments.

    `commits` in that file lists further folders ({"branch": "main", "message": "..", "files": FOLDER}); `tags` and
    `branches` name what points at the first commit."""
    root = Path(root)
    for folder in sorted(p for p in root.glob("*/*") if p.is_dir()):
        name = folder.relative_to(root).as_posix()
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            continue
        beside = folder.parent / (folder.name + ".hub.json")
        about = json.loads(beside.read_text()) if beside.exists() else {}
        later = about.pop("commits", [])
        hub.add_model(name, folder, **about)
        for step in later:
            hub.commit(name, read_folder(beside.parent / step.pop("files")), **step)
