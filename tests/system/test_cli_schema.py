"""Answers of a daemon with a model in it, before the schemas of its own description."""
import json
import urllib.error
import urllib.request

import pytest
from jsonschema import Draft202012Validator

REPO = "org/tiny-story"
CALLS = [("/-/v1/status", "/-/v1/status"), ("/-/v1/models", "/-/v1/models"), ("/-/v1/models/{repo}", f"/-/v1/models/{REPO}"),
         ("/-/v1/models/{repo}/-/decisions", f"/-/v1/models/{REPO}/-/decisions"), ("/-/v1/models/{repo}/-/usage", f"/-/v1/models/{REPO}/-/usage"),
         ("/-/v1/licenses", "/-/v1/licenses"), ("/-/v1/facets", "/-/v1/facets"), ("/-/v1/lifecycle", "/-/v1/lifecycle?within=999999999"),
         ("/-/v1/jobs", "/-/v1/jobs"), ("/-/v1/jobs/{id}", "/-/v1/jobs/1"), ("/-/v1/events", "/-/v1/events"), ("/-/v1/audit", "/-/v1/audit"),
         ("/-/v1/audit/head", "/-/v1/audit/head"), ("/-/v1/tokens", "/-/v1/tokens"), ("/-/v1/mirrors", "/-/v1/mirrors"), ("/-/v1/keys", "/-/v1/keys"),
         ("/-/v1/policy", "/-/v1/policy")]


def fetch(registry, path):
    request = urllib.request.Request(registry.url + path, headers={"Authorization": f"Bearer {registry.token()}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_answers_are_as_described(registry, hub, models):
    hub.add_model(REPO, models / "tiny-story")
    registry.ctl("sync", REPO)
    registry.ctl("sync", "org/absent", code=4)
    registry.ctl("deprecate", REPO, "--sunset", "2032-01-01", "--reason", "test")
    registry.ctl("mirror", "add", "org/other")
    registry.ctl("key", "generate")
    described = fetch(registry, "/-/openapi.json")
    wrong = []
    for pattern, path in CALLS:
        schema = described["paths"][pattern]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({"components": described["components"], **schema}, format_checker=Draft202012Validator.FORMAT_CHECKER)
        assert list(validator.iter_errors([])), f"{pattern}: its schema lets anything pass"
        wrong += [f"{path}: {e.json_path}: {e.message[:200]}" for e in validator.iter_errors(fetch(registry, path))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path, status, code", [
    ("/-/v1/models/org/absent", 404, "not_found"), ("/-/v1/nothing", 404, "not_found"), ("/-/v1/models?limit=x", 400, "usage"), ("/-/v1/models?licence=mit", 400, "usage"), ("/-/v1/facets?bogus=1", 400, "usage"),
    ("/-/v1/jobs/x", 400, "usage"), ("/-/v1/jobs/99", 404, "not_found"),
])
def test_errors_are_as_described(registry, path, status, code):
    with pytest.raises(urllib.error.HTTPError) as raised:
        fetch(registry, path)
    assert raised.value.code == status
    error = json.load(raised.value)
    schema = fetch(registry, "/-/openapi.json")["components"]["schemas"]["Error"]
    Draft202012Validator(schema).validate(error)
    assert error["error"]["code"] == code
