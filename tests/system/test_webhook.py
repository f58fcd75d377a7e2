"""Webhooks: events reach the addresses of the settings in order, signed, again after a failure, and the attempts are on record."""
import hashlib
import hmac
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest

from tests.system.registry import Registry

SECRET = "correct horse battery staple"
WAIT_S = 40		# the first retry comes after ten seconds


class Listener:
    """An address that keeps what it is told; its first answers can be failures."""

    def __init__(self, failures=0, takes_s=0):
        self.heard, self.failures, self.takes_s = [], failures, takes_s
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.heard.append((dict(self.headers), body))
                time.sleep(listener.takes_s)
                listener.failures -= 1
                self.send_response(503 if listener.failures >= 0 else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, n):
        end = time.monotonic() + WAIT_S
        while len(self.heard) < n and time.monotonic() < end:
            time.sleep(0.05)
        assert len(self.heard) >= n, f"{len(self.heard)} of {n} deliveries came"


@pytest.fixture
def listener():
    one = Listener(failures=1)
    yield one
    one.server.shutdown()


def history(reg):
    with urlopen(Request(reg.url + "/-/v1/webhooks", headers={"Authorization": "Bearer " + reg.token()})) as answer:
        return json.load(answer)["deliveries"]


def test_told_in_order_signed_and_again(tmp_path, listener):
    secret = tmp_path / "hook.secret"
    secret.write_text(SECRET + "\n")
    settings = f"webhooks:\n  - {{url: {listener.url}, secret_file: {secret}, events: [\"token.*\", blob.lost]}}\n"
    with Registry(tmp_path / "reg", settings=settings) as reg:
        time.sleep(0.5)		# it begins with what happens after it was first seen
        reg.ctl("token", "create", "ci", "--role", "reader")
        reg.ctl("token", "revoke", "ci")
        listener.wait(3)		# refused once, then both
        attempts = history(reg)
    kinds = [json.loads(body)["kind"] for _, body in listener.heard]
    assert kinds == ["token.created", "token.created", "token.revoked"]
    for headers, body in listener.heard:
        assert headers["X-Registryd-Signature-256"] == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["X-Registryd-Event"] == json.loads(body)["kind"]
    assert listener.heard[0][1] == listener.heard[1][1]
    assert [h["X-Registryd-Delivery"].split("-")[1] for h, _ in listener.heard] == ["1", "2", "1"]
    assert SECRET not in reg.said()
    newest_first = [(a["attempt"], a["status"], a["delivered"]) for a in attempts]
    assert newest_first[-2:] == [(2, 204, True), (1, 503, False)]


def test_a_slow_address_delays_no_other_and_not_the_end(tmp_path):
    slow, quick = Listener(takes_s=10), Listener()
    with Registry(tmp_path / "reg", settings=f"webhooks:\n  - {{url: {slow.url}}}\n  - {{url: {quick.url}}}\n") as reg:
        time.sleep(0.5)
        for name in "abc":
            reg.ctl("token", "create", name, "--role", "reader")
        begun = time.monotonic()
        quick.wait(3)
        assert time.monotonic() - begun < 5 and len(slow.heard) == 1
        begun = time.monotonic()
        reg.stop()
        assert time.monotonic() - begun < 5
        slow.takes_s = 0
        reg.start()
        slow.wait(4)
        assert [h["X-Registryd-Delivery"] for h, _ in slow.heard] == [slow.heard[0][0]["X-Registryd-Delivery"]] + [h["X-Registryd-Delivery"] for h, _ in quick.heard]
        assert "webhook.failed" not in reg.said()

        late = Listener()        # it begins with the reload, and not once a thread gets round to it
        reg.config.write_text(reg.config.read_text() + f"  - {{url: {late.url}}}\n")
        os.kill(reg.process.pid, signal.SIGHUP)
        while "config.reloaded" not in reg.said():
            time.sleep(0.01)
        reg.ctl("token", "create", "d", "--role", "reader")
        late.wait(1)
    for one in slow, quick, late:
        one.server.shutdown()


def test_an_address_that_comes_again_begins_anew(tmp_path):
    listener = Listener()
    with Registry(tmp_path / "reg") as reg:
        without, reloads = reg.config.read_text(), 0
        for name, tail in ("a", True), ("b", False), ("c", True):
            reg.config.write_text(without + (f"webhooks:\n  - {{url: {listener.url}}}\n" if tail else ""))
            os.kill(reg.process.pid, signal.SIGHUP)
            reloads += 1
            while reg.said().count("config.reloaded") < reloads:
                time.sleep(0.01)
            reg.ctl("token", "create", name, "--role", "reader")
            if tail:
                listener.wait(1 if name == "a" else 2)
    listener.server.shutdown()
    assert [json.loads(body)["data"]["name"] for _, body in listener.heard] == ["a", "c"]


def test_history_is_for_administrators(tmp_path):
    with Registry(tmp_path / "reg") as reg:
        with pytest.raises(Exception, match="401|403"):
            urlopen(reg.url + "/-/v1/webhooks")
        assert history(reg) == []
