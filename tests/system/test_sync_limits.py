"""What a sync may take of upstream and of the line: bandwidth, connections, hours, and what upstream asks for."""
import itertools
import random
import signal
import time

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import CARD, NAME, POLICY, Noise, assert_served, files, settings, wait_for
from tests.system.test_sync_mirror import published, small


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as it:
        yield it


def test_bandwidth_cap(tmp_path, hub):
    hub.add_model(NAME, files())
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, rate_limit="3MB/s")) as reg:
        start = time.monotonic()
        reg.ctl("sync", NAME)
        assert 1.2 < time.monotonic() - start < 10
    hub.add_model("org/tiny", {"README.md": CARD, **{f"{n}.txt": f"{n:5}" * 1000 for n in range(200)}})
    with Registry(tmp_path / "slow", policy=POLICY, settings=settings(hub, rate_limit="500kB/s")) as reg:
        start = time.monotonic()
        reg.ctl("sync", "org/tiny")
        assert 1.4 < time.monotonic() - start < 6


def reload_settings(reg):
    said = len(reg.said())
    reg.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.reloaded" in reg.said()[said:])


def test_a_reload_is_no_second_bandwidth(tmp_path, hub):
    for n in range(2):
        hub.add_model(f"org/m{n}", {**small(n), "data.safetensors": Noise(3 << 20, n + 5)})
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, rate_limit="1MB/s")) as reg:
        start = time.monotonic()
        reg.ctl("sync", "org/m0", "--no-wait")
        reload_settings(reg)
        reg.ctl("sync", "org/m1", "--no-wait")
        wait_for(lambda: published(reg) == {"org/m0", "org/m1"})
        assert time.monotonic() - start > 4.5


def test_a_reload_ends_no_wait(reg, hub):
    hub.add_model(NAME, files())
    hub.faults.add(route="info", status=429, headers={"Retry-After": "4000"})
    reg.ctl("sync", NAME, "--no-wait")
    wait_for(lambda: any(j["state"] == "waiting" for j in reg.json("jobs")))
    hub.clear_log()
    reload_settings(reg)
    reg.ctl("sync", f"{NAME}@v1", "--no-wait")
    wait_for(lambda: [j["state"] for j in reg.json("jobs")] == ["waiting", "waiting"])
    assert not hub.requests()


def test_the_bandwidth_cap_counts_git(tmp_path, hub):
    """The pack is all that is large here: a server without filters puts the files into it."""
    hub.options.git_filter = False
    hub.add_model(NAME, {"README.md": CARD, "t.txt": random.Random(1).randbytes(2_000_000).hex()})
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, rate_limit="1MB/s")) as reg:
        start = time.monotonic()
        reg.ctl("sync", NAME, "--include", "*.md")
        assert 1.6 < time.monotonic() - start < 20
        assert reg.json("show", NAME)["proof"] == "commit"


def at_once(requests, seconds):
    """How many of these were under way together, each for so long as the fault surely held it."""
    ends = sorted([(r.at, 1) for r in requests] + [(r.at + seconds, -1) for r in requests])
    return max(itertools.accumulate(step for _, step in ends))


@pytest.mark.parametrize("connections", [1, 3])
def test_connections_count_all_requests(tmp_path, hub, connections):
    for n in range(6):
        hub.add_model(f"org/m{n}", small(n))
    hub.faults.add(delay=0.2)
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, "sync: {jobs: 6}\n", connections=connections)) as reg:
        for n in range(6):
            reg.ctl("sync", f"org/m{n}", "--no-wait")
        wait_for(lambda: published(reg) == {f"org/m{n}" for n in range(6)}, 90)
    every = hub.requests()
    assert at_once(every, 0.15) <= connections + 1
    assert at_once([r for r in every if r.route in ("info", "tree", "git")], 0.15) <= connections


def test_a_long_file_keeps_no_call_waiting(tmp_path, hub):
    hub.add_model(NAME, files())
    hub.add_model("org/other", small(1))
    hub.faults.add(listener="cdn", file="data.safetensors", throttle=300_000)
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, connections=1)) as reg:
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: any(j["progress"]["bytes_done"] > 100_000 for j in reg.json("jobs")))
        assert reg.json("sync", "org/other", "--dry-run", timeout=10)["gate"]
        assert published(reg) == set()


