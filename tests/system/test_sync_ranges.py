"""One large file over several connections: only where each is slow by itself, and as safe as over one."""
import random
import re
import struct
import time

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import NAME, POLICY, Noise, assert_not_served, assert_served, files, settings, settled, wait_for

MIB = 1 << 20
SIZE = 12 * MIB
SLOW = 5 * MIB          # bytes a second that the upstream gives to one connection
FILE = "data.safetensors"


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as it:
        yield it


@pytest.fixture
def slow(hub):
    """An upstream whose connections are slow, each by itself."""
    hub.add_model(NAME, files(**{FILE: Noise(SIZE)}))
    return hub.faults.add(listener="cdn", file=FILE, throttle=SLOW)


def asked(hub, since=0.0):
    """The requests for the file's bytes that brought some."""
    return [r for r in hub.requests(listener="cdn", file=FILE) if r.bytes_sent and r.status in (200, 206) and r.at >= since]


def begin(request):
    found = re.match(r"bytes=(\d+)-", request.headers.get("range", "bytes=0-"))
    return int(found[1])


def covered(requests):
    upto = total = 0
    for at, end in sorted((begin(r), begin(r) + r.bytes_sent) for r in requests):
        total += max(0, end - max(at, upto))
        upto = max(upto, end)
    return total


def test_slow_connections_are_used_side_by_side(reg, hub, slow):
    hub.faults.add(listener="cdn", file=FILE, throttle=2 * MIB)
    reg.ctl("sync", NAME)
    used = asked(hub)
    assert len({r.connection for r in used}) >= 4
    # Each brings something else. What a lane gave away may be under way to it already: no more than that is sent twice.
    assert covered(used) == SIZE
    assert sum(r.bytes_sent for r in used) < SIZE + 4 * MIB
    # the address is asked for once, not for each range
    assert len(hub.requests(route="resolve", file=FILE)) <= 2
    hub.faults.clear()
    assert_served(reg, hub)


def test_one_connection_is_one_connection(tmp_path, hub, slow):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, connections=1)) as reg:
        reg.ctl("sync", NAME)
        assert len(asked(hub)) == 1


def test_our_own_cap_opens_no_connections(tmp_path, hub):
    """Where rate_limit is what holds the bytes up, more connections would bring nothing."""
    hub.add_model(NAME, files(**{FILE: Noise(SIZE)}))
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, rate_limit="4MB/s")) as reg:
        reg.ctl("sync", NAME)
        assert len(asked(hub)) == 1


def test_no_more_connections_than_our_cap_has_room_for(tmp_path, hub):
    """Slow ones are used side by side up to it; what came beyond would wait in the kernel, and be sent twice."""
    hub.add_model(NAME, files(**{FILE: Noise(SIZE)}))
    hub.faults.add(listener="cdn", file=FILE, throttle=2 * MIB)
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, rate_limit="5MB/s")) as reg:
        reg.ctl("sync", NAME)
        assert 2 <= len({r.connection for r in asked(hub)})
        assert sum(r.bytes_sent for r in asked(hub)) < SIZE * 1.08


def test_files_come_before_ranges(reg, hub):
    """While other files wait for a connection, none is split."""
    reg.stop()
    reg.config.write_text(reg.config.read_text().replace("retries: 3", "retries: 3, connections: 4"))
    reg.start()
    many = {f"part-{i}.safetensors": Noise(3 * MIB, i + 10) for i in range(12)}
    hub.add_model(NAME, files(**many))
    hub.faults.add(listener="cdn", throttle=2 * MIB)
    reg.ctl("sync", NAME)
    last_began = max(min(r.at for r in hub.requests(listener="cdn", file=name)) for name in many)
    assert not [r for r in hub.requests(listener="cdn") if "range" in r.headers and r.at < last_began]
    hub.faults.clear()
    assert_served(reg, hub)


