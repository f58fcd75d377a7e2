"""Sync onto a disk that is full or fails: it waits or ends with a reason, and nothing half is ever published."""
import http.client
import json
import os
import subprocess
import urllib.request

import pytest

from tests.system.registry import BUILD, Registry
from tests.system.sync_case import BIG, CARD, NAME, POLICY, Noise, assert_not_served, assert_served, files, get, settings, wait_for


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", where], capture_output=True).returncode:
        pytest.skip("a small file system can't be mounted here (needs root)")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_full_disk_pauses_and_goes_on(small_disk, hub):
    hub.add_model(NAME, files())
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (19 << 20))
    with Registry(small_disk / "r", policy=POLICY, settings=settings(hub, "sync: {keep_free: 0}\n")) as reg:
        reg.ctl("sync", NAME, "--no-wait")
        job = wait_for(lambda: next((j for j in reg.json("jobs") if j["state"] == "waiting"), None))
        assert "free" in job["progress"]["phase"] and "6.30 MB" in job["progress"]["phase"]
        assert_not_served(reg)
        filler.unlink()
        reg.ctl("sync", NAME, timeout=90)
        assert_served(reg, hub)


def fill(disk, leave):
    with open(disk / "filler", "ab", buffering=0) as filler:
        while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > leave:
            filler.write(b"x" * os.statvfs(disk).f_frsize)


@pytest.mark.parametrize("end, leave", [("kill", 0), ("stop", 32 << 10)])     # an orderly end gives room back, of which SQLite wants so much to begin with
def test_a_start_on_a_full_disk(tmp_path, small_disk, hub, end, leave):
    """What is published is served. What could not be written is done when there is room: jobs go on, and a policy that was changed meanwhile is put in force."""
    hub.add_model("org/small", {"README.md": CARD, "config.json": "{}"})
    hub.add_model(NAME, files())
    slow = hub.faults.add(listener="cdn", file="data.safetensors", throttle=2_000_000)
    reg = Registry(tmp_path / "r", policy=POLICY, settings="")
    reg.data = small_disk / "data"
    reg.config.write_text(f"data: {reg.data}\npolicy: {reg.where}/policy.yaml\n" + settings(hub, "sync: {keep_free: 0}\n"))
    with reg:
        reg.ctl("sync", "org/small")
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: any(0 < j["progress"]["bytes_done"] for j in reg.json("jobs") if j["repo"] == NAME))
        getattr(reg, end)()
        hub.faults.remove(slow)
        with open(reg.where / "policy.yaml", "a") as policy:
            policy.write("lifecycle: {notice: 77d}\n")
        fill(small_disk, leave)
        reg.start()
        assert get(f"{reg.url}/-/ready")[0] == 503 and "disk of the catalog is full" in reg.said()
        assert get(f"{reg.url}/org/small/resolve/main/config.json")[0] == 200
        assert "77d" not in reg.ctl("policy", "show").stdout
        (small_disk / "filler").unlink()
        wait_for(lambda: get(f"{reg.url}/-/ready")[0] == 200)
        wait_for(lambda: not any(j["state"] in ("queued", "running", "waiting") for j in reg.json("jobs")))
        assert_served(reg, hub)
        wait_for(lambda: "77d" in reg.ctl("policy", "show").stdout)


