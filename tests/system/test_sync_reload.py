"""What a reload of the settings (SIGHUP), or a sweep of the store, does to syncs that wait or run."""
import signal
import subprocess
import time

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import BIG, CARD, NAME, POLICY, Noise, assert_served, cancel, files, get, settings, wait_for


def reload(reg, text):
    """Puts the settings from upstreams on in force."""
    kept = reg.config.read_text().partition("upstreams:")[0]
    reg.config.write_text(kept + text)
    before = reg.said().count("config.reloaded")
    reg.process.send_signal(signal.SIGHUP)
    wait_for(lambda: reg.said().count("config.reloaded") > before)


def jobs(reg, state):
    return [j for j in reg.json("jobs") if j["kind"] == "sync" and j["state"] == state]


# --- how many at once -----------------------------------------------------------------------------------------------------------


def test_the_number_of_jobs(tmp_path, hub):
    """More run as soon as more may; of those that run and are too many now, none is stopped."""
    def set_to(n):
        return settings(hub, stall="60s", connections=32, extra=f"sync: {{jobs: {n}}}\n")

    for i in range(9):
        hub.add_model(f"org/m{i}", {"README.md": CARD, "m.safetensors": Noise(4000, i)})
    hub.faults.add(route="resolve", delay=600)
    with Registry(tmp_path / "registry", policy=POLICY, settings=set_to(1)) as reg:
        for i in range(9):
            reg.ctl("sync", f"org/m{i}", "--no-wait")
        wait_for(lambda: jobs(reg, "running"))
        assert len(jobs(reg, "running")) == 1
        reload(reg, set_to(4))
        wait_for(lambda: len(jobs(reg, "running")) == 4)
        reload(reg, set_to(2))
        first = {j["id"] for j in jobs(reg, "running")}
        assert len(first) == 4
        for job in sorted(first):
            cancel(reg, job)
        wait_for(lambda: not first & {j["id"] for j in jobs(reg, "running")})
        wait_for(lambda: len(jobs(reg, "running")) == 2)
        time.sleep(1)
        assert len(jobs(reg, "running")) == 2 and len(jobs(reg, "queued")) == 3
        reload(reg, set_to(5))      # also where threads have ended
        wait_for(lambda: len(jobs(reg, "running")) == 5)


def test_the_memory_of_transfers_needs_a_restart(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        reload(reg, settings(hub, extra="sync: {buffers: 64MiB}\n"))
        assert "config.needs_restart setting=sync.buffers" in reg.said()


# --- the time of day ------------------------------------------------------------------------------------------------------------


def closed():
    """A window that is not open now."""
    hour = time.gmtime().tm_hour
    return f"'{(hour + 3) % 24:02}:00-{(hour + 4) % 24:02}:00'"


def test_a_window_that_is_taken_away(tmp_path, hub):
    hub.add_model(NAME, files())
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, window=closed())) as reg:
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: jobs(reg, "waiting"))
        asked = len(hub.requests())
        reload(reg, settings(hub, window=closed()))
        time.sleep(0.5)
        assert jobs(reg, "waiting") and len(hub.requests()) == asked, "nothing has changed"
        reload(reg, settings(hub))
        wait_for(lambda: jobs(reg, "done"))
        assert_served(reg, hub)


def test_a_window_that_is_taken_away_while_the_daemon_is_stopped(tmp_path, hub):
    hub.add_model(NAME, files())
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, window=closed())) as reg:
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: jobs(reg, "waiting"))
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        wait_for(lambda: jobs(reg, "done"))
        assert_served(reg, hub)


def test_a_window_that_closes_while_files_come(tmp_path, hub):
    """What runs pauses, keeps what it has, and goes on when the window opens."""
    hub.add_model(NAME, {"README.md": CARD, "data.safetensors": Noise(BIG)})
    rule = hub.faults.add(route="cdn", throttle=1 << 20)
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: any(j["progress"]["bytes_done"] > 1 << 20 for j in jobs(reg, "running")))
        reload(reg, settings(hub, window=closed()))
        job = wait_for(lambda: jobs(reg, "waiting"))[0]
        assert "time of day" in job["progress"]["phase"] and job["progress"]["bytes_done"] < BIG
        hub.faults.remove(rule)
        before = len(wait_for(lambda: hub.requests(listener="cdn")))     # the one that was left is logged when the hub sees that
        reload(reg, settings(hub))
        wait_for(lambda: jobs(reg, "done"))
        assert sum(r.bytes_sent for r in hub.requests(listener="cdn")[before:]) < BIG, "it goes on where it was"
        assert_served(reg, hub)


