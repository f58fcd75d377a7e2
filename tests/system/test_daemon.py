"""The daemon as a program: starting, refusing to start, reloading, telling its supervisor, stopping."""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.request

import pytest

from tests.system.seeded import BUILD, ROOT, Seeded

PROGRAM = BUILD / "bin/registryd"


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=30, **options)


def eventually(check, what):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if check():
            return
        time.sleep(0.02)
    raise AssertionError(f"did not happen: {what}")


def test_version_and_settings(tmp_path):
    assert re.fullmatch(r"registryd \d+\.\d+\.\d+\n", run("--version").stdout)
    shown = run("--print-config", "--data", tmp_path, "--listen", "127.0.0.1:1234")
    assert shown.returncode == 0 and f"data: {tmp_path}" in shown.stdout and "listen: [127.0.0.1:1234]" in shown.stdout
    (tmp_path / "again.yaml").write_text(shown.stdout)
    assert run("--print-config", "--config", tmp_path / "again.yaml").stdout == shown.stdout
    assert run("--check-config", "--config", tmp_path / "again.yaml").returncode == 0


def test_the_shipped_files_are_valid(tmp_path):
    text = (ROOT / "etc/registryd.yaml").read_text().replace("/etc/registryd/policy.yaml", str(ROOT / "etc/policy.yaml"))
    (tmp_path / "registryd.yaml").write_text(text)
    done = run("--check-config", "--config", tmp_path / "registryd.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program,arguments", [
    ("registryd", ["--version"]), ("registryd", ["--print-config"]), ("registryd", ["--check-config"]), ("registryd", ["--help"]),
    ("registryd-smoke", ["--version"]), ("registryd-smoke", ["--inspect", "MODEL"]), ("registryd-smoke", ["--inspect", "--json", "MODEL"]), ("registryctl", ["--version"]),
])
def test_standard_output_on_a_full_disk(models, program, arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BUILD / "bin" / program, *[models / "tiny-story" if a == "MODEL" else a for a in arguments]], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "standard output" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments,words", [
    (["--lisen", "x"], "unknown option --lisen; did you mean --listen?"), (["--config"], "--config needs a value"), (["serve"], "unexpected argument serve"),
    (["--config", "/nonexistent.yaml"], "/nonexistent.yaml"), (["--check-config", "--listen", "8640"], "is not ADDRESS:PORT"), (["--check-config", "--listen", "127.0.0.1:70000"], "at most 65535"),
])
def test_wrong_usage(tmp_path, arguments, words):
    done = run(*[str(tmp_path / "data") if a == "DATA" else a for a in arguments])
    assert done.returncode == 2 and words in done.stderr, done.stderr


@pytest.mark.parametrize("text,words", [
    ("lisen: [x]", 'unknown setting "lisen"; did you mean "listen"?'), ("smoke: {timeout: soon}", "smoke.timeout"), ("a: [", "registryd.yaml"),
    ("x: &a 1\ny: *a", "registryd.yaml"), ("listen: ['127.0.0.1:1', '[::1]:1', '127.0.0.1:1']", "listen: 127.0.0.1:1 is there twice"),
    ("upstreams: [{name: hub, endpoint: 'http://x', token_file: /nonexistent/token}]", "upstreams[1].token_file: /nonexistent/token: No such file"),
    ("upstreams: [{name: hub, endpoint: 'http://x', ca_file: /nonexistent/ca}]", "upstreams[1].ca_file"),
    ("webhooks: [{url: 'http://x', secret_file: /nonexistent/secret}]", "webhooks[1].secret_file: /nonexistent/secret"),
    ("webhooks: [{url: 'http://x', events: ['lifecycle.*', 'revison.*']}]", 'webhooks[1].events: there is no event "revison.*"; did you mean "revision.*"?'),
    ("webhooks: [{url: 'http://x', events: [revision.publishd]}]", 'did you mean "revision.published"?'), ("policy: /nonexistent/policy.yaml", "/nonexistent/policy.yaml"),
])
def test_wrong_settings(tmp_path, text, words):
    (tmp_path / "registryd.yaml").write_text(text)
    done = run("--check-config", "--config", tmp_path / "registryd.yaml")
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_wrong_policy(tmp_path):
    (tmp_path / "policy.yaml").write_text("licences: {allow: [mit]}\n")
    (tmp_path / "registryd.yaml").write_text(f"policy: {tmp_path}/policy.yaml\n")
    done = run("--check-config", "--config", tmp_path / "registryd.yaml")
    assert done.returncode == 2 and "licenses" in done.stderr


