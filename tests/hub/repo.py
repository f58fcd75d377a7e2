"""A model repository of the stand-in Hub: files in commits, commits on branches, all of it in a real git repository.

Which files are LFS is decided as git decides it, by .gitattributes; their payload is kept as a plain file and their
pointer is what git holds. Knows nothing of HTTP.
"""

import fnmatch
import hashlib
import random
import re
import time
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .gitstore import GitStore, object_id

# the .gitattributes the Hub puts into a new repository
LFS_PATTERNS = """7z arrow bin bz2 ckpt ftz gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar
safetensors tar tflite tgz wasm xz zip zst""".split()
GITATTRIBUTES = "".join(f"*.{p} filter=lfs diff=lfs merge=lfs -text\n" for p in sorted(LFS_PATTERNS + ["gguf"])) \
    + "saved_model/**/* filter=lfs diff=lfs merge=lfs -text\n*tfevents* filter=lfs diff=lfs merge=lfs -text\n"
EPOCH = 1767225600              # 2026-01-01: the date of a first commit, unless told
IN_MEMORY = 1 << 20             # git files up to this size are served from memory
BLOCK = 1 << 20


class Sparse:
    """`size` zero bytes that take no disk space. `sha256`, where the caller knows it, saves reading them all."""

    def __init__(self, size, sha256=None):
        self.size, self.sha256 = size, sha256

    def write(self, path):
        with open(path, "wb") as f:
            f.truncate(self.size)


class Noise:
    """`size` bytes that do not compress, the same ones for the same seed."""

    def __init__(self, size, seed=0):
        self.size, self.seed = size, seed

    def write(self, path):
        rng = random.Random(self.seed)
        with open(path, "wb") as f:
            for at in range(0, self.size, BLOCK):
                f.write(rng.randbytes(min(BLOCK, self.size - at)))


@dataclass(frozen=True)
class File:
    """A file with more to say than its bytes: a git mode ("100755", "120000"), LFS or not against .gitattributes."""
    data: object
    mode: str = "100644"
    lfs: object = None


@dataclass(frozen=True)
class Entry:
    """One file of one commit. `oid` is the git blob's (of the pointer, for LFS); `size` the payload's."""
    path: str
    mode: str
    oid: str
    size: int
    source: object              # bytes or Path: the payload
    sha256: str = None          # LFS only
    xet: str = None             # LFS only
    pointer: bytes = None       # LFS only

    @property
    def etag(self):
        return self.sha256 or self.oid

    def read(self, n):
        if isinstance(self.source, bytes):
            return self.source[:n]
        with open(self.source, "rb") as f:
            return f.read(n)


class Payloads:
    """Where LFS payloads lie. A Path given by the caller is served from where it is, without a copy."""

    def __init__(self, root):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.seen = {}              # (path, size, mtime_ns) -> sha256, so that a big file is hashed once
        self.made = 0

    def materialize(self, data):
        """bytes stay bytes; everything else becomes a Path."""
        if isinstance(data, str):
            return data.encode()
        if isinstance(data, (Sparse, Noise)):
            self.made += 1
            path = self.root / f"generated-{self.made}"
            data.write(path)
            if getattr(data, "sha256", None):
                self.seen[file_key(path)] = data.sha256
            return path
        return data

    def keep(self, data):
        """(sha256, size, path) of an LFS payload."""
        if isinstance(data, bytes):
            digest = hashlib.sha256(data).hexdigest()
            path = self.root / digest
            if not path.exists():
                path.write_bytes(data)
            return digest, len(data), path
        key = file_key(data)
        if key not in self.seen:
            with open(data, "rb") as f:
                self.seen[key] = hashlib.file_digest(f, "sha256").hexdigest()
        return self.seen[key], key[1], data


def file_key(path):
    stat = path.stat()
    return str(path), stat.st_size, stat.st_mtime_ns


def pointer_text(sha256, size):
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def xet_hash(sha256):
    """64 hex digits that are no SHA-256 of anything served; the real one is a BLAKE3 tree this Hub has no need of."""
    return hashlib.blake2b(sha256.encode(), digest_size=32, person=b"stand-in xet").hexdigest()


class Attributes:
    """The part of .gitattributes that matters: which paths have filter=lfs."""

    def __init__(self, text):
        self.rules = []
        for line in text.splitlines():
            words = line.split()
            if words and not line.startswith("#"):
                for word in words[1:]:
                    if word == "filter=lfs" or word in ("-filter", "!filter"):
                        self.rules.append((words[0], word == "filter=lfs"))

    def lfs(self, path):
        verdict = False
        for pattern, yes in self.rules:
            subject = path if "/" in pattern else path.rsplit("/", 1)[-1]
            if fnmatch.fnmatchcase(subject, pattern.lstrip("/").replace("**/", "*")):
                verdict = yes
        return verdict


class Commit:
    def __init__(self, sha, parent, entries, folders, date, message):
        self.sha, self.parent, self.entries, self.folders = sha, parent, entries, folders
        self.date, self.message = date, message

    @cached_property
    def paths(self):
        return sorted(self.entries)

    @cached_property
    def recursive(self):
        """[(path, Entry or directory oid)] of everything, by path."""
        return sorted([*self.entries.items(), *self.folders.items()], key=lambda row: row[0])

    def children(self, folder):
        """The rows directly in `folder`: directories first, then files, each by path."""
        prefix = folder + "/" if folder else ""
        below = self._below(prefix)
        rows = [r for r in below if "/" not in r[0][len(prefix):]]
        return [r for r in rows if isinstance(r[1], str)] + [r for r in rows if not isinstance(r[1], str)]

    def descendants(self, folder):
        return self._below(folder + "/") if folder else self.recursive

    def _below(self, prefix):
        if not prefix:
            return self.recursive
        keys = self._keys
        return self.recursive[bisect_right(keys, prefix):bisect_right(keys, prefix + "\U0010ffff")]

    @cached_property
    def _keys(self):
        return [path for path, _ in self.recursive]


