"""What a reload of the settings (SIGHUP) does to syncs that wait or run."""
import signal
import time
import urllib.request

from tests.system.registry import Registry
from tests.system.sync_case import CARD, POLICY, Noise, settings, wait_for


def reload(reg, text):
    """Puts the settings from upstreams on in force."""
    kept = reg.config.read_text().partition("upstreams:")[0]
    reg.config.write_text(kept + text)
    before = reg.said().count("config.reloaded")
    reg.process.send_signal(signal.SIGHUP)
    wait_for(lambda: reg.said().count("config.reloaded") > before)


def jobs(reg, state):
    return [j for j in reg.json("jobs") if j["kind"] == "sync" and j["state"] == state]


def cancel(reg, job):
    ask = urllib.request.Request(f"{reg.url}/-/v1/jobs/{job}/cancel", method="POST", headers={"Authorization": f"Bearer {reg.token()}"})
    urllib.request.urlopen(ask, timeout=30).close()


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
