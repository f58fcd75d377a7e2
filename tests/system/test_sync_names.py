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


@pytest.mark.parametrize("metadata", [False, True])
def test_each_of_two_names_is_followed_where_both_are_here(reg, hub, metadata):
    """The later name came here as another model before the former one was asked for again."""
    later = "other/new-name"

    def served(name):
        return get(f"{reg.url}/{name}/resolve/main/config.json")

    def sync_later():
        mirror_round(reg) if metadata else reg.ctl("sync", later)

    first = hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.rename(NAME, later)
    if metadata:
        reg.ctl("mirror", "add", later, "--metadata-only", "--every", "6h")
    sync_later()
    second = hub.commit(later, {"config.json": '{"a": 1}'})
    assert f"{NAME}@{second[:12]}" in reg.ctl("sync", NAME, "--dry-run").stdout
    for _ in range(2):
        assert f"published {NAME}@{second}" in reg.ctl("sync", NAME).stdout
        assert served(NAME) == (200, b'{"a": 1}') and reg.json("show", NAME)["revision"] == second
        assert reg.json("show", later)["revision"] == first and reg.json("show", later)["state"] == ("held" if metadata else "published")
    sync_later()
    assert reg.json("show", later)["revision"] == second and served(later)[0] == (404 if metadata else 200)
    assert "upstream.moved" in kinds(reg) and "upstream.rewritten" not in kinds(reg)
    assert [(e["repo"], e["data"]) for e in reg.json("events") if e["kind"] == "upstream.renamed"] == [(later, {"also": NAME})]


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
