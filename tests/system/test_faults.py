"""Faults between a Hub, the daemon and its readers that test_sync_faults.py does not have: readers while upstream fails, a Hub that comes
and goes, a gated model from end to end, and cards that mean harm."""
import http.client
import threading
import time

import pytest

from tests.hub import Hub
from tests.system.registry import Registry

NAME = "org/story"
TOKEN = "hf_" + "t" * 37


def story_files(models):
    return {p.name: p.read_bytes() for p in (models / "tiny-story").iterdir()}


@pytest.fixture
def story(hub, models):
    """A model that passes its smoke test; its commit."""
    return hub.add_model(NAME, story_files(models))


@pytest.fixture
def site(tmp_path, hub, story):
    with Registry(tmp_path / "site", settings=f"upstreams:\n  - {{name: hub, endpoint: {hub.url}, backoff: 10ms, retries: 2}}\n") as it:
        yield it


def status_of(site, path):
    conn = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    try:
        conn.request("GET", path)
        return conn.getresponse().status
    finally:
        conn.close()


def assert_nothing_shown(site):
    # unknown while it is on its way, refused once it is rejected
    assert status_of(site, f"/api/models/{NAME}") in (403, 404)
    assert status_of(site, f"/{NAME}/resolve/main/config.json") in (403, 404)
    assert site.json("ls", "--state", "published") == []
    assert status_of(site, "/-/ready") == 200


@pytest.mark.parametrize("account, says", [(None, "accept its terms"), ("wrong", "not valid"), ("no terms", "no access"), ("granted", None)])
def test_a_gated_model_needs_a_token_upstream_and_here(tmp_path, hub, story, account, says):
    hub.update(NAME, gated="manual")
    hub.add_token(TOKEN, granted=[NAME] if account == "granted" else [])
    (tmp_path / "token").write_text(("hf_" + "w" * 37 if account == "wrong" else TOKEN) + "\n")
    token = f", token_file: {tmp_path / 'token'}" if account else ""
    with Registry(tmp_path / "site", settings=f"upstreams:\n  - {{name: hub, endpoint: {hub.url}, backoff: 10ms{token}}}\n") as site:
        if says:
            assert says in site.ctl("sync", NAME, code=1).stderr
            assert_nothing_shown(site)
            return
        site.ctl("sync", NAME)
        assert site.json("show", NAME)["state"] == "published"
        # the token went to the Hub, and to no other host
        assert all(r.authorization for r in hub.requests(listener="hub") if r.route != "git")
        assert not any(r.authorization for r in hub.requests(listener="cdn"))
        assert hub.requests(listener="cdn")
        # here too it is not for everybody
        assert status_of(site, f"/{NAME}/resolve/main/config.json") == 401


def test_the_hub_is_away_and_comes_back(tmp_path, models):
    with Hub(root=tmp_path / "hub") as hub:
        port = int(hub.url.rsplit(":", 1)[1])
        with Registry(tmp_path / "site", settings=f"upstreams:\n  - {{name: hub, endpoint: {hub.url}, backoff: 10ms, retries: 1}}\n") as site:
            hub.stop()
            done = site.ctl("sync", NAME, code=1)
            assert hub.url in done.stderr
            with Hub(root=tmp_path / "hub2", port=port) as again:
                commit = again.add_model(NAME, story_files(models))
                site.ctl("sync", NAME)
                assert site.json("show", NAME)["revision"] == commit


def test_reading_goes_on_while_a_sync_fails(site, hub, story):
    """Faults upstream are no matter for those who read."""
    site.ctl("sync", NAME)
    hub.commit(NAME, {"notes.txt": "second\n"})
    hub.faults.add(listener="hub", delay=0.5, status=500)
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            status = status_of(site, f"/{NAME}/resolve/main/config.json")
            if status != 200:
                wrong.append(status)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        site.ctl("sync", NAME, code=1)
    finally:
        stop.set()
        reader.join()
    assert not wrong
    assert site.json("show", f"{NAME}@{story}")["state"] == "published"
    site.ctl("verify", "--all")


@pytest.mark.parametrize("front", [
    "[" * 200_000, "a: " + "{" * 200_000, "a: " + "[" * 100 + "]" * 100, "x: &a [" + "*a, " * 50_000 + "]", "license: [" + "mit, " * 40_000 + "]",
    "license: \x00\x01", "license: !!python/object/apply:os.system [id]",
], ids=["brackets", "braces", "closed", "aliases", "long list", "bytes", "tag"])
def test_a_card_that_means_harm_costs_nothing(hub, site, models, front):
    """It may say no licence, and the model waits for a person; the daemon goes on, and at once."""
    hub.add_model("org/card", {**story_files(models), "README.md": f"---\n{front}\n---\n# Card\n", "LICENSE": "all rights reserved\n"})
    began = time.monotonic()
    done = site.ctl("sync", "org/card", code=None)
    assert time.monotonic() - began < 10
    assert done.returncode in (0, 5) and done.stderr.count("registryctl: ") == (done.returncode == 5), done.stderr
    assert site.json("show", "org/card")["state"] in ("held", "rejected", "published")
    assert status_of(site, "/-/ready") == 200
    site.ctl("sync", NAME)