def test_what_is_begun_has_its_room_already(small_disk, hub):
    """After a restart it is not asked for again."""
    hub.add_model(NAME, files())
    slow = hub.faults.add(listener="cdn", file="data.safetensors", throttle=2_000_000)
    reg = Registry(small_disk / "r", policy=POLICY, settings=settings(hub, "sync: {keep_free: 0}\n"))
    reg.start()
    reg.ctl("sync", NAME, "--no-wait")
    wait_for(lambda: any(j["progress"]["bytes_done"] > BIG // 3 for j in reg.json("jobs")))
    reg.kill()
    hub.faults.remove(slow)
    disk = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - BIG // 2))
    with reg:
        wait_for(lambda: not any(j["state"] in ("queued", "running") for j in reg.json("jobs")))
        assert_served(reg, hub)


def test_two_syncs_leave_each_other_their_room(small_disk, hub):
    """The one that does not fit beside the other waits for it, and goes on as soon as that has ended, with what that had reserved."""
    for n in range(2):
        hub.add_model(f"org/m{n}", {"README.md": CARD, **{f"w{i}.safetensors": Noise(5 << 20, 10 * n + i) for i in range(2)}})
    slow = hub.faults.add(listener="cdn", throttle=300_000)
    with Registry(small_disk / "r", policy=POLICY, settings=settings(hub, "sync: {keep_free: 4MB}\n")) as reg:
        state = lambda n: next(j for j in reg.json("jobs") if j["repo"] == f"org/m{n}")
        reg.ctl("sync", "org/m0", "--no-wait")
        wait_for(lambda: "fetching" in state(0)["progress"]["phase"])
        reg.ctl("sync", "org/m1", "--no-wait")
        wait_for(lambda: state(1)["state"] == "waiting")
        assert "waits for room beside org/m0" in state(1)["progress"]["phase"]
        urllib.request.urlopen(urllib.request.Request(f"{reg.url}/-/v1/jobs/{state(0)['id']}/cancel", method="POST", headers={"Authorization": f"Bearer {reg.token()}"}))
        hub.faults.remove(slow)
        wait_for(lambda: state(1)["state"] == "done")
        assert_served(reg, hub, "org/m1")
        reg.ctl("sync", "org/m0", "--no-wait")
        wait_for(lambda: next(j for j in reg.json("jobs") if j["repo"] == "org/m0")["state"] == "waiting")
        assert "make room" in next(j for j in reg.json("jobs") if j["repo"] == "org/m0")["progress"]["phase"]
        disk = os.statvfs(small_disk)
        assert disk.f_bavail * disk.f_frsize >= 4_000_000


class Upload:
    """A file of an import, sent as slowly as the test likes."""

    def __init__(self, reg, size):
        begin = urllib.request.Request(f"{reg.url}/-/v1/imports", data=b"{}", method="POST", headers={"Authorization": f"Bearer {reg.token()}", "Content-Type": "application/json"})
        self.id = json.loads(urllib.request.urlopen(begin).read())["import"]
        self.to = http.client.HTTPConnection("127.0.0.1", reg.port, timeout=20)
        self.to.putrequest("PUT", f"/-/v1/imports/{self.id}/files/sub/w.safetensors")
        for header in ("Authorization", f"Bearer {reg.token()}"), ("Content-Length", size), ("Expect", "100-continue"):
            self.to.putheader(*header)
        self.to.endheaders()

    def send(self, size):
        self.to.send(b"x" * size)

    def status(self):
        return self.to.getresponse().status


def test_uploads_and_syncs_leave_each_other_their_room(small_disk, hub):
    """What one announced is not given to others, until it breaks off; then nothing of it stays."""
    hub.add_model(NAME, {"README.md": CARD, "w.safetensors": Noise(12 << 20)})
    with Registry(small_disk / "r", policy=POLICY, settings=settings(hub, "sync: {keep_free: 4MB}\n")) as reg:
        first = Upload(reg, 10 << 20)
        first.send(1 << 20)
        wait_for(lambda: (reg.data / "incoming" / first.id / "sub").exists())
        assert Upload(reg, 10 << 20).status() == 507
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: reg.json("jobs")[0]["state"] == "waiting")
        assert "waits for room beside the upload of sub/w.safetensors" in reg.json("jobs")[0]["progress"]["phase"]
        first.to.close()
        wait_for(lambda: reg.json("jobs")[0]["state"] == "done")
        assert_served(reg, hub)
        assert not [p for p in (reg.data / "incoming").rglob("*") if p.is_file()]


def test_a_disk_that_an_upload_fills_is_not_left_full(small_disk, hub):
    with Registry(small_disk / "r", policy=POLICY, settings=settings(hub, "sync: {keep_free: 0}\n")) as reg:
        upload = Upload(reg, 10 << 20)
        upload.send(2 << 20)
        disk = os.statvfs(small_disk)
        (small_disk / "filler").write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - (3 << 20)))
        upload.send(8 << 20)
        assert upload.status() == 507
        disk = os.statvfs(small_disk)
        assert disk.f_bavail * disk.f_frsize >= 2 << 20


def goes_on(reg):
    """Is there a daemon with a job that has neither ended nor waits?"""
    jobs = reg.ctl("jobs", "--json", code=None, timeout=10)
    return reg.process.poll() is None and (jobs.returncode or any(j["state"] in ("queued", "running") for j in json.loads(jobs.stdout)))


@pytest.mark.parametrize("fault", [f"{kind}:{n}{more}:{error}" for kind, error in (("fsync", "EIO"), ("link", "ENOSPC"), ("create", "ENOSPC"))
                                   for n, more in ((2, ""), (5, ""), (9, ""), (4, "+"))] + [f"write:{n}:ENOSPC" for n in (10, 30, 60, 100)])
