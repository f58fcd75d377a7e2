"""The OCI door: the distribution API by hand, and real clients (skopeo, ORAS, a ModelPack client) that pull from it."""
import base64
import hashlib
import json
import shutil
import subprocess

import pytest

from tests.system.conftest import oracle_env
from tests.system.seeded import Seeded

WEIGHTS = bytes(range(256)) * 4000
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "LICENSE": b"MIT\n",
    "config.json": b'{"model_type": "llama"}\n',
    "model.safetensors": WEIGHTS,
    "modeling_x.py": b"pass\n",
    "empty.txt": b"",
    "sub dir/deep/x+y.json": b"{}",
    "sub dir/\u65b9\u6b63.txt": b"not ascii\n",
}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Seeded(tmp_path_factory.mktemp("oci")) as r:
        ending = {"deprecated_at": "2026-01-01", "successor": "org/next"}
        r.commits = {
            "Org/M": r.seed("Org/M", FILES, alias="old-org/m", license="mit"),
            "org/other": r.seed("org/other", {"a.txt": b"other"}),
            "solo": r.seed("solo", {"a.txt": b"a"}),
            "org/held": r.seed("org/held", FILES, state="held"),
            "org/gated": r.seed("org/gated", FILES, gated=True),
            "org/next": r.seed("org/next", {"a.txt": b"next"}),
            "org/ending": r.seed("org/ending", FILES, sunset_at="2099-06-30", **ending),
            "org/ended": r.seed("org/ended", FILES, sunset_at="2026-02-01", **ending),
            "org/withdrawn": r.seed("org/withdrawn", FILES, withdrawn=True),
            "org/illegal": r.seed("org/illegal", FILES, legal=True),
        }
        yield r.start()
        assert r.stop() == 0, r.log


def code_of(answer):
    return answer.json()["errors"][0]["code"]


def host(site):
    return f"127.0.0.1:{site.port}"


def run(*argv):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- by hand

def test_ping(site):
    got = site.get("/v2/")
    assert (got.status, got.json(), got["Docker-Distribution-Api-Version"]) == (200, {}, "registry/2.0")
    assert got["WWW-Authenticate"].startswith("Basic ")     # where skopeo looks for how to send its token


@pytest.mark.parametrize("repo", ["org/m", "Org/M", "solo"])
def test_manifest_by_tag_commit_and_digest(site, repo):
    commit = site.commits["solo" if repo == "solo" else "Org/M"]
    got = site.get(f"/v2/{repo}/manifests/main")
    assert (got.status, got["Content-Type"], got["Docker-Content-Digest"]) == (200, MANIFEST, digest(got.body))
    assert got["X-Repo-Commit"] == commit
    for reference in commit, digest(got.body):
        again = site.get(f"/v2/{repo}/manifests/{reference}")
        assert (again.status, again.body) == (200, got.body)
    head = site.head(f"/v2/{repo}/manifests/main")
    assert (head.status, head["Content-Length"], head["Docker-Content-Digest"]) == (200, str(len(got.body)), digest(got.body))


def test_every_layer_is_the_file(site):
    manifest = site.get("/v2/org/m/manifests/main").json()
    assert (manifest["schemaVersion"], manifest["mediaType"], manifest["artifactType"]) == (2, MANIFEST, "application/vnd.cncf.model.manifest.v1+json")
    assert manifest["annotations"]["org.opencontainers.image.revision"] == site.commits["Org/M"]
    layers = {la["annotations"]["org.cncf.model.filepath"]: la for la in manifest["layers"]}
    assert set(layers) == set(FILES)
    for path, content in FILES.items():
        layer = layers[path]
        assert (layer["digest"], layer["size"], layer["annotations"]["org.opencontainers.image.title"]) == (digest(content), len(content), path)
        got = site.get(f"/v2/org/m/blobs/{layer['digest']}")
        assert (got.status, got.body, got["Docker-Content-Digest"]) == (200, content, layer["digest"])
    kinds = {path: la["mediaType"].removeprefix("application/vnd.cncf.model.") for path, la in layers.items()}
    assert kinds == {"README.md": "doc.v1.raw", "LICENSE": "doc.v1.raw", "config.json": "weight.config.v1.raw", "model.safetensors": "weight.v1.raw",
                     "modeling_x.py": "code.v1.raw", "empty.txt": "weight.config.v1.raw", "sub dir/deep/x+y.json": "weight.config.v1.raw",
                     "sub dir/\u65b9\u6b63.txt": "weight.config.v1.raw"}