FAULTS = {
    "truncated": dict(truncate=300_000, times=3),
    "truncated at once": dict(truncate=0, times=3),
    "reset": dict(reset=200_000, times=3),
    "stalled": dict(stall=[200_000, 30], times=1),
    "wrong byte": dict(corrupt=SIZE * 9 // 10),                     # only in ranges: what is fetched again in one piece is right
    "200 to a range": dict(ignore_range=True),
    "200 to one range": dict(ignore_range=True, times=1),
    "another range": dict(wrong_range=7, times=2),
    "another total": dict(set_headers={"Content-Range": "bytes 0-1/77"}, times=1),
    "another size": dict(set_headers={"Content-Range": f"bytes 0-1/{SIZE - 1}"}),
    "each cut short": dict(truncate=400_000),
    "etag changes": dict(etag="changing"),
    "503": dict(status=503, times=2),
    "503 for ever": dict(status=503),
    "429": dict(status=429, retry_after=1, times=3),
    "closed without answer": dict(close=True, times=3),
    "reset for ever": dict(reset=10),
    "login page": dict(html=True, times=2),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_fault_in_a_range(reg, hub, slow, fault):
    rule = hub.faults.add(listener="cdn", file=FILE, range=True, **FAULTS[fault])
    reg.ctl("sync", NAME)
    assert hub.faults.acted(rule)
    # nobody fetches the whole file once a lane
    assert sum(r.bytes_sent for r in asked(hub)) < 2 * SIZE + 8 * MIB
    hub.faults.clear()
    assert_served(reg, hub)
    assert not list((reg.data / "partial").iterdir())


def test_an_address_that_expires_between_ranges_is_asked_for_again(reg, hub, slow):
    hub.faults.add(route="resolve", file=FILE, expires=1)
    hub.faults.add(listener="cdn", file=FILE, throttle=2 * MIB)
    reg.ctl("sync", NAME)
    assert [r for r in hub.requests(listener="cdn", file=FILE) if r.status == 403]
    assert len(hub.requests(route="resolve", file=FILE)) >= 2
    hub.faults.clear()
    assert_served(reg, hub)


def test_wrong_bytes_stay_wrong(reg, hub, slow):
    hub.faults.add(listener="cdn", file=FILE, corrupt=SIZE - 5)
    said = reg.ctl("sync", NAME, code=6).stderr
    assert FILE in said and "quarantine" in said
    assert {r.connection for r in asked(hub)} and len(list((reg.data / "quarantine").iterdir())) == 2
    assert_not_served(reg)
    hub.faults.clear()
    reg.ctl("sync", NAME)
    assert_served(reg, hub)


# --- kill -9 --------------------------------------------------------------------------------------------------------------------


NOTE_BYTES = 24 + 64 * 16 + 32


def vouched(reg):
    """The ranges that the second note in partial/, the one that counts after a kill, says are written."""
    for path in (reg.data / "partial").glob("*.have"):
        note = path.read_bytes()[NOTE_BYTES:]
        if len(note) == NOTE_BYTES and note[:8] == b"partial1":
            n = struct.unpack_from("=Q", note, 16)[0]
            return [struct.unpack_from("=QQ", note, 24 + 16 * i) for i in range(n)]
    return []


def test_kill_leaves_holes_and_what_is_there_does_not_come_again(reg, hub):
    size = 64 * MIB
    hub.add_model(NAME, files(**{FILE: Noise(size)}))
    slow = hub.faults.add(listener="cdn", throttle=4 * MIB)
    reg.ctl("sync", NAME, "--no-wait")
    wait_for(lambda: len(vouched(reg)) > 1 and sum(e - b for b, e in vouched(reg)) > 12 * MIB)
    done = max(j["progress"]["bytes_done"] for j in reg.json("jobs"))
    reg.kill()
    hub.faults.remove(slow)
    restarted = time.time()
    reg.start()
    assert settled(reg)[0]["state"] == "done"
    again = asked(hub, restarted)
    assert len(again) > 1 and min(begin(r) for r in again) > 0
    assert 0 < sum(r.bytes_sent for r in again) < size - done + 16 * MIB
    hub.faults.clear()
    assert_served(reg, hub)


def test_kills_of_one_long_download(reg, hub):
    """kill -9 at random points of one download: it gets on each time, and what it ends with is right."""
    size, kills = 48 * MIB, 10
    rng = random.Random(20261128)
    hub.add_model(NAME, files(**{FILE: Noise(size)}))
    slow = hub.faults.add(listener="cdn", throttle=2 * MIB)
    reg.ctl("sync", NAME, "--no-wait")
    for _ in range(kills):
        time.sleep(rng.uniform(0.2, 2.0))
        reg.kill()
        reg.start()
    hub.faults.remove(slow)
    assert settled(reg)[0]["state"] == "done"
    hub.faults.clear()
    assert_served(reg, hub)
    reg.ctl("verify", "--all")
