"""Bills of materials as the daemon gives them out: kept when a model is published, kept anew when facts change, valid for others' validators."""
import hashlib
import json
import os
import subprocess
import urllib.request

import pytest

from tests.system.conftest import oracle_env
from tests.system.test_cli_model import files_of
from tests.system.test_sbom import SCHEMAS, cyclonedx_validator

# Prints what is wrong with each document of the list on stdin: CycloneDX's own library, and for SPDX the SHACL shapes of its model, which
# demand more than its JSON schema does.
JUDGE = """
import json, sys
texts = json.load(sys.stdin)
if sys.argv[1] == "cyclonedx":
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    print(json.dumps([str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) or "valid") for text in texts]))
else:
    import pyshacl, rdflib
    shapes = rdflib.Graph().parse(sys.argv[2] + "/spdx-3.0.1-model.ttl")
    context = json.load(open(sys.argv[2] + "/spdx-3.0.1-spdx-context.jsonld"))["@context"]
    found = []
    for text in texts:
        data = rdflib.Graph().parse(data=json.dumps(json.loads(text) | {"@context": context}), format="json-ld")
        good, _, report = pyshacl.validate(data, shacl_graph=shapes, ont_graph=shapes)
        found.append("valid" if good and len(data) > 50 else str(report))
    print(json.dumps(found))
"""


@pytest.fixture
def published(registry, hub, models):
    hub.add_model("org/tiny-story", models / "tiny-story")
    registry.ctl("sync", "org/tiny-story")
    return "org/tiny-story"


