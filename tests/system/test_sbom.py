"""The SBOM writers' output before the published schemas (CycloneDX 1.6, SPDX 3.0.1)."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, Draft7Validator
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(os.environ.get("REGISTRYD_SHARED", ROOT.parent / "shared")) / "data" / "schemas"
WRITER = Path(os.environ.get("REGISTRYD_BUILD", ROOT / "build")) / "tests" / "unit_verify_test_sbom"

pytestmark = pytest.mark.skipif(not SCHEMAS.is_dir(), reason=f"the published schemas are not at {SCHEMAS}")


def schema(name):
    return json.loads((SCHEMAS / name).read_text())


def document(name):
    return json.loads(subprocess.run([WRITER, name], check=True, capture_output=True, text=True).stdout)


def cyclonedx_validator():
    registry = Registry()
    for name in ("spdx.schema.json", "jsf-0.82.schema.json"):
        registry = registry.with_resource("http://cyclonedx.org/schema/" + name, Resource.from_contents(schema(name)))
    return Draft7Validator(schema("bom-1.6.schema.json"), registry=registry)


def test_cyclonedx_is_valid():
    doc = document("cyclonedx")
    assert [e.message for e in cyclonedx_validator().iter_errors(doc)] == []
    assert doc["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "accuracy", "value": "0.91", "slice": 'GLUE "mnli"'}, {"type": "loss", "value": "1.5e-3"}]
    # What the schema does not see: unique references, and dependencies that exist.
    refs = [doc["metadata"]["component"]["bom-ref"]] + [c["bom-ref"] for c in doc["components"]]
    assert len(refs) == len(set(refs))
    assert {r for d in doc["dependencies"] for r in [d["ref"], *d["dependsOn"]]} <= set(refs)


def test_spdx_is_valid():
    doc = document("spdx")
    assert [e.message for e in Draft202012Validator(schema("spdx-3.0.1-schema.json")).iter_errors(doc)] == []
    nodes = {n.get("spdxId", n.get("@id")): n for n in doc["@graph"]}
    model = next(n for n in nodes.values() if n["type"] == "ai_AIPackage" and "suppliedBy" in n)
    for demanded in ("suppliedBy", "releaseTime", "software_downloadLocation", "software_packageVersion"):
        assert model[demanded]      # the AI profile demands them, the JSON schema does not
    for n in nodes.values():
        if n["type"] == "Relationship":
            assert n["from"] in nodes and all(t in nodes for t in n["to"])


def test_the_validators_can_fail():
    broken = document("cyclonedx")
    broken["components"][0]["hashes"][0]["content"] = "zz"
    assert list(cyclonedx_validator().iter_errors(broken))
