"""Unmodified clients against a real registryd: they get every file byte for byte, and errors that say what is the matter."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.system.conftest import client_env, oracle_env
from tests.system.seeded import Seeded

ODD = {"sub dir/a#b%c.txt": b"odd name\n", "sub dir/deep/x+y.json": b"{}", "empty.txt": b"", "data/\u65b9.txt": b"not ascii"}


@pytest.fixture(scope="module")
def model(shared):
    where = shared / "data/models/stories260K/hf-f32"
    return {str(p.relative_to(where)): p.read_bytes() for p in where.rglob("*") if p.is_file()} | ODD | {"README.md": b"---\nlicense: mit\n---\n"}


@pytest.fixture(scope="module")
def site(tmp_path_factory, model):
    with Seeded(tmp_path_factory.mktemp("clients")) as r:
        r.commit = r.seed("org/m", model, alias="old-org/m", tag=["gguf", "en"], downloads=5)
        r.seed("org/part", model, leave_out=["*.txt", "README.md"])
        r.seed("org/gated", model, gated=True)
        r.seed("org/next", {"a.txt": b"next"}, license="apache-2.0", downloads=50)
        r.seed("org/ending", model, deprecated_at="2026-01-01", sunset_at="2099-06-30", successor="org/next")
        r.seed("org/ended", model, deprecated_at="2020-01-01", sunset_at="2021-06-30", successor="org/next")
        r.seed("org/withdrawn", model, withdrawn=True)
        r.seed("org/illegal", model, legal=True)
        r.seed("org/held", model, state="held")
        yield r.start()
        assert r.stop() == 0, r.log


def files_below(where):
    where = Path(where)
    return {str(p.relative_to(where)): p.read_bytes() for p in where.rglob("*") if p.is_file() and ".cache" not in p.parts}


def ran(done):
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# --- huggingface_hub, newest and older ------------------------------------------------------------------------------------------------

def test_snapshot_is_byte_identical(site, model, hf_client, tmp_path):
    code = "from huggingface_hub import snapshot_download; print(snapshot_download('org/m'))"
    where = ran(hf_client(site.url, code)).strip()
    assert files_below(where) == model
    assert where.endswith(site.commit)
    assert ran(hf_client(site.url, code)).strip() == where      # and again, from the cache
    local = tmp_path / "local"
    ran(hf_client(site.url, f"from huggingface_hub import snapshot_download; snapshot_download('org/m', revision='{site.commit}', local_dir={str(local)!r})"))
    assert files_below(local) == model


def test_partial_mirror_snapshot_succeeds(site, model, hf_client):
    where = ran(hf_client(site.url, "from huggingface_hub import snapshot_download; print(snapshot_download('org/part'))")).strip()
    assert files_below(where) == {p: c for p, c in model.items() if not p.endswith(".txt") and p != "README.md"}


def test_single_files(site, model, hf_client):
    names = ["config.json", "model.safetensors", *ODD]
    out = ran(hf_client(site.url, f"""
import json
from huggingface_hub import hf_hub_download, get_hf_file_metadata, hf_hub_url, file_exists
names = json.loads({json.dumps(names)!r})
print(json.dumps([hf_hub_download('org/m', n) for n in names]))
m = get_hf_file_metadata(hf_hub_url('org/m', 'model.safetensors'))
print(json.dumps([m.commit_hash, m.etag, m.size, getattr(m, 'xet_file_data', None)]))
print(file_exists('org/m', 'config.json'), file_exists('org/m', 'no.json'))
"""))
    paths, meta, exist = out.splitlines()
    for name, path in zip(names, json.loads(paths)):
        assert Path(path).read_bytes() == model[name]
    weights = model["model.safetensors"]
    assert json.loads(meta) == [site.commit, hashlib.sha256(weights).hexdigest(), len(weights), None]
    assert exist == "True False"


def test_api_calls(site, model, hf_client):
    out = json.loads(ran(hf_client(site.url, """
