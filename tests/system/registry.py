"""A real registryd with a directory of its own, and registryctl pointed at it."""
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("REGISTRYD_BUILD", ROOT / "build"))
BIN = Path(os.environ.get("REGISTRYD_BIN", BUILD / "bin"))
START_S = 20
STOP_S = 30


class Registry:
    """
        with Registry(tmp_path, upstream=hub.url) as reg:
            reg.ctl("sync", "org/name")              # CompletedProcess; fails the test unless it ends with 0
            reg.ctl("ls", "--json", code=0)
            reg.json("show", "org/name")             # parsed stdout of --json
    """

    def __init__(self, where, upstream=None, policy=None, settings="", env=None):
        self.where, self.data = Path(where), Path(where) / "data"
        self.where.mkdir(parents=True, exist_ok=True)
        self.config = self.where / "registryd.yaml"
        self.log = self.where / "registryd.log"
        self.env = env or {}
        self.port = 0
        lines = [f"data: {self.data}"]
        if upstream:
            lines.append(f"upstreams:\n  - {{name: hub, endpoint: {upstream}, backoff: 10ms}}")
        if policy is not None:
            (self.where / "policy.yaml").write_text(policy)
            lines.append(f"policy: {self.where / 'policy.yaml'}")
        self.config.write_text("\n".join(lines) + "\n" + settings)
        self.process = None

    url = property(lambda self: f"http://127.0.0.1:{self.port}")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        start = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BIN / "registryd", "--config", self.config, "--listen", f"127.0.0.1:{self.port}"], stderr=log,
                                            stdout=log, env={**clean_env(), **self.env})
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            said = self.log.read_bytes()[start:].decode(errors="replace")      # start counts bytes
            ready = re.search(r"daemon\.ready .*\bport=(\d+)", said)
            if ready:
                self.port = int(ready[1])
                return
            if self.process.poll() is not None:
                raise AssertionError(f"registryd ended with {self.process.returncode}: {said}")
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"registryd was not ready after {START_S} s: {self.said()}")

    def stop(self):
        """SIGTERM, as a service manager does; it must then end by itself and cleanly, and not have ended before."""
        if self.process:
            assert self.process.poll() is None, f"registryd has died with {self.process.returncode}: {self.said()[-3000:]}"
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"registryd did not stop within {STOP_S} s: {self.said()[-2000:]}") from None
            assert code == 0, f"registryd ended with {code}: {self.said()[-2000:]}"
        self.process = None

    @contextlib.contextmanager
    def stopped(self):
        """A connection to the catalog, while the daemon is stopped; what is done there is committed."""
        self.stop()
        with contextlib.closing(sqlite3.connect(self.data / "catalog.sqlite")) as catalog, catalog:
            yield catalog
        self.start()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def command(self, *args):
        return [str(BIN / "registryctl"), "--url", self.url, "--data", str(self.data), *map(str, args)]

    def ctl(self, *args, code=0, env=None, timeout=120, **how):
        done = subprocess.run(self.command(*args), capture_output=True, text=True, timeout=timeout, env={**clean_env(), **(env or {})}, **how)
        if code is not None:
            assert done.returncode == code, (f"registryctl {' '.join(map(str, args))} ended with {done.returncode}, not {code}\n"
                                             f"stdout: {done.stdout[-3000:]}\nstderr: {done.stderr[-3000:]}\ndaemon: {self.said()[-3000:]}")
            if code:
                assert done.stderr.count("registryctl: ") == 1, f"an error is one sentence: {done.stderr!r}"
        return done

    def json(self, *args, code=0, **how):
        return json.loads(self.ctl(*args, "--json", code=code, **how).stdout)

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Authorization": f"Bearer {self.token()}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def blob(self, sha256):
        return self.data / "blobs" / "sha256" / sha256

    def token(self):
        return (self.data / "admin.token").read_text().strip()


def clean_env():
    """The environment without what would point the programs, or a Hub client, somewhere else."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("REGISTRYD_U", "REGISTRYD_TOKEN", "HF_", "HUGGINGFACE_"))}