def test_first_start_and_life(tmp_path):
    with Seeded(tmp_path) as r:
        r.start()
        token = r.data / "admin.token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert re.fullmatch(r"hf_[A-Za-z0-9]{34,}\n", token.read_text())
        before = token.read_text()
        assert (r.get("/-/healthy").status, r.get("/-/healthy").body) == (200, b"ok\n")
        assert r.get("/-/ready").status == 200
        assert r.head("/-/healthy").headers["Content-Length"] == "3"
        assert r.ask("POST", "/-/healthy").status == 405 and r.ask("POST", "/-/healthy")["Allow"] == "GET"
        assert r.stop() == 0
        assert "daemon.stopped" in r.log
        r.start()       # and again, with what is there
        assert token.read_text() == before and r.get("/api/whoami-v2", Authorization=f"Bearer {r.admin}").status == 200


def role_of(r, token):
    return r.get("/api/whoami-v2", Authorization=f"Bearer {token}").status


def test_a_token_file_that_is_of_no_use(tmp_path):
    """The catalog is lost, or its token is revoked: a new one is written. Not when another admin is there."""
    with Seeded(tmp_path) as r:
        r.start()
        first = r.admin
        r.stop()
        for f in r.data.glob("catalog.sqlite*"):
            f.unlink()
        r.start()
        second = r.admin
        assert second != first and role_of(r, second) == 200 and role_of(r, first) == 401
        assert stat.S_IMODE((r.data / "admin.token").stat().st_mode) == 0o600
        assert "auth.new_token" in r.log and "unknown token" in r.log and second not in r.log

        assert r.ask("DELETE", "/-/v1/tokens/admin", Authorization=f"Bearer {second}").status == 200
        r.stop()
        r.start()
        third = r.admin
        assert third != second and role_of(r, third) == 200 and "was revoked" in r.log

        made = r.ask("POST", "/-/v1/tokens", body=b'{"name": "ops", "role": "admin"}', Authorization=f"Bearer {third}").json()["token"]
        (r.data / "admin.token").write_text("hf_" + "x" * 40 + "\n")
        r.stop()
        r.start()
        assert r.admin == "hf_" + "x" * 40 and "auth.stale_token" in r.log and role_of(r, made) == 200
        before = r.log
        (r.data / "admin.token").write_text(made)     # one's own is as good
        r.stop()
        r.start()
        assert r.admin == made and "auth." not in r.log[len(before):]

        for name in "r" * 63 + "x", "r" * 63 + "y":     # as long as a name may be, and two people
            asked = r.ask("POST", "/-/v1/tokens", body=json.dumps({"name": name, "role": "reader"}).encode(), Authorization=f"Bearer {made}")
            assert r.get("/api/whoami-v2", Authorization=f"Bearer {asked.json()['token']}").json()["name"] == name


def test_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as s:
        done = run("--data", tmp_path / "d", "--listen", f"127.0.0.1:{s.getsockname()[1]}")
    assert done.returncode == 1 and "Address already in use" in done.stderr and "--listen" in done.stderr


def test_store_in_use(tmp_path):
    with Seeded(tmp_path) as r:
        r.start()
        done = run("--data", r.data, "--listen", "127.0.0.1:0")
        assert done.returncode == 1 and str(r.data) in done.stderr
        assert r.get("/-/ready").status == 200


def test_data_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run("--data", tmp_path / "file/data", "--listen", "127.0.0.1:0")
    assert done.returncode == 1 and "file/data" in done.stderr
    if os.geteuid():
        (tmp_path / "ro").mkdir(mode=0o500)
        assert "Permission denied" in run("--data", tmp_path / "ro/data", "--listen", "127.0.0.1:0").stderr


def test_damaged_catalog(tmp_path):
    (tmp_path / "catalog.sqlite").write_bytes(b"this is no catalog" * 1000)
    done = run("--data", tmp_path, "--listen", "127.0.0.1:0")
    assert done.returncode != 0 and "catalog.sqlite" in done.stderr
    assert (tmp_path / "catalog.sqlite").read_bytes().startswith(b"this is no catalog")


def test_reload(tmp_path):
    config = tmp_path / "registryd.yaml"
    config.write_text("auth: {anonymous: read}\n")
    with Seeded(tmp_path, "--config", str(config)) as r:
        r.start()
        assert r.get("/api/models").status == 200
        config.write_text("auth: {anonymous: none}\n")
        r.process.send_signal(signal.SIGHUP)
        eventually(lambda: r.get("/api/models").status == 401, "anonymous readers are refused")
        refused = r.get("/api/models")
        assert refused["WWW-Authenticate"] and "reader" in refused["X-Error-Message"]
        assert r.get("/-/healthy").status == 200
        assert r.get("/api/models", Authorization=f"Bearer {r.admin}").status == 200
        config.write_text("auth: {anonymous: everything}\n")
        r.process.send_signal(signal.SIGHUP)
        eventually(lambda: "config.refused" in r.log, "the bad file is refused")
        assert "auth.anonymous" in r.log and r.get("/api/models").status == 401
        config.write_text("auth: {anonymous: read}\nhttp: {threads: 3}\n")
        r.process.send_signal(signal.SIGHUP)
        eventually(lambda: r.get("/api/models").status == 200, "anonymous readers are back")
        assert "config.needs_restart setting=http" in r.log


