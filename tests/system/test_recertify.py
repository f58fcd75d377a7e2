"""What is published is tested again: one that no longer passes is deprecated with the reason, goes on being served, and recovers."""
import shutil

import pytest

from tests.system import registry as programs
from tests.system.registry import BIN, Registry
from tests.system.test_policy_change import settle


@pytest.fixture
def site(tmp_path, hub, models, monkeypatch):
    """Its registryd-smoke is the real one until `broken` is there: then every model fails, as under a driver that computes wrongly."""
    where = tmp_path / "bin"
    where.mkdir()
    for name in "registryd", "registryctl":
        shutil.copy(BIN / name, where / name)
    broken = tmp_path / "broken"
    (where / "registryd-smoke").write_text(f"""#!/bin/sh
case "$*" in *--inspect*) exec {BIN}/registryd-smoke "$@" ;; esac
[ -e {broken} ] || exec {BIN}/registryd-smoke "$@"
{BIN}/registryd-smoke "$@" | sed 's/"verdict": *"pass"/"verdict":"fail"/; s/"reasons": *\\[\\]/"reasons":["the logits are not finite"]/'
exit 6
""")
    (where / "registryd-smoke").chmod(0o755)
    monkeypatch.setattr(programs, "BIN", where)
    hub.add_model("org/tiny-story", models / "tiny-story")
    with Registry(tmp_path / "r", upstream=hub.url) as reg:
        reg.broken = broken
        reg.ctl("sync", "org/tiny-story")
        yield reg


def test_a_model_that_no_longer_passes_is_deprecated_and_recovers(site, hf_client):
    site.broken.touch()
    site.ctl("smoke", "org/tiny-story", code=6)
    life = site.json("show", "org/tiny-story")["lifecycle"]
    assert life["state"] == "deprecated" and life["sunset_at"] is None
    assert life["reason"].startswith("tested again on cpu: smoke test failed: the logits are not finite")
    told = hf_client(site.url, "from huggingface_hub import hf_hub_download; hf_hub_download('org/tiny-story', 'config.json')")
    assert told.returncode == 0                                 # a person decides whether it goes
    event = site.json("events")[-1] if site.json("events")[-1]["kind"].startswith("lifecycle") else site.json("events")[-2]
    assert event["kind"] == "lifecycle.deprecated" and event["data"]["by"] == "smoke"
    assert "smoke.regressed" in site.said()

    site.broken.unlink()
    site.ctl("smoke", "--all")
    settle(site)
    assert site.json("show", "org/tiny-story")["lifecycle"]["state"] == "active"
    assert "smoke.recovered" in site.said()
    assert len([e for e in site.json("events") if e["kind"] == "revision.sbom"]) == 3        # each verdict is a fact of the bill of materials