import json
from huggingface_hub import HfApi
api, out = HfApi(), {}
info = api.model_info('org/m', files_metadata=True)
out['info'] = [info.id, info.sha, info.private, info.gated, info.pipeline_tag, info.library_name, info.created_at.year, info.safetensors.total]
out['siblings'] = {s.rfilename: [s.size, s.blob_id, s.lfs and (s.lfs['sha256'] if isinstance(s.lfs, dict) else s.lfs.sha256)] for s in info.siblings}
out['files'] = sorted(api.list_repo_files('org/m'))
out['tree'] = [[type(e).__name__, e.path] for e in api.list_repo_tree('org/m', recursive=True, expand=True)]
out['paths'] = [e.path for e in api.get_paths_info('org/m', ['config.json', 'none', 'sub dir'])]
refs = api.list_repo_refs('org/m', include_pull_requests=True)
out['refs'] = [[b.name, b.target_commit] for b in refs.branches]
out['commits'] = [c.commit_id for c in api.list_repo_commits('org/m')]
out['all'] = sorted(m.id for m in api.list_models())
out['some'] = [m.id for m in api.list_models(sort='downloads', limit=2)]
out['mit'] = sorted(m.id for m in api.list_models(filter='license:mit', author='org', full=True))
out['search'] = [m.id for m in api.list_models(search='nex', cardData=True)]
out['tag'] = [m.id for m in api.list_models(filter=['gguf', 'en'], expand=['sha', 'gated'])]
out['gated'] = [[m.id for m in api.list_models(gated=g)] for g in (True, False)]
out['task'] = [m.id for m in api.list_models(pipeline_tag='Text-Generation', author='org', search='m', sort='downloads')]
import inspect
if 'num_parameters' in inspect.signature(api.list_models).parameters:       # newer ones only
    out['params'] = [[m.id for m in api.list_models(num_parameters=p)] for p in ('min:200K,max:300K', 'min:1B')]
out['exists'] = [api.repo_exists('org/m'), api.repo_exists('org/none'), api.revision_exists('org/m', 'main'), api.revision_exists('org/m', 'none')]
print(json.dumps(out))
""")))
    assert out["info"] == ["org/m", site.commit, False, False, "text-generation", "transformers", 2023, 260000]
    assert set(out["siblings"]) == set(out["files"]) == set(model)
    weights = model["model.safetensors"]
    assert out["siblings"]["model.safetensors"][::2] == [len(weights), hashlib.sha256(weights).hexdigest()]
    assert ["RepoFolder", "sub dir/deep"] in out["tree"] and {p for kind, p in out["tree"] if kind == "RepoFile"} == set(model)
    assert out["paths"] == ["config.json", "sub dir"]
    assert out["refs"] == [["main", site.commit]] and out["commits"] == [site.commit]
    assert out["all"] == ["org/ending", "org/gated", "org/m", "org/next", "org/part"]
    assert out["some"] == ["org/next", "org/m"]
    assert out["mit"] == ["org/ending", "org/gated", "org/m", "org/part"]
    assert out["search"] == ["org/next"] and out["tag"] == ["org/m"]
    assert out["gated"] == [["org/gated"], [m for m in out["gated"][1] if m != "org/gated"]] and len(out["gated"][1]) == 4
    assert "org/m" in out["task"] and "org/next" not in out["task"]
    assert [len(found) for found in out.get("params", [[0] * 5, []])] == [5, 0]
    assert out["exists"] == [True, False, True, False]


def test_paging_through_the_listing(site, hf_client):
    """A page holds fewer than there are: the client follows Link."""
    out = ran(hf_client(site.url, """
from huggingface_hub import HfApi
from huggingface_hub.utils import paginate
print(sorted(m['id'] for m in paginate(HfApi().endpoint + '/api/models', params={'limit': 2}, headers={})))
"""))
    assert eval(out) == ["org/ending", "org/gated", "org/m", "org/next", "org/part"]


def test_file_system(site, model, hf_client):
    out = ran(hf_client(site.url, """
from huggingface_hub import HfFileSystem
fs = HfFileSystem()
print(sorted(fs.ls('org/m', detail=False)))
print(sorted(fs.glob('org/m/**/*.json')))
with fs.open('org/m/model.safetensors') as f:
    f.seek(1000); print(f.read(16).hex())
print(fs.info('org/m/config.json')['size'], fs.isdir('org/m/sub dir'), fs.exists('org/m/none'))
"""))
    listed, found, piece, facts = out.splitlines()
    assert "org/m/model.safetensors" in eval(listed) and "org/m/sub dir/deep/x+y.json" in eval(found)
    assert bytes.fromhex(piece) == model["model.safetensors"][1000:1016]
    assert facts == f"{len(model['config.json'])} True False"


ERRORS = {
    "hf_hub_download('org/none', 'config.json')": "RepositoryNotFoundError",
    "model_info('org/held')": "RepositoryNotFoundError",
    "hf_hub_download('org/m', 'none.json')": "EntryNotFoundError",
    "hf_hub_download('org/m', 'config.json', revision='none')": "RevisionNotFoundError",
    "hf_hub_download('org/gated', 'config.json')": "GatedRepoError",
    "snapshot_download('org/gated')": "GatedRepoError",
}


def test_errors_are_the_clients_own(site, hf_client):
    out = json.loads(ran(hf_client(site.url, f"""
import json
from huggingface_hub import hf_hub_download, snapshot_download, model_info
found = {{}}
for what in {list(ERRORS)!r}:
    try:
        found[what] = eval(what)
    except Exception as e:
        found[what] = [c.__name__ for c in type(e).__mro__]