@pytest.fixture
def supervisor(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(10)
        yield s


def test_supervisor_is_told(tmp_path, supervisor):
    config = tmp_path / "registryd.yaml"
    config.write_text("http: {grace: 5m}\n")
    with Seeded(tmp_path, "--config", config) as r:
        r.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert supervisor.recv(1000).decode() == f"READY=1\nSTATUS=serving {r.data} at 127.0.0.1:0"
        r.process.send_signal(signal.SIGHUP)
        assert supervisor.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert supervisor.recv(1000) == b"READY=1"
        r.stop()
        assert supervisor.recv(1000) == b"STOPPING=1\nSTATUS=running answers end\nEXTEND_TIMEOUT_USEC=350000000", "it may take the grace that was set"


def test_watchdog_is_told(tmp_path, supervisor):
    with Seeded(tmp_path) as r:
        r.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="20000")
        assert supervisor.recv(1000).startswith(b"READY=1")
        assert [supervisor.recv(1000) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        r.process.send_signal(signal.SIGHUP)
        while supervisor.recv(1000) != b"READY=1":      # signals are followed all the same
            pass


def test_watchdog_of_another_process(tmp_path, supervisor):
    with Seeded(tmp_path) as r:
        r.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="1000", WATCHDOG_PID="1")
        assert supervisor.recv(1000).startswith(b"READY=1")
        r.stop()
        assert supervisor.recv(1000).startswith(b"STOPPING=1")


def test_stop_lets_answers_end(tmp_path):
    """SIGTERM in the middle of a download: the download ends whole, new connections are not taken."""
    size = 64 << 20
    with Seeded(tmp_path) as r:
        r.seed("org/m", {"model.safetensors": os.urandom(1 << 20) * (size >> 20)})
        r.start()
        got, begun = [], threading.Event()

        def pull():
            with urllib.request.urlopen(f"{r.url}/org/m/resolve/main/model.safetensors") as answer:
                got.append(len(answer.read(1000)))
                begun.set()
                time.sleep(0.3)
                got.append(len(answer.read()))

        t = threading.Thread(target=pull)
        t.start()
        assert begun.wait(10)
        r.process.send_signal(signal.SIGTERM)
        t.join(20)
        assert sum(got) == size
        assert r.process.wait(20) == 0


def test_clients_that_go_away(tmp_path):
    with Seeded(tmp_path) as r:
        r.seed("org/m", {"model.safetensors": os.urandom(1 << 20) * 32})
        r.start()
        before = len(os.listdir(f"/proc/{r.process.pid}/fd"))
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", r.port))
            s.sendall(b"GET /org/m/resolve/main/model.safetensors HTTP/1.1\r\nHost: x\r\n\r\n")
            s.recv(1000)
            s.close()
        eventually(lambda: len(os.listdir(f"/proc/{r.process.pid}/fd")) <= before + 2, "files of broken connections are closed")
        assert r.get("/-/healthy").status == 200


METRIC = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\[\\"n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\[\\"n])*")*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)')


def test_metrics(tmp_path):
    with Seeded(tmp_path) as r:
        r.seed("org/m", {"a.txt": b"a"})
        r.start()
        r.get("/org/m/resolve/main/a.txt")
        r.get("/nowhere/at/all")
        # A request is counted when it has ended, which may be after its client has gone on.
        deadline = time.monotonic() + 10
        while (got := r.get("/metrics")) and b'/resolve/{rev}/{path*}",status="2xx"} 1' not in got.body and time.monotonic() < deadline:
            time.sleep(0.05)
        assert got["Content-Type"].startswith("text/plain; version=0.0.4")
        families, seen = {}, []
        for line in got.body.decode().splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in families
                families[name] = kind
            elif line.startswith("# HELP "):
                assert len(line.split(" ", 3)[3]) > 5
            else:
                assert METRIC.fullmatch(line), line
                name = re.match(r"[a-zA-Z0-9_:]+", line)[0]
                assert name in families or re.sub(r"_(bucket|sum|count)$", "", name) in families, line
                seen.append(line)
        assert len(seen) == len({s.rsplit(" ", 1)[0] for s in seen})
        assert 'registryd_http_requests_total{method="GET",route="/{repo}/resolve/{rev}/{path*}",status="2xx"} 1' in seen
        assert 'registryd_models 1' in seen and "registryd_catalog_up 1" in seen
