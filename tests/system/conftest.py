"""Fixtures of the system tests: the stand-in Hub, and virtual environments with the clients under test."""
import fcntl
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.hub import Hub      # noqa: E402
from tests.system.registry import Registry      # noqa: E402

# Pinned, so that a failure is ours and not a release of theirs: the newest, the last 0.x, and one from the middle of 0.3x.
CLIENTS = {
    "hf-new": ["huggingface_hub==2.4.0"],
    "hf-0.36": ["huggingface_hub==0.36.2"],
    "hf-0.30": ["huggingface_hub==0.30.2"],
}

# Reference implementations that a test compares with.
ORACLES = {
    "tokenizers": ["tokenizers==0.23.3", "sentencepiece==0.2.3", "tiktoken==0.14.0", "protobuf==7.36.2"],
    "ranks": ["--no-deps", "dashscope==2.0.2", "llama-models==0.3.0"],     # for the vocabularies in them
    "sbom": ["cyclonedx-python-lib[json-validation]==11.12.0", "pyshacl==0.40.1"],
    "calendar": ["icalendar==7.3.2"],
    "oci": ["oras==0.2.43", "modelpack-client==0.1.0"],
    "model-signing": ["model-signing==1.1.1", "pyOpenSSL"],
}


def cache_dir():
    return Path(os.environ.get("REGISTRYD_TEST_CACHE") or Path.home() / ".cache" / "registryd-tests")


def client_env(name):
    """The virtual environment `name` of CLIENTS."""
    return environment(name, CLIENTS[name])


def oracle_env(name):
    """The virtual environment `name` of ORACLES."""
    return environment(name, ORACLES[name])


def environment(name, packages):
    """A virtual environment with these packages, built once and kept outside the tree."""
    base = cache_dir() / "venv"
    base.mkdir(parents=True, exist_ok=True)
    where, wanted = base / name, "\n".join(packages) + "\n"
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = where / "installed.txt"
        if not marker.exists() or marker.read_text() != wanted:
            venv.create(where, with_pip=True, clear=True)
            done = subprocess.run([where / "bin/pip", "install", "-q", *packages], capture_output=True, text=True)
            if done.returncode:
                pytest.fail(f"could not install {' '.join(packages)} for the tests: {done.stderr.strip()[-500:]}")
            marker.write_text(wanted)
    return where


@pytest.fixture(scope="session")
def shared():
    """The folder of shared test material; a test that needs it is skipped where it is not."""
    where = Path(os.environ.get("REGISTRYD_SHARED", ROOT.parent / "shared"))
    if not (where / "data").is_dir():
        pytest.skip(f"the shared test material is not at {where}")
    return where


@pytest.fixture
def hub(tmp_path):
    with Hub(root=tmp_path / "hub") as it:
        yield it
        bugs = [r for r in it.requests() if r.status == 500 and "status" not in r.faults]
        assert not bugs, f"the stand-in hub itself failed on {bugs[0].method} {bugs[0].path}"


@pytest.fixture(params=sorted(CLIENTS))
def hf_client(request, tmp_path):
    """run(endpoint, code or [command..], **env) in an environment with a huggingface_hub; a test runs once for each."""
    where = client_env(request.param)

    def run(endpoint, what, **env):
        # the clients' own settings must not leak in from whoever runs the tests
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_"))}
        clean.update(HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "hf-home"), HF_HUB_DISABLE_TELEMETRY="1",
                     HF_HUB_DISABLE_PROGRESS_BARS="1", **env)
        argv = [where / "bin/python", "-c", what] if isinstance(what, str) else [where / "bin" / what[0], *what[1:]]
        return subprocess.run(argv, env=clean, capture_output=True, text=True, timeout=120)

    run.name, run.home = request.param, tmp_path / "hf-home"
    return run


@pytest.fixture
def registry(tmp_path, hub):
    """A registryd whose only upstream is the stand-in Hub."""
    with Registry(tmp_path / "registry", upstream=hub.url) as it:
        yield it


@pytest.fixture(scope="session")
def models():
    """Folders of this project's own small trained models."""
    return ROOT / "tests" / "models"
