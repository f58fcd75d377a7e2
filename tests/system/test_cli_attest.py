"""Keys and signed statements: what the daemon attests, registryctl checks against a directory, and so does the reference implementation."""
import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

from tests.system.conftest import oracle_env
from tests.system.registry import Registry


@pytest.fixture
def attested(registry, hub, models, tmp_path):
    """A published model, its folder as a client has it, and its statement."""
    folder, bundle = tmp_path / "model", tmp_path / "model.sig"
    hub.add_model("org/m", models / "tiny-story")
    registry.ctl("sync", "org/m")
    registry.ctl("attest", "show", "org/m", code=4)     # no key yet
    registry.ctl("key", "generate")
    registry.ctl("attest", "show", "org/m", "-o", bundle)
    folder.mkdir()
    for f in registry.json("show", "org/m")["files"]:
        shutil.copy(registry.blob(f["sha256"]), folder / f["path"])
        (folder / f["path"]).chmod(0o644)
    return folder, bundle


def test_a_directory_is_as_signed_or_says_what_is_not(registry, attested):
    folder, bundle = attested
    done = registry.ctl("attest", "verify", folder, "--signature", bundle)
    assert "= model.safetensors" in done.stdout.splitlines()
    (folder / "config.json").write_text("{}")
    (folder / "LICENSE").unlink()
    (folder / "extra.bin").write_bytes(b"x")
    done = registry.ctl("attest", "verify", folder, "--signature", bundle, code=6)
    assert {"* config.json", "- LICENSE", "+ extra.bin", "= model.safetensors"} <= set(done.stdout.splitlines())
    result = registry.json("attest", "verify", folder, "--signature", bundle, code=6)
    assert {f["path"]: f["status"] for f in result["files"]}["extra.bin"] == "extra"


def test_an_altered_statement_is_refused(registry, attested, tmp_path):
    folder, bundle = attested
    doc = json.loads(bundle.read_text())
    payload = base64.b64decode(doc["dsseEnvelope"]["payload"])
    doc["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(b'"org/m"', b'"org/x"')).decode()
    bundle.write_text(json.dumps(doc))
    assert "altered" in registry.ctl("attest", "verify", folder, "--signature", bundle, code=6).stderr
    bundle.write_text("{}")
    registry.ctl("attest", "verify", folder, "--signature", bundle, code=6)
    registry.ctl("attest", "verify", folder, code=2)


def test_another_sites_key_must_be_trusted_first(registry, attested, tmp_path):
    folder, bundle = attested
    pem = tmp_path / "first.pem"
    registry.ctl("key", "list", "--pem", "-o", pem)
    with Registry(tmp_path / "second") as second:
        assert "key trust" in second.ctl("attest", "verify", folder, "--signature", bundle, code=5).stderr
        second.ctl("key", "trust", pem)
        second.ctl("attest", "verify", folder, "--signature", bundle)
        assert [(k["name"], k["use"]) for k in second.json("key", "list")] == [("first", "trusted")]
        second.ctl("key", "trust", pem, code=1)         # is there already
        pem.write_text("no key")
        second.ctl("key", "trust", pem, code=2)
    with Registry(tmp_path / "third") as third:
        third.ctl("key", "trust", registry.url)
        third.ctl("attest", "verify", folder, "--signature", bundle)


def test_private_keys_stay_private(registry):
    registry.ctl("key", "generate", "site")
    registry.ctl("key", "generate", "site", code=1)
    registry.ctl("key", "generate", "../x", code=2)
    file = registry.data / "keys" / "site.pem"
    assert file.stat().st_mode & 0o777 == 0o600 and "PRIVATE" in file.read_text()
    assert "PRIVATE" not in registry.ctl("key", "list", "--json").stdout
    assert "--pem" in registry.ctl("key", "list", "--pem", "--json", code=2).stderr


def test_a_file_that_is_named_with_o_keeps_what_it_is(registry, tmp_path):
    registry.ctl("key", "generate")
    pem = registry.ctl("key", "list", "--pem").stdout
    assert registry.ctl("key", "list", "--pem", "-o", "/dev/stdout").stdout == pem      # a pipe here, never replaced by name
    pipe, file, link = tmp_path / "pipe", tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o600)
    link.symlink_to("file")
    registry.ctl("key", "list", "--pem", "-o", link)
    assert link.is_symlink() and file.read_text() == pem and file.stat().st_mode & 0o777 == 0o600
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)
    registry.ctl("key", "list", "--pem", "-o", pipe)
    assert os.read(end, 1 << 16).decode() == pem and pipe.is_fifo()
    os.close(end)


def test_provenance_names_the_source(registry, attested, hub):
    doc = json.loads(registry.ctl("attest", "show", "org/m", "--format", "intoto").stdout)
    statement = json.loads(base64.b64decode(doc["dsseEnvelope"]["payload"]))
    m = registry.json("show", "org/m")
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["predicate"]["buildDefinition"]["externalParameters"] == {"hub": hub.url, "repo": "org/m", "revision": m["revision"]}
    assert {s["name"]: s["digest"]["sha256"] for s in statement["subject"]} == {f["path"]: f["sha256"] for f in m["files"]}
    registry.ctl("attest", "show", "org/m", "--format", "pgp", code=2)
    for order, status, says in ([["withdraw", "--reason", "malware"], 403, "org/m has been withdrawn: malware"],
                                [["withdraw", "--reason", "claim", "--legal"], 451, "org/m is not available for legal reasons: claim"], [["retire"], 410, "org/m was retired on 2"]):
        registry.ctl(order[0], "org/m", *order[1:])
        for query in "", "?format=intoto&revision=" + m["revision"]:
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{registry.url}/-/v1/models/org/m/-/attestation{query}")
            assert refused.value.code == status and says in json.load(refused.value)["error"]["message"]
        assert says in registry.ctl("attest", "show", "org/m", code=5).stderr
        registry.ctl("sbom", f"org/m@{m['revision']}")      # evidence stays
        registry.ctl("restore", "org/m")


def test_the_reference_implementation_agrees(registry, attested, tmp_path):
    """model_signing, the OpenSSF's own verifier."""
    folder, bundle = attested
    pem = tmp_path / "key.pem"
    registry.ctl("key", "list", "--pem", "-o", pem)
    argv = [oracle_env("model-signing") / "bin/python", "-m", "model_signing", "verify", "key", str(folder), "--signature", str(bundle), "--public_key", str(pem)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "config.json").write_text("{}")
    assert subprocess.run(argv, capture_output=True, timeout=120).returncode != 0