def test_configuration(site):
    described = site.get("/v2/org/m/manifests/main").json()
    got = site.get(f"/v2/org/m/blobs/{described['config']['digest']}")
    assert (got.status, len(got.body), digest(got.body)) == (200, described["config"]["size"], described["config"]["digest"])
    config = got.json()
    assert config["descriptor"]["revision"] == site.commits["Org/M"]
    assert config["modelfs"] == {"type": "layers", "diffIds": [la["digest"] for la in described["layers"]]}


def test_part_of_a_blob_and_head(site):
    url = f"/v2/org/m/blobs/{digest(WEIGHTS)}"
    part = site.get(url, Range="bytes=10-19")
    assert (part.status, part.body, part["Content-Range"]) == (206, WEIGHTS[10:20], f"bytes 10-19/{len(WEIGHTS)}")
    head = site.head(url)
    assert (head.status, head["Content-Length"]) == (200, str(len(WEIGHTS)))


def test_tags(site):
    assert site.get("/v2/org/m/tags/list").json() == {"name": "org/m", "tags": ["main"]}
    assert site.get("/v2/org/m/tags/list?n=0").json()["tags"] == []
    assert site.get("/v2/org/m/tags/list?last=main").json()["tags"] == []
    assert site.get("/v2/org/m/tags/list?n=x").status == 400


@pytest.mark.parametrize("path,status,code", [
    ("org/none/manifests/main", 404, "NAME_UNKNOWN"), ("org/none/tags/list", 404, "NAME_UNKNOWN"), ("org/held/manifests/main", 404, "NAME_UNKNOWN"),
    ("org/m/manifests/v9", 404, "MANIFEST_UNKNOWN"), (f"org/m/manifests/{digest(b'?')}", 404, "MANIFEST_UNKNOWN"),
    (f"org/m/blobs/{digest(b'?')}", 404, "BLOB_UNKNOWN"), ("org/m/blobs/sha256:12", 400, "DIGEST_INVALID"), ("org/m/blobs/md5:12", 400, "DIGEST_INVALID"),
    (f"org/m/blobs/{digest(b'other')}", 404, "BLOB_UNKNOWN"),      # of another model
    (f"org/none/blobs/{digest(WEIGHTS)}", 404, "NAME_UNKNOWN"), (f"org/held/blobs/{digest(WEIGHTS)}", 404, "NAME_UNKNOWN"),
    ("org/ended/manifests/main", 410, "DENIED"), ("org/withdrawn/manifests/main", 403, "DENIED"), ("org/illegal/manifests/main", 451, "DENIED"),
    (f"org/ended/blobs/{digest(WEIGHTS)}", 410, "DENIED"), (f"org/withdrawn/blobs/{digest(WEIGHTS)}", 403, "DENIED"),
    (f"org/illegal/blobs/{digest(WEIGHTS)}", 451, "DENIED"), (f"org/gated/blobs/{digest(WEIGHTS)}", 401, "UNAUTHORIZED"),
    ("org/gated/manifests/main", 401, "UNAUTHORIZED"), ("_catalog", 404, "UNSUPPORTED"),
])
def test_what_is_not_to_be_had(site, path, status, code):
    got = site.get(f"/v2/{path}")
    assert (got.status, code_of(got)) == (status, code)
    assert got["Content-Type"].startswith("application/json")


def test_the_end_is_told(site):
    got = site.get("/v2/org/ending/manifests/main")
    assert got.status == 200 and got["Sunset"] and got["Warning"] == '299 - "deprecated: org/ending is deprecated until 2099-06-30, use org/next"'
    assert got["X-HF-Warning"] is None
    gone = site.get("/v2/org/ended/manifests/main")
    assert "org/next" in gone.json()["errors"][0]["message"] and gone["Warning"].startswith('299 - "gone: ')


def test_gated_with_a_token_as_password(site):
    basic = "Basic " + base64.b64encode(f"anybody:{site.admin}".encode()).decode()
    assert site.get("/v2/org/gated/manifests/main")["WWW-Authenticate"].startswith("Basic ")
    assert site.get("/v2/org/gated/manifests/main", Authorization=basic).status == 200
    assert site.get(f"/v2/org/gated/blobs/{digest(WEIGHTS)}", Authorization=basic).body == WEIGHTS


def test_renamed(site):
    got = site.get("/v2/old-org/m/manifests/main")
    assert (got.status, got["Location"]) == (307, "/v2/Org/M/manifests/main")
    got = site.get(f"/v2/old-org/m/blobs/{digest(WEIGHTS)}")
    assert (got.status, got["Location"]) == (307, f"/v2/Org/M/blobs/{digest(WEIGHTS)}")