def judge(name, *documents):
    done = subprocess.run([oracle_env("sbom") / "bin/python", "-c", JUDGE, name, SCHEMAS], input=json.dumps(documents), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kept(registry, name):
    return registry.json("sbom", name, "--list")


def test_kept_when_published_and_again_when_facts_change(registry, published):
    first = {k["format"]: k["sha256"] for k in kept(registry, published)}
    assert sorted(first) == ["cyclonedx", "spdx"] and len(kept(registry, published)) == 2
    before = registry.ctl("sbom", published).stdout
    assert hashlib.sha256(before.encode()).hexdigest() == first["cyclonedx"]
    told, = [e for e in registry.json("events") if e["kind"] == "revision.sbom"]
    assert told["data"] == first

    registry.ctl("rebuild")                 # the same facts: nothing new
    assert len(kept(registry, published)) == 2
    registry.stop()
    registry.start()
    assert registry.ctl("sbom", published).stdout == before

    registry.ctl("publish", published, "--reason", "looked at by hand")
    now = kept(registry, published)
    assert len(now) == 4
    after = registry.ctl("sbom", published).stdout
    assert after != before and hashlib.sha256(after.encode()).hexdigest() == now[[k["format"] for k in now].index("cyclonedx")]["sha256"]
    assert json.loads(after)["serialNumber"] != json.loads(before)["serialNumber"]
    assert registry.ctl("sbom", published, "--sha256", first["cyclonedx"]).stdout == before
    registry.ctl("sbom", published, "--sha256", "00" * 32, code=4)
    registry.ctl("sbom", published, "--sha256", "abc", code=2)
    assert first["cyclonedx"] in registry.ctl("sbom", published, "--list").stdout


def test_stays_when_the_model_is_taken_off(registry, published):
    commit = registry.json("show", published)["revision"]
    before = registry.ctl("sbom", published).stdout
    registry.ctl("reject", published, "--reason", "no longer")
    assert registry.ctl("sbom", f"{published}@{commit}").stdout == before       # what was given out while it was published
    registry.ctl("sbom", published, code=5)
    assert len(kept(registry, published)) == 2                                  # still found without its commit


@pytest.mark.skipif(os.environ.get("REGISTRYD_SANITIZE", "") != "", reason="the documents are those of the build without sanitizers")
@pytest.mark.skipif(not SCHEMAS.is_dir(), reason=f"the published schemas are not at {SCHEMAS}")
def test_others_find_it_valid(registry, published):
    cyclonedx, spdx = registry.ctl("sbom", published).stdout, registry.ctl("sbom", published, "--format", "spdx").stdout
    assert [e.message for e in cyclonedx_validator().iter_errors(json.loads(cyclonedx))] == []
    files = {f["path"]: f["sha256"] for f in registry.json("show", published)["files"]}
    listed = {c["name"]: c["hashes"][0]["content"] for c in json.loads(cyclonedx)["components"] if c.get("hashes")}
    assert listed.items() >= files.items()

    broken_spdx, broken_cyclonedx = json.loads(spdx), json.loads(cyclonedx)
    for node in broken_spdx["@graph"]:
        node.pop("createdBy", None)
    broken_cyclonedx["metadata"]["component"]["type"] = "model"
    for name, good, broken in ("spdx", spdx, broken_spdx), ("cyclonedx", cyclonedx, broken_cyclonedx):
        verdict, of_broken = judge(name, good, json.dumps(broken))
        assert verdict == "valid" and of_broken != "valid"      # the judges can tell


MEASURED = """---
license: apache-2.0
model-index:
- name: tiny
  results:
  - task: {type: text-generation}
    dataset: {name: Tiny Stories, type: stories}
    metrics:
    - {type: perplexity, value: 3.25, name: Perplexity}
    - {type: nothing}
---
# A model
"""


def test_what_the_card_says_was_measured(registry, hub, models):
    hub.add_model("org/measured", files_of(models / "tiny-story", **{"README.md": MEASURED.encode()}))
    registry.ctl("sync", "org/measured")
    cyclonedx, spdx = (registry.ctl("sbom", "org/measured", "--format", f).stdout for f in ("cyclonedx", "spdx"))
    card = json.loads(cyclonedx)["metadata"]["component"]["modelCard"]
    assert card["quantitativeAnalysis"] == {"performanceMetrics": [{"type": "perplexity", "value": "3.25", "slice": "Tiny Stories"}]}
    model = next(n for n in json.loads(spdx)["@graph"] if n["type"] == "ai_AIPackage" and "ai_metric" in n)
    assert model["ai_metric"] == [{"type": "DictionaryEntry", "key": "perplexity (Tiny Stories)", "value": "3.25"}]
    assert judge("cyclonedx", cyclonedx) == judge("spdx", spdx) == ["valid"]


def test_tags_and_data_sets_are_those_of_the_revision(registry, hub, models):
    """An older one that is served beside `main` is under its own licence, and made from its own data."""
    def card(licence, data):
        return f"---\nlicense: {licence}\npipeline_tag: text-generation\ndatasets: [{data}]\n---\n".encode()

    def answer(path):
        with urllib.request.urlopen(registry.url + path) as got:
            return json.loads(got.read())

    def tags(where):
        return {t for t in answer(f"/api/models/org/two{where}")["tags"] if t.startswith(("license:", "dataset:"))}

    def data(rev):
        return json.loads(registry.ctl("sbom", rev).stdout)["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]

    files = files_of(models / "tiny-story", **{"README.md": card("mit", "old/data")})
    del files["LICENSE"]
    old = hub.add_model("org/two", files, tags=["v1"])
    hub.commit("org/two", {"README.md": card("apache-2.0", "new/data")})
    registry.ctl("sync", "org/two")
    registry.ctl("sync", "org/two@v1")
    then, now = {"license:mit", "dataset:old/data"}, {"license:apache-2.0", "dataset:new/data"}
    assert tags("") == tags("/revision/main") == now and tags("/revision/v1") == tags(f"/revision/{old}") == then
    listed, = answer("/api/models")
    assert now <= set(listed["tags"]) and not then & set(listed["tags"])
    assert "old/data" in str(data("org/two@v1")) and "new/data" not in str(data("org/two@v1"))
    assert "new/data" in str(data("org/two")) and "old/data" not in str(data("org/two"))
