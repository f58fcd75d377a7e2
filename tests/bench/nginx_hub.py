"""A Hub made of static files behind nginx, for measuring: the upstream must cost as little as it can on the same machine.

It holds one repository at one commit: JSON answers as files, small git files served directly with their blob id as ETag,
large files as LFS (302 to a second port, the "CDN"). Shapes follow the Hub's recorded answers; faults are tests/hub's business.
"""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def file_digest(path, algo, prefix=b""):
    h = hashlib.new(algo, prefix)
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()


class NginxHub:
    """Serves `files` (a directory) as the repository `repo`. Files of `lfs_from` bytes and more are LFS. `limit`: what the CDN gives one connection, such as 64m.
    `sent_ahead`: how much the CDN's kernel may hold of what was sent and has not arrived; without it, up to 4 MiB a connection.
    """

    def __init__(self, work, repo, files, lfs_from=1 << 20, limit="0", sent_ahead=None):
        self.work, self.repo, self.files = Path(work), repo, Path(files)
        self.port, self.cdn_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.limit, self.sent_ahead, self.process = limit, sent_ahead, None
        shutil.rmtree(self.work, ignore_errors=True)
        self.entries = [self._entry(p, lfs_from) for p in sorted(self.files.rglob("*")) if p.is_file()]
        self._write_api()
        self._write_conf()

    def _entry(self, path, lfs_from):
        size = path.stat().st_size
        entry = {"type": "file", "path": str(path.relative_to(self.files)), "size": size}
        if size < lfs_from:
            entry["oid"] = file_digest(path, "sha1", b"blob %d\0" % size)
            return entry
        sha256 = file_digest(path, "sha256")
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        entry["oid"] = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": len(pointer)}
        return entry

    def _write_api(self):
        api = self.work / "api"
        api.mkdir(parents=True)
        info = {"_id": "0" * 24, "id": self.repo, "modelId": self.repo, "author": self.repo.split("/")[0], "sha": COMMIT,
                "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z", "private": False, "gated": False,
                "disabled": False, "downloads": 1, "likes": 0, "tags": ["license:apache-2.0"], "pipeline_tag": "text-generation",
                "cardData": {"license": "apache-2.0"}, "siblings": [{"rfilename": e["path"]} for e in self.entries]}
        (api / "info.json").write_text(json.dumps(info))
        (api / "tree.json").write_text(json.dumps(self.entries))
        refs = {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}], "tags": [], "converts": []}
        (api / "refs.json").write_text(json.dumps(refs))

    def _write_conf(self):
        etags = "".join(f'"/{self.repo}/resolve/{rev}/{e["path"]}" "\\"{e["oid"]}\\"";\n'
                        for e in self.entries if "lfs" not in e for rev in ("main", COMMIT))
        lfs = ""
        for e in self.entries:
            if "lfs" not in e:
                continue
            for rev in ("main", COMMIT):
                lfs += f"""location = "/{self.repo}/resolve/{rev}/{e['path']}" {{
    add_header X-Repo-Commit {COMMIT}; add_header X-Linked-Size {e['size']}; add_header X-Linked-ETag '"{e['lfs']['oid']}"';
    add_header Accept-Ranges bytes; add_header ETag '"{e['lfs']['oid']}"';
    return 302 "http://127.0.0.1:{self.cdn_port}/{e['path']}?Expires=9999999999&Signature=x"; }}
"""
        api = self.work / "api"
        (self.work / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {self.work}/pid; error_log {self.work}/error.log;
events {{ worker_connections 1024; }}
http {{
  log_format brief '$request_method $body_bytes_sent $uri'; access_log {self.work}/access.log brief buffer=16k flush=50ms; sendfile on; tcp_nopush on; etag off; keepalive_requests 1000000; default_type application/octet-stream; root /nonexistent;
  client_body_temp_path {self.work}/tmp1; proxy_temp_path {self.work}/tmp2; fastcgi_temp_path {self.work}/tmp3; uwsgi_temp_path {self.work}/tmp4; scgi_temp_path {self.work}/tmp5;
  map_hash_bucket_size 256; map_hash_max_size 65536;
  map $uri $oid {{ default ""; {etags} }}
  server {{ listen 127.0.0.1:{self.port} backlog=1024;
    location ~ "^/api/models/{self.repo}(/revision/[^/]+)?$" {{ default_type application/json; alias {api}/info.json; }}
    location ~ "^/api/models/{self.repo}/tree/[^/]+$" {{ default_type application/json; alias {api}/tree.json; }}
    location = /api/models/{self.repo}/refs {{ default_type application/json; alias {api}/refs.json; }}
    {lfs}
    location ~ "^/{self.repo}/resolve/[^/]+/(?<file>.*)$" {{ add_header X-Repo-Commit {COMMIT}; add_header ETag $oid; alias {self.files}/$file; }}
  }}
  server {{ listen 127.0.0.1:{self.cdn_port} backlog=1024{f' sndbuf={self.sent_ahead}' if self.sent_ahead else ''}; limit_rate {self.limit}; location / {{ add_header ETag '"{'f' * 64}"'; alias {self.files}/; }} }}
}}
""")

    def __enter__(self):
        self.process = subprocess.Popen(["nginx", "-p", str(self.work), "-c", str(self.work / "nginx.conf")])
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"nginx did not start, see {self.work}/error.log")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def requests(self):
        """What was asked so far: (method, bytes of the body sent, path)."""
        time.sleep(0.2)
        lines = (self.work / "access.log").read_text().splitlines()
        return [(method, int(sent), path) for method, sent, path in (line.split(" ", 2) for line in lines)]