@pytest.mark.parametrize("method,path", [("POST", "blobs/uploads/"), ("PUT", "manifests/main"), ("DELETE", "manifests/main")])
def test_nothing_is_pushed(site, method, path):
    got = site.ask(method, f"/v2/org/m/{path}", body=b"" if method != "DELETE" else None)
    assert (got.status, code_of(got)) == (405, "UNSUPPORTED")


def test_bills_of_materials_refer_to_the_manifest(site):
    subject = site.get("/v2/org/m/manifests/main")
    index = site.get(f"/v2/org/m/referrers/{digest(subject.body)}")
    assert (index.status, index["Content-Type"]) == (200, "application/vnd.oci.image.index.v1+json")
    kinds = {"application/vnd.cyclonedx+json": "cyclonedx", "application/spdx+json": "spdx"}
    assert {m["artifactType"] for m in index.json()["manifests"]} == set(kinds)
    for descriptor in index.json()["manifests"]:
        manifest = site.get(f"/v2/org/m/manifests/{descriptor['digest']}")
        assert (manifest.status, len(manifest.body), digest(manifest.body)) == (200, descriptor["size"], descriptor["digest"])
        said = manifest.json()
        assert said["subject"] == {"mediaType": MANIFEST, "digest": digest(subject.body), "size": len(subject.body)}
        assert site.get(f"/v2/org/m/blobs/{said['config']['digest']}").body == b"{}"
        bill = site.get(f"/v2/org/m/blobs/{said['layers'][0]['digest']}")
        assert digest(bill.body) == said["layers"][0]["digest"]
        assert bill.body == site.get(f"/-/v1/models/Org/M/-/sbom?format={kinds[descriptor['artifactType']]}").body
        assert site.get(f"/v2/org/m/referrers/{descriptor['digest']}").json()["manifests"] == []
    only = site.get(f"/v2/org/m/referrers/{digest(subject.body)}?artifactType=application/spdx%2Bjson")
    assert [m["artifactType"] for m in only.json()["manifests"]] == ["application/spdx+json"] and only["OCI-Filters-Applied"] == "artifactType"
    assert site.get(f"/v2/org/m/referrers/{digest(b'?')}").json()["manifests"] == []


# ---- clients

@pytest.fixture
def skopeo():
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed (script/bootstrap --tests)")
    return "skopeo"


def test_skopeo(site, skopeo, tmp_path):
    run(skopeo, "copy", "--src-tls-verify=false", "--preserve-digests", f"docker://{host(site)}/org/m:main", f"oci:{tmp_path / 'layout'}:main")
    index = json.loads((tmp_path / "layout/index.json").read_text())
    served = site.get("/v2/org/m/manifests/main")
    assert index["manifests"][0]["digest"] == digest(served.body)
    for layer in served.json()["layers"]:
        assert digest((tmp_path / "layout/blobs/sha256" / layer["digest"][7:]).read_bytes()) == layer["digest"]
    assert json.loads(run(skopeo, "list-tags", "--tls-verify=false", f"docker://{host(site)}/org/m"))["Tags"] == ["main"]
    assert run(skopeo, "inspect", "--raw", "--tls-verify=false", f"docker://{host(site)}/org/m@{digest(served.body)}").encode() == served.body


def test_skopeo_with_a_token_and_without(site, skopeo, tmp_path):
    copy = [skopeo, "copy", "--src-tls-verify=false", f"docker://{host(site)}/org/gated:main", f"oci:{tmp_path / 'layout'}:main"]
    refused = subprocess.run(copy, capture_output=True, text=True, timeout=60)
    assert refused.returncode and "use a token of this registry" in refused.stderr
    run(*copy[:2], "--src-creds", f"me:{site.admin}", *copy[2:])


def test_skopeo_says_what_has_ended(site, skopeo, tmp_path):
    done = subprocess.run([skopeo, "copy", "--src-tls-verify=false", f"docker://{host(site)}/org/ended:main", f"oci:{tmp_path / 'layout'}"], capture_output=True, text=True, timeout=60)
    assert done.returncode and "use org/next" in done.stderr


PULL = """
import sys
from {module} import {client}
{client}({arguments}).pull(sys.argv[1], {outdir}=sys.argv[2])
"""


@pytest.mark.parametrize("module,client,arguments,outdir", [("oras.client", "OrasClient", "insecure=True", "outdir"), ("modelpack_client", "ModelPackClient", "insecure=True", "destination")])
def test_files_arrive(site, tmp_path, module, client, arguments, outdir):
    python = oracle_env("oci") / "bin/python"
    run(python, "-c", PULL.format(module=module, client=client, arguments=arguments, outdir=outdir), f"{host(site)}/org/m:main", tmp_path / "out")
    assert {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == FILES