def test_a_failing_disk_leaves_no_half_published_model(tmp_path, hub, fault):
    """One call, or all from there on, fails: the job ends or waits with a reason; with the disk well again the model is published."""
    lib = BUILD / "tests" / "libfailnth.so"
    if not lib.exists():
        pytest.skip(f"no {lib.name}: sanitized builds preload a library of their own")
    hub.add_model(NAME, files())
    reg = Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, "sync: {keep_free: 0}\n"))
    with reg:
        pass        # the store and the catalog are made while the disk is well
    reg.env = {"LD_PRELOAD": str(lib), "REGISTRYD_FAULT": fault}
    try:
        reg.start()
        reg.ctl("sync", NAME, "--no-wait", code=None, timeout=10)
        wait_for(lambda: not goes_on(reg))
    except (AssertionError, subprocess.TimeoutExpired) as e:
        assert isinstance(e, subprocess.TimeoutExpired) or "registryd ended with" in str(e)      # it may refuse to start on such a disk
    reg.kill()
    reg.env = {}
    with reg:
        reg.ctl("sync", NAME, timeout=90)
        assert_served(reg, hub)
        reg.ctl("verify", "--all")


def test_a_disk_that_may_not_be_written_for_a_time(tmp_path, hub):
    """As ext4 makes itself after an error: what is here is served, whoever would change something learns why not, and later all goes on, a sync that ran meanwhile too."""
    lib, off = BUILD / "tests" / "libfailnth.so", tmp_path / "read-only"
    if not lib.exists():
        pytest.skip(f"no {lib.name}: sanitized builds preload a library of their own")
    hub.add_model(NAME, files())
    hub.add_model("org/next", {"README.md": CARD, "m.safetensors": Noise(BIG, 2)})
    env = {"LD_PRELOAD": str(lib), "REGISTRYD_FAULT": "any:1+:EROFS", "REGISTRYD_FAULT_WHILE": str(off)}
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, "sync: {keep_free: 0}\n"), env=env) as reg:
        reg.ctl("sync", NAME)
        slow = hub.faults.add(listener="cdn", throttle=1_000_000)
        reg.ctl("sync", "org/next", "--no-wait")
        wait_for(lambda: any(j["progress"]["bytes_done"] for j in reg.json("jobs") if j["state"] == "running"))
        off.touch()
        hub.faults.remove(slow)
        assert_served(reg, hub)
        for change in ["sync", "org/third"], ["withdraw", NAME, "--reason", "leaked"], ["token", "create", "alice"]:
            assert "the file system of the catalog is read-only" in reg.ctl(*change, code=1).stderr
        assert reg.json("show", NAME)["lifecycle"]["state"] == "active" and get(f"{reg.url}/-/healthy")[0] == 200 and get(f"{reg.url}/-/ready")[0] == 503
        job = wait_for(lambda: next((j for j in reg.json("jobs") if j["repo"] == "org/next" and j["state"] == "waiting"), None))
        assert "can't be written down yet: the file system of the catalog is read-only" in job["progress"]["phase"]
        assert 'registryd_jobs{state="waiting"} 1' in get(f"{reg.url}/metrics")[1].decode()
        off.unlink()
        assert get(f"{reg.url}/-/ready")[0] == 200
        reg.ctl("sync", "org/next", code=None)
        wait_for(lambda: not any(j["state"] in ("queued", "running", "waiting") for j in reg.json("jobs")))
        reg.ctl("sync", "org/next")
        reg.ctl("withdraw", NAME, "--reason", "leaked")
        assert_served(reg, hub, "org/next")


def test_content_that_can_not_be_removed_keeps_no_other(tmp_path):
    lib, off = BUILD / "tests" / "libfailnth.so", tmp_path / "failing"
    if not lib.exists():
        pytest.skip(f"no {lib.name}: sanitized builds preload a library of their own")
    env = {"LD_PRELOAD": str(lib), "REGISTRYD_FAULT": "link:1:EIO", "REGISTRYD_FAULT_WHILE": str(off)}
    with Registry(tmp_path / "registry", env=env) as reg:
        orphans = [reg.blob(digit * 64) for digit in "abc"]
        for orphan in orphans:
            orphan.write_bytes(b"nobody's")
        off.touch()
        assert "remove blob" in reg.ctl("gc", code=1).stderr and sum(orphan.exists() for orphan in orphans) == 1
        assert reg.json("gc")["blobs"] == 1 and not any(orphan.exists() for orphan in orphans)