@pytest.mark.parametrize("end", ["canceled", "entry removed", "other name"])
def test_a_sync_that_ends_while_it_waits(tmp_path, hub, end):
    """Nothing fetches its revision any more, which is said; another that waits for another branch of the model, under whatever spelling of its name, goes on."""
    hub.add_model("team/m", {"README.md": CARD, "data.safetensors": Noise(BIG)}, branches=["dev"])
    hub.commit("team/m", {"data.safetensors": Noise(BIG, 1)}, branch="dev")
    hub.faults.add(route="cdn", throttle=1 << 20)
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as reg:
        def shown(ref):
            return tuple(reg.json("show", f"team/m@{ref}")[key] for key in ("state", "reason"))

        reg.ctl("mirror", "add", "team/m", "--every", "6h")
        wait_for(lambda: any(j["progress"]["bytes_done"] > 1 << 20 for j in jobs(reg, "running")))
        reg.ctl("sync", "Team/M@dev" if end == "other name" else "team/m@dev", "--no-wait")
        reload(reg, settings(hub, window=closed()))
        wait_for(lambda: len(jobs(reg, "waiting")) == 2)
        if end == "other name":
            cancel(reg, next(j["id"] for j in jobs(reg, "waiting") if j["revision"] == "dev"))
            assert shown("main")[0] == "fetching"
        job = next(j["id"] for j in jobs(reg, "waiting") if j["revision"] == "main")
        assert shown("main")[0] == "fetching"
        if end != "entry removed":
            cancel(reg, job)
            assert len(jobs(reg, "waiting")) == (end == "canceled")
        else:
            reg.ctl("mirror", "remove", "team/m")
            reload(reg, settings(hub))
            wait_for(lambda: job in {j["id"] for j in jobs(reg, "canceled")})
        assert wait_for(lambda: shown("main")[0] == "planned" and shown("main")) == ("planned", "its sync was canceled")


def test_a_sync_that_is_canceled_before_it_goes_on(tmp_path, hub):
    """A check of what is here that is queued, too, brings no revision on."""
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, "sync: {jobs: 2}\n", stall="30s")) as reg:
        for n in range(2):
            hub.add_model(f"org/m{n}", {"README.md": CARD, "data.safetensors": Noise(4000, n)})
            reg.ctl("sync", f"org/m{n}")
        hub.faults.add(listener="cdn", throttle=1 << 20)
        later = {f"org/m{n}": hub.commit(f"org/m{n}", {"data.safetensors": Noise(BIG, n)}) for n in range(2)}
        for name in later:
            reg.ctl("sync", name, "--no-wait")
        wait_for(lambda: len([j for j in jobs(reg, "running") if j["progress"]["bytes_done"] > 0]) == 2)
        reg.stop()
        reg.config.write_text(reg.config.read_text().replace("jobs: 2", "jobs: 1"))
        reg.start()
        wait_for(lambda: jobs(reg, "running"))
        job = jobs(reg, "queued")[0]
        with subprocess.Popen(reg.command("verify", job["repo"]), stdout=subprocess.DEVNULL) as check:
            wait_for(lambda: any(j["kind"] == "verify" and j["state"] == "queued" for j in reg.json("jobs")))
            cancel(reg, job["id"])
            shown = reg.json("show", f"{job['repo']}@{later[job['repo']]}")
            assert (shown["state"], shown["reason"]) == ("planned", "its sync was canceled")
            going = jobs(reg, "running")[0]["repo"]
            assert reg.json("show", f"{going}@{later[going]}")["state"] == "fetching"
            check.kill()


# --- a sweep --------------------------------------------------------------------------------------------------------------------


def test_a_sweep_has_its_turn(tmp_path, hub):
    """What would begin waits for a gc that waits for what runs, and goes on when that is canceled; but a policy that forbids a model does not wait."""
    hub.add_model("org/odd", {"README.md": CARD.replace("mit", "gemma"), "config.json": "{}"})
    for n in range(3):
        hub.add_model(f"org/m{n}", {"README.md": CARD, "config.json": "{}", "w.safetensors": Noise(4000 if n else 3 << 19, n)})
    hub.faults.add(listener="cdn", throttle=150_000)
    with Registry(tmp_path / "registry", policy=POLICY.replace("mit", "mit, gemma"), settings=settings(hub, "sync: {jobs: 3}\n", stall="30s")) as reg:
        def find(kind, repo=""):
            return next((j for j in reg.json("jobs") if (j["kind"], j["repo"] or "") == (kind, repo)), None)

        def begin(*args):
            asked = subprocess.Popen(reg.command(*args), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return asked, wait_for(lambda: next((j for j in reg.json("jobs") if j["kind"] == args[0] and j["state"] == "waiting"), None))

        reg.ctl("sync", "org/odd")
        reg.ctl("sync", "org/m0", "--no-wait")
        wait_for(lambda: find("sync", "org/m0")["state"] == "running")
        asked, waits = begin("gc")
        assert waits["progress"]["phase"] == "waiting until no other job uses the store; none begins meanwhile"
        reg.ctl("sync", "org/m1", "--no-wait")
        time.sleep(1.5)
        assert find("sync", "org/m1")["state"] == "queued" and find("sync", "org/m0")["state"] == "running"
        (reg.where / "policy.yaml").write_text(POLICY)
        reg.ctl("policy", "reload", "--yes")
        wait_for(lambda: get(f"{reg.url}/org/odd/resolve/main/config.json")[0] != 200)
        assert asked.poll() is None and find("sync", "org/m0")["state"] == "running"
        cancel(reg, waits["id"])
        assert asked.wait(30) != 0
        wait_for(lambda: find("sync", "org/m1")["state"] == "done")
        assert find("sync", "org/m0")["state"] == "running"
        asked, waits = begin("gc")
        reg.ctl("sync", "org/m2")
        assert asked.wait(30) == 0
        jobs = {j["repo"] or j["kind"]: j for j in reg.json("jobs") if j["state"] == "done"}
        assert jobs["org/m0"]["finished_at"] <= jobs["gc"]["finished_at"] <= jobs["org/m2"]["started_at"]
