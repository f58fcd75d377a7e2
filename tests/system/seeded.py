"""A real registryd on a data directory that build/tests/seed fills: for tests of what is served, without a pipeline behind it."""
import http.client
import json
import os
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("REGISTRYD_BUILD", ROOT / "build"))
START_S = 20


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    def __getitem__(self, name):
        return self.headers[name]


class Seeded:
    """seed() while it is stopped, then start(); get(), head() and ask() speak plain HTTP/1.1 without any client's cleverness."""

    def __init__(self, where, *arguments):
        self.data, self.arguments, self.process, self.port = where / "data", list(arguments), None, None
        self.log_path = where / "registryd.log"
        self.data.mkdir(parents=True, exist_ok=True)

    def seed(self, repo, files, **options):
        """files: a directory, or {path: bytes}. Returns the commit. Options as seed's, with _ for -; lists repeat, True has no value."""
        if isinstance(files, dict):
            made = self.data.parent / "seed" / repo / str(time.monotonic_ns())
            for name, content in files.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                (made / name).write_bytes(content)
            files = made
        argv = [BUILD / "tests/seed", "--data", self.data, "--repo", repo, "--from", files]
        for name, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                argv += ["--" + name.replace("_", "-")] + ([] if one is True else [str(one)])
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, **env):
        log = open(self.log_path, "ab")
        before = self.log_path.stat().st_size
        self.process = subprocess.Popen([BUILD / "bin/registryd", "--data", self.data, "--listen", "127.0.0.1:0", *self.arguments],
                                        stderr=log, env={**os.environ, **env})
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            text = self.log_path.read_bytes()[before:].decode(errors="replace")
            found = re.search(r"daemon\.ready .*port=(\d+)", text)
            if found:
                self.port = int(found[1])
                return self
            assert self.process.poll() is None, f"registryd ended with {self.process.returncode}: {text}"
            time.sleep(0.02)
        raise AssertionError("registryd did not become ready: " + self.log_path.read_text())

    def stop(self, sig=signal.SIGTERM):
        if not self.process or self.process.poll() is not None:
            return None
        self.process.send_signal(sig)
        return self.process.wait(START_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self):
        return self.log_path.read_text()

    @property
    def admin(self):
        return (self.data / "admin.token").read_text().strip()

    def ask(self, method, path, body=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            c.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def head(self, path, **headers):
        return self.ask("HEAD", path, **headers)