class Repo:
    def __init__(self, name, root, payloads, **about):
        self.name = name
        self.hub_id = hashlib.sha1(f"{root.name}/{name}".encode()).hexdigest()[:24]    # another one of the same name has another
        self.payloads = payloads
        self.git = GitStore(root)
        self.commits = {}
        self.refs = {}                  # full ref name -> sha
        self.gated, self.private, self.disabled = False, False, False
        self.created, self.card_data, self.extra = None, None, {}
        self.likes, self.downloads, self.trending = 0, 0, 0
        self.update(**about)

    def update(self, **about):
        for key, value in about.items():
            if key not in ("gated", "private", "disabled", "created", "card_data", "extra", "likes", "downloads", "trending"):
                raise TypeError(f"a model has no {key!r}")
            setattr(self, key, value)

    @property
    def author(self):
        return self.name.split("/")[0] if "/" in self.name else None

    @property
    def head(self):
        sha = self.refs.get("refs/heads/main")
        return self.commits.get(sha) if sha else None

    def commit(self, changes, branch="main", message="Upload files", date=None, orphan=False,
               author="system <system@huggingface.co>"):
        """`changes`: path -> data (bytes, str, Path, Sparse, Noise, File) or None to delete. Returns the commit id.
        `orphan` starts the branch anew from nothing, as a squash of the history does."""
        ref = full_ref(branch)
        parent = None if orphan else self.commits.get(self.refs.get(ref) or self.refs.get("refs/heads/main"))
        entries = dict(parent.entries) if parent else {}
        attributes = self._attributes(changes, entries)
        for path, data in changes.items():
            if data is None:
                del entries[path]
            else:
                entries[path] = self._entry(path, data, attributes)
        if date is None:
            date = parent.date + 3600 if parent else self.created or EPOCH
        tree, folders = self.git.put_tree({p: (e.mode, e.oid) for p, e in entries.items()})
        sha = self.git.put_commit(tree, [parent.sha] if parent else [], author, date, message)
        self.git.flush()
        self.git.set_ref(ref, sha)
        self.commits[sha] = Commit(sha, parent, entries, folders, date, message)
        self.refs[ref] = sha
        return sha

    def _attributes(self, changes, entries):
        data = changes.get(".gitattributes")
        if data is None and ".gitattributes" in entries:
            return Attributes(entries[".gitattributes"].read(1 << 20).decode())
        data = data.data if isinstance(data, File) else data
        data = GITATTRIBUTES if data is None else data
        data = data.read_bytes() if isinstance(data, Path) else data
        return Attributes(data.decode() if isinstance(data, bytes) else data)

    def _entry(self, path, data, attributes):
        given = data if isinstance(data, File) else File(data)
        source = self.payloads.materialize(given.data)
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        lfs = attributes.lfs(path) if given.lfs is None else given.lfs
        if lfs and size > 0 and given.mode != "120000":       # an empty file is its own pointer
            digest, size, where = self.payloads.keep(source)
            pointer = pointer_text(digest, size)
            oid = self.git.put("blob", pointer)
            return Entry(path, given.mode, oid, size, where, digest, xet_hash(digest), pointer)
        content = source if isinstance(source, bytes) else source.read_bytes()
        oid = self.git.put("blob", content)
        return Entry(path, given.mode, oid, len(content), content if len(content) <= IN_MEMORY else source, None)

    def point(self, ref, rev):
        """Make or move a branch or tag (full ref name, or a branch's)."""
        ref, sha = full_ref(ref), self.resolve(rev).sha
        self.refs[ref] = sha
        self.git.set_ref(ref, sha)

    def unpoint(self, ref):
        ref = full_ref(ref)
        del self.refs[ref]
        self.git.delete_ref(ref)

    def resolve(self, rev):
        """The Commit a revision names, or None: branch, tag, full ref, commit id, its first 7 or more digits, HEAD."""
        rev = "main" if rev == "HEAD" else rev
        for ref in (rev, f"refs/heads/{rev}", f"refs/tags/{rev}"):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        if re.fullmatch(r"[0-9a-f]{7,40}", rev):
            found = [c for sha, c in self.commits.items() if sha.startswith(rev)]
            return found[0] if len(found) == 1 else None
        return None

    def last_change(self, commit, path):
        """The commit that gave `path` (a file or a folder) its present content."""
        def content(c):
            return c.folders.get(path) or (c.entries[path].oid if path in c.entries else None)
        while commit.parent and content(commit.parent) == content(commit):
            commit = commit.parent
        return commit

    @property
    def last_modified(self):
        return max((self.commits[sha].date for sha in self.refs.values()), default=self.created or EPOCH)

    @property
    def created_at(self):
        return self.created if self.created is not None else min((c.date for c in self.commits.values()), default=EPOCH)


def full_ref(name):
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".000Z"


__all__ = ["Repo", "Payloads", "File", "Sparse", "Noise", "Entry", "Commit", "object_id", "pointer_text", "stamp", "GITATTRIBUTES"]
