"""Texts that are not ASCII, and longer than their places: names, reasons, messages. Cut they may be; the daemon goes on, and so does every answer."""
import json
from urllib.parse import quote

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import CARD, get

POLICY = "licenses: {allow: [mit], unknown: hold}\nrequire: {smoke: none}\n"
NAME = "org/m"
FILES = {"README.md": CARD, "config.json": "{}"}
DOORS = ["/-/v1/models", f"/-/v1/models/{NAME}", f"/-/v1/models/{NAME}/-/decisions", "/-/v1/jobs", "/-/v1/jobs/1", "/-/v1/events", "/-/v1/facets", "/-/v1/licenses",
         "/api/models", f"/api/models/{NAME}", f"/{NAME}/resolve/main/config.json", f"/{NAME}", "/", "/metrics"]


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", upstream=hub.url, policy=POLICY) as it:
        yield it


def answers(reg):
    """Every door answers, and what is JSON is."""
    for path in DOORS:
        status, body = get(reg.url + path)
        assert status in (200, 403, 404, 410, 451), (path, status, body)
        if path.startswith(("/-/v1", "/api")):
            json.loads(body)
    assert reg.process.poll() is None
    assert [m["repo"] for m in reg.json("ls")] == [NAME]


@pytest.mark.parametrize("path", ["revision/{}", "tree/main/{}", "commits/{}", "treesize/main/{}", "tree/{}"])
def test_questions(reg, hub, path):
    hub.add_model(NAME, FILES)
    reg.ctl("sync", NAME)
    for n in range(330, 400, 7):
        for text in "é" * n, "x" + "模" * n:
            status, body = get(f"{reg.url}/api/models/{NAME}/{path.format(quote(text))}")
            assert status in (200, 400, 404), status
            json.loads(body)
    answers(reg)


@pytest.mark.parametrize("name", ["模型" * 26 + ".safetensors", "é" * 90 + ".txt", "x" + "é" * 115 + ".json"])
def test_names_of_files(reg, hub, name):
    hub.add_model(NAME, {**FILES, name: "x"})
    reg.ctl("sync", NAME, code=None)
    answers(reg)
    assert name in [f["path"] for f in reg.json("show", NAME)["files"]]
    assert json.loads(get(f"{reg.url}/-/v1/jobs/1")[1])["progress"]["phase"] is not None


def test_errors_of_jobs(reg, hub):
    name = "d/" + "é" * 100 + "/" + "é" * 100 + ".txt"
    hub.add_model(NAME, {**FILES, name: "x"})
    hub.faults.add(route="resolve", file=name, status=404)
    assert reg.ctl("sync", NAME, code=None).returncode != 0
    answers(reg)


@pytest.mark.parametrize("verb", ["withdraw", "reject", "publish", "deprecate", "retire"])
def test_reasons(reg, hub, verb):
    hub.add_model(NAME, FILES)
    reg.ctl("sync", NAME)
    for text in "理由" * 150, "x" + "é" * 400, "日" * 300:
        reg.ctl(verb, NAME, "--reason", text, code=None)
    answers(reg)
    last = [e for e in reg.json("events") if e["repo"] == NAME][-1]
    assert last["data"], last
    reg.ctl("audit", "verify")


@pytest.mark.parametrize("where", ["model_type", "quant_method", "pipeline_tag", "library_name", "license", "license_name", "tags", "base_model", "new_version"])
def test_facts(reg, hub, where):
    long = "x" + "é" * 210
    config = {"model_type": long} if where == "model_type" else {"quantization_config": {"quant_method": long}} if where == "quant_method" else {}
    card = CARD
    if where == "license_name":
        card = f"---\nlicense: other\nlicense_name: {long}\n---\n"
    elif where == "license":
        card = f"---\nlicense: {long}\n---\n"
    elif not config:
        card = CARD.replace("---\n", f"---\n{where}: {long}\n", 1)
    hub.add_model(NAME, {"README.md": card, "config.json": json.dumps(config)})
    reg.ctl("sync", NAME, code=None)
    answers(reg)
    reg.json("show", NAME)
