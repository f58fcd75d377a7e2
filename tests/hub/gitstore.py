"""A bare git repository written object by object, so that the commit ids the stand-in Hub shows are true ones.

Objects of one commit go into one pack (git index-pack): a tree of 100,000 files costs one process, not 100,000. Trees
are written here and not by `git mktree`, which would refuse the hostile names that some tests need.
"""

import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

TYPES = {"commit": 1, "tree": 2, "blob": 3}


def object_id(kind, data):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest()


def git(*args, cwd=None, data=None):
    done = subprocess.run(["git", *map(str, args)], cwd=cwd, input=data, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"git {args[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


class GitStore:
    def __init__(self, path):
        self.path = Path(path)
        git("init", "-q", "--bare", "-b", "main", self.path)
        for key, value in (("uploadpack.allowFilter", "true"), ("uploadpack.allowAnySHA1InWant", "true"),
                           ("gc.auto", "0"), ("core.fsync", "none")):
            git("config", key, value, cwd=self.path)
        self.known, self.pending = set(), {}

    def put(self, kind, data):
        oid = object_id(kind, data)
        if oid not in self.known:
            self.known.add(oid)
            self.pending[oid] = (kind, data)
        return oid

    def put_tree(self, files):
        """`files`: path -> (mode, oid). Returns (root oid, {directory path: oid})."""
        return self._tree(nest(files), "", {})

    def _tree(self, node, prefix, oids):
        rows = []
        for name, value in node.items():
            raw = name.encode("utf-8", "surrogateescape")
            if isinstance(value, dict):
                oid, _ = self._tree(value, f"{prefix}{name}/", oids)
                oids[prefix + name] = oid
                rows.append((raw + b"/", b"40000 " + raw, oid))
            else:
                rows.append((raw, value[0].encode() + b" " + raw, value[1]))
        rows.sort()     # git orders a directory as if its name ended in a slash
        return self.put("tree", b"".join(r[1] + b"\0" + bytes.fromhex(r[2]) for r in rows)), oids

    def put_commit(self, tree, parents, author, date, message):
        who = f"{author} {int(date)} +0000"
        lines = [f"tree {tree}", *(f"parent {p}" for p in parents), f"author {who}", f"committer {who}", "", message]
        return self.put("commit", "\n".join(lines).encode())     # the Hub's own commits end without a newline too

    def flush(self):
        if not self.pending:
            return
        pack = bytearray(b"PACK" + struct.pack(">II", 2, len(self.pending)))
        for kind, data in self.pending.values():
            pack += entry_header(TYPES[kind], len(data)) + zlib.compress(data, 1)
        pack += hashlib.sha1(pack).digest()
        git("index-pack", "--stdin", cwd=self.path, data=bytes(pack))
        self.pending = {}

    def set_ref(self, ref, oid):
        git("update-ref", ref, oid, cwd=self.path)

    def delete_ref(self, ref):
        git("update-ref", "-d", ref, cwd=self.path)


def nest(files):
    root = {}
    for path, leaf in files.items():
        *folders, name = path.split("/")
        if "" in (*folders, name) or "\0" in path:
            raise ValueError(f"{path!r}: git can't hold an empty name or a NUL; let a `listing` fault show it")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
            if not isinstance(node, dict):
                raise ValueError(f"{path}: a parent of it is a file")
        if isinstance(node.get(name), dict):
            raise ValueError(f"{path} is a directory too")
        node[name] = leaf
    return root


def entry_header(kind, size):
    first, size = (kind << 4) | (size & 15), size >> 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first, size = size & 0x7f, size >> 7
    out.append(first)
    return bytes(out)