print(json.dumps(found, default=str))
""")))
    for what, error in ERRORS.items():
        assert error in out[what], what


def test_gated_with_our_token(site, model, hf_client):
    """A token made here passes every client's idea of what a token looks like."""
    out = ran(hf_client(site.url, "from huggingface_hub import snapshot_download, whoami; print(whoami()['name']); print(snapshot_download('org/gated'))", HF_TOKEN=site.admin))
    name, where = out.splitlines()
    assert name == "admin" and files_below(where) == model
    assert re.fullmatch(r"hf_[A-Za-z0-9]{34,}", site.admin)


def test_renamed_model(site, model, hf_client):
    where = ran(hf_client(site.url, "from huggingface_hub import snapshot_download; print(snapshot_download('old-org/m'))")).strip()
    assert files_below(where) == model


def test_lifecycle_reaches_the_user(site, hf_client):
    done = hf_client(site.url, "from huggingface_hub import hf_hub_download; hf_hub_download('org/ending', 'config.json')")
    ran(done)
    if hf_client.name != "hf-0.30" and hf_client.name != "hf-0.36":     # those print no X-HF-Warning
        assert "org/ending is deprecated until 2099-06-30, use org/next" in done.stderr
    done = hf_client(site.url, "from huggingface_hub import hf_hub_download; hf_hub_download('org/ended', 'config.json')")
    assert done.returncode and "410" in done.stderr
    if hf_client.name != "hf-0.30" and hf_client.name != "hf-0.36":
        assert "org/ended was retired on 2021-06-30; use org/next" in done.stderr


@pytest.mark.parametrize("repo,words", [("org/withdrawn", "org/withdrawn has been withdrawn"), ("org/illegal", "not available for legal reasons"), ("org/ended", "use org/next")])
def test_hf_command_says_why_not(site, tmp_path, repo, words):
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {"HF_ENDPOINT": site.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([client_env("hf-new") / "bin/hf", "download", repo, "config.json"], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode and words in (done.stdout + done.stderr).replace("\n", " ")


def test_hf_command(site, model, tmp_path):
    """`hf download`, as people type it."""
    where = client_env("hf-new")
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {"HF_ENDPOINT": site.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([where / "bin/hf", "download", "org/m", "--local-dir", tmp_path / "out"], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert files_below(tmp_path / "out") == model


def test_tokenizers_package(site, tmp_path):
    """tokenizers goes through the hf-hub crate's relatives: its own HTTP."""
    base = oracle_env("tokenizers")
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {"HF_ENDPOINT": site.url, "HF_HOME": str(tmp_path)}
    done = subprocess.run([base / "bin/python", "-c", "from tokenizers import Tokenizer; print(Tokenizer.from_pretrained('org/m').encode('Once upon a time').ids)"],
                          env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(eval(done.stdout)) > 3


# --- others ---------------------------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_curl_ranges_and_resume(site, model, tmp_path):
    url, weights, out = f"{site.url}/org/m/resolve/main/model.safetensors", model["model.safetensors"], tmp_path / "w"
    assert subprocess.run(["curl", "-sf", "-r", "100-199", url], capture_output=True).stdout == weights[100:200]
    out.write_bytes(weights[:333333])
    assert subprocess.run(["curl", "-sf", "-C", "-", "-o", out, url]).returncode == 0
    assert out.read_bytes() == weights
    assert subprocess.run(["curl", "-sfL", "--compressed", url], capture_output=True).stdout == weights


def test_like_the_hf_hub_crate(site, model):
    """hf-hub 0.4: never HEAD; a GET of one byte tells size, hash and commit, then the parts are fetched."""
    for name in "model.safetensors", "config.json", "empty.txt":
        url = f"{site.url}/org/m/resolve/main/{name}"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=0-0", "User-Agent": "unknown/None; hf-hub/0.4.3; rust/unknown"})) as r:
            assert r.headers["x-repo-commit"] == site.commit and (r.headers["x-linked-etag"] or r.headers["etag"])
            size = int(r.headers["Content-Range"].split("/")[1])
        assert size == len(model[name])
        if size:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": f"bytes=0-{size}"})) as r:
                assert r.status == 206 and r.read() == model[name]


def test_like_llama_cpp(site, model):
    """refs, then the whole tree without pages, then HEAD and GET with a path that is not escaped."""
    with urllib.request.urlopen(f"{site.url}/api/models/org/m/refs") as r:
        commit = next(b["targetCommit"] for b in json.load(r)["branches"] if b["name"] == "main")
    with urllib.request.urlopen(f"{site.url}/api/models/org/m/tree/{commit}?recursive=true") as r:
        files = [e for e in json.load(r) if e["type"] == "file"]
    for f in files:
        name = (f.get("lfs") or f)["oid"]
        assert re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name)
    head = site.head("/org/m/resolve/main/sub%20dir/deep/x+y.json")
    assert head.status == 200 and head["Accept-Ranges"] == "bytes"
    assert site.get("/org/m/resolve/main/sub%20dir/deep/x+y.json").body == model["sub dir/deep/x+y.json"]