def test_outside_the_window_nothing_is_fetched(tmp_path, hub):
    hub.add_model(NAME, files())
    hour = time.gmtime().tm_hour
    window = f"'{(hour + 2) % 24:02}:00-{(hour + 3) % 24:02}:00'"
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, window=window)) as reg:
        reg.ctl("sync", NAME, "--no-wait")
        job = wait_for(lambda: next((j for j in reg.json("jobs") if j["state"] == "waiting"), None))
        assert "time of day" in job["progress"]["phase"]
        assert not hub.requests(listener="cdn")


def test_announced_limits_are_obeyed_before_a_429(tmp_path, hub):
    hub.options.rate_limits = {"api": (1000, 300), "resolvers": (12, 4), "pages": (1000, 300)}
    hub.add_model(NAME, {"README.md": CARD, **{f"f{i}.txt": f"{i}" for i in range(12)}})
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        reg.ctl("sync", NAME)
        assert not [r for r in hub.requests() if r.status == 429]
        hub.options.rate_limits = {"api": (10000, 300), "resolvers": (10000, 300), "pages": (10000, 300)}
        assert_served(reg, hub)


def test_announced_limits_of_git_are_obeyed_before_a_429(tmp_path, hub):
    """git has an allowance of its own: a proof is not lost because the one for the API is ample."""
    hub.options.rate_limits = {"api": (1000, 300), "resolvers": (1000, 300), "pages": (3, 4)}
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        for n in range(4):
            hub.add_model(f"org/m{n}", small(n))
            reg.ctl("sync", f"org/m{n}")
            assert reg.json("show", f"org/m{n}")["proof"] == "commit"
        assert not [r for r in hub.requests() if r.status == 429]


@pytest.mark.parametrize("status", [429, 503])
def test_a_file_host_that_asks_to_wait_is_obeyed(reg, hub, status):
    """It is not the upstream's own host: neither the file that it refused nor another is asked for there earlier."""
    hub.add_model(NAME, files())
    refused = hub.faults.add(listener="cdn", status=status, headers={"Retry-After": "3"}, times=1)
    reg.ctl("sync", NAME)
    assert hub.faults.acted(refused) == 1
    asked = sorted((r for r in hub.requests(listener="cdn")), key=lambda r: r.at)
    first = next(r for r in asked if r.status == status)
    # those that were asked for at the same moment are under way already
    later = [r.at - first.at for r in asked if r.at > first.at + 0.5]
    assert later and min(later) >= 2.9
    assert_served(reg, hub)


def test_a_file_host_that_asks_to_wait_for_long(reg, hub):
    hub.add_model(NAME, files())
    hub.faults.add(listener="cdn", status=503, headers={"Retry-After": "4000"})
    reg.ctl("mirror", "add", NAME)
    job = wait_for(lambda: next((j for j in reg.json("jobs") if j["kind"] == "sync" and j["state"] == "waiting"), None))
    assert f"{hub.cdn_url} asks to wait" in job["progress"]["phase"]
    assert len(hub.requests(listener="cdn")) <= 2


def test_a_scheduled_sync_waits_for_an_upstream_that_is_away(reg, hub):
    hub.add_model(NAME, files())
    away = hub.faults.add(route="resolve", status=503)
    reg.ctl("mirror", "add", NAME)
    job = wait_for(lambda: next((j for j in reg.json("jobs") if j["kind"] == "sync" and j["state"] == "waiting"), None))
    assert "503" in job["progress"]["phase"]
    hub.faults.remove(away)
    reg.ctl("mirror", "run")        # asked for again, it is looked at now
    wait_for(lambda: published(reg) == {NAME})


def test_a_long_body_keeps_no_other_file_waiting(tmp_path, hub):
    """An upstream that answers large files itself, as another registryd does."""
    hub.options.small_files = "direct"
    hub.add_model(NAME, {"README.md": CARD, "long.txt": "x" * (2 << 20), **{f"f{i}.txt": f"{i}" for i in range(20)}})
    hub.faults.add(route="resolve", file="long.txt", throttle=400_000)
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        start = time.time()
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: len(hub.requests(route="resolve")) >= 21)
        assert time.time() - start < 4
        wait_for(lambda: published(reg) == {NAME})
