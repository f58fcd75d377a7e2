"""A name that upstream has freed and somebody has taken: nobody gets another repository's bytes by it, unless a person says so."""
import pytest

from tests.system.registry import Registry
from tests.system.sync_case import NAME, POLICY, assert_served, files, get, mirror_round, settings


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub)) as it:
        yield it


def kinds(reg, name=NAME):
    return [e["kind"] for e in reg.json("events") if e["repo"] == name]


@pytest.mark.parametrize("keys, branch", [(True, "main"), (False, "main"), (True, "master")])
def test_a_freed_name_that_another_takes_is_not_followed(reg, hub, keys, branch):
    """The model is here by both of its names, and neither is given the bytes of another repository."""
    def served(text):
        for name in (NAME, "org/new-name"):
            assert reg.json("show", name)["repo"] == NAME
            assert get(f"{reg.url}/{name}/resolve/main/config.json") == (200, text)

    def add(**more):
        hub.add_model(NAME, files(**more))
        if not keys:
            hub.repos[NAME].hub_id = "0" * 24

    add()
    reg.ctl("sync", NAME)
    hub.rename(NAME, "org/new-name")
    reg.ctl("sync", NAME)
    if branch != "main":
        hub.repos["org/new-name"].point(f"refs/heads/{branch}", "main"), hub.repos["org/new-name"].unpoint("refs/heads/main")
    add(**{"config.json": '{"taken": true}'})
    says = f"another repository as {NAME} now, and the model that is here as {NAME} lives on there as org/new-name" if keys else "two repositories upstream"
    for _ in range(2):
        assert says in reg.ctl("sync", NAME, code=5).stderr
    assert says in reg.ctl("sync", NAME, "--dry-run", code=5).stderr
    served(b"{}")
    assert kinds(reg).count("upstream.name_reused") == 1 and "upstream.moved" not in kinds(reg)
    if branch != "main":
        return
    hub.commit("org/new-name", {"config.json": '{"a": 1}'})
    if keys:
        reg.ctl("sync", "org/new-name")
        served(b'{"a": 1}')
    else:
        assert says in reg.ctl("sync", "org/new-name", code=5).stderr


def test_a_model_made_anew_waits_for_a_person(reg, hub):
    """Its name may have been taken by somebody: upstream's id of the repository tells, whoever it was."""
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.delete(NAME)
    hub.add_model(NAME, files(**{"config.json": '{"anew": true}'}))
    says = "upstream has another repository under this name than the one that was published here"
    assert says in reg.ctl("sync", NAME, "--dry-run").stdout
    assert says in reg.ctl("sync", NAME, code=5).stderr
    assert says in reg.ctl("sync", NAME, code=5).stderr
    assert get(f"{reg.url}/{NAME}/resolve/main/config.json") == (200, b"{}")
    assert kinds(reg).count("upstream.name_reused") == 1
    hub.update(NAME, gated="auto")                  # nothing that is said of the other one changes this one
    reg.ctl("mirror", "add", "--author", NAME.split("/")[0], "--every", "6h")
    mirror_round(reg)
    assert "upstream.gated" not in kinds(reg)
    hub.update(NAME, gated=False)
    reg.ctl("publish", NAME, "--reason", "asked them")
    assert_served(reg, hub)
    hub.commit(NAME, {"config.json": '{"next": true}'})
    reg.ctl("sync", NAME)                           # from now on it is that one
    assert_served(reg, hub)
