"""What a sync or an import says: before it, of what would come; after it, of what became of it, also where something is served already."""
import hashlib
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.system.registry import BIN, Registry
from tests.system.sync_case import BIG, CARD, NAME, POLICY, Noise, assert_served, cancel, files, get, settings, wait_for


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY.replace("[mit]", "[mit, apache-2.0]"), settings=settings(hub)) as it:
        yield it


def test_dry_run_fetches_nothing(reg, hub):
    hub.add_model(NAME, files())
    plan = reg.json("sync", NAME, "--dry-run", "--exclude", "small.safetensors")
    assert plan["license"] == "mit" and plan["fetch_bytes"] == plan["size_bytes"] >= BIG
    assert plan["gate"]["outcome"] == "publish"
    assert {f["path"]: bool(f["skip_reason"]) for f in plan["files"]}["small.safetensors"]
    assert not hub.requests(route="resolve") and not hub.requests(listener="cdn")
    reg.ctl("show", NAME, code=4)


def test_models_are_counted_as_they_are_listed(reg, hub):
    """One of which nothing has come is none: it is named apart."""
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    hub.add_model("org/broken", {"README.md": CARD})
    hub.faults.add(repo="org/broken", route="tree", status=404)
    reg.ctl("sync", "org/broken", code=4)
    catalog = reg.json("status")["catalog"]
    assert (catalog["models"], catalog["models_without_revision"]) == (1, 1) and [m["repo"] for m in reg.json("ls")] == [NAME]
    assert "and 1 that were asked for, of which nothing is here yet" in reg.ctl("status").stdout
    hub.faults.clear()
    reg.ctl("sync", "org/broken", code=None)
    assert "nothing is here yet" not in reg.ctl("status").stdout and reg.json("status")["catalog"]["models"] == 2


def test_a_plan_counts_equal_files_once(reg, hub):
    hub.add_model(NAME, files(**{"copy.safetensors": Noise(BIG), "copy.json": "{}"}))
    plan = reg.json("sync", NAME, "--dry-run")
    assert plan["size_bytes"] - plan["fetch_bytes"] == BIG + 2
    reg.ctl("sync", NAME)


def test_a_plan_counts_what_is_here(reg, hub):
    hub.add_model(NAME, files())
    assert reg.json("sync", NAME, "--dry-run")["fetch_bytes"] > 0
    reg.ctl("sync", NAME)
    assert reg.json("sync", NAME, "--dry-run")["fetch_bytes"] == 0
    hub.commit(NAME, {"config.json": '{"a": 12345}'})
    assert reg.json("sync", NAME, "--dry-run")["fetch_bytes"] == len('{"a": 12345}')


@pytest.mark.parametrize("more,rule", [({"modeling_x.py": "print(1)"}, "code.python"), ({"notes.md": "1", "NOTES.md": "2"}, "path.case"), ({"lib/x.so": "x"}, "code.native")])
def test_a_plan_knows_what_names_tell(reg, hub, more, rule):
    """And when all of it is here, what was found and decided."""
    hub.add_model(NAME, files(**more))
    says = "hold" if rule != "code.native" else "reject"
    for _ in range(2):
        said = reg.ctl("sync", NAME, "--dry-run").stdout
        assert f"the gate would {says} it" in said and rule in said, said
        assert rule in reg.ctl("policy", "check", NAME, code=5).stdout
        reg.ctl("sync", NAME, code=5)
    if says == "hold":
        reg.ctl("publish", NAME, "--reason", "read")
        assert reg.json("sync", NAME, "--dry-run")["gate"]["outcome"] == "publish"
    assert reg.json("sync", NAME, "--dry-run", "--include", "README.md")["gate"]["outcome"] == "publish"


def test_a_plan_says_that_nothing_is_left_to_serve(reg, hub):
    hub.add_model(NAME, files())
    plan = reg.json("sync", NAME, "--dry-run", "--include", "none")
    assert plan["gate"]["outcome"] == "hold" and "no file is mirrored" in str(plan["gate"])
    reg.ctl("sync", NAME)       # what is served stays, and such a sync has nothing to do
    for none in "none", "LICENSE":
        assert reg.json("sync", NAME, "--dry-run", "--include", none)["gate"]["outcome"] == "publish"
        reg.ctl("sync", NAME, "--include", none)


def test_a_canceled_sync_says_so(reg, hub):
    hub.add_model(NAME, files())
    stuck = hub.faults.add(listener="cdn", file="data.safetensors", stall=[BIG // 2, 300])
    reg.ctl("sync", NAME, "--no-wait")
    job = wait_for(lambda: [j["id"] for j in reg.json("jobs") if j["progress"]["bytes_done"] > 0])[0]
    assert reg.json("show", NAME)["state"] == "fetching"
    cancel(reg, job)
    wait_for(lambda: reg.json("jobs")[0]["state"] == "canceled")
    for _ in range(2):
        shown = reg.json("show", NAME)
        assert (shown["state"], shown["reason"]) == ("planned", "its sync was canceled")
        reg.stop()
        reg.start()
    hub.faults.remove(stuck)
    reg.ctl("sync", NAME)
    assert_served(reg, hub)


def test_a_plan_counts_a_licence_that_is_only_read(reg, hub):
    hub.add_model(NAME, files(LICENSE="It is yours.\n" * 40))
    plan = reg.json("sync", NAME, "--dry-run", "--include", "*.md")
    assert plan["size_bytes"] == len(CARD) and plan["fetch_bytes"] == len(CARD) + 520
    reg.ctl("sync", NAME, "--include", "*.md", code=None)
    assert reg.json("sync", NAME, "--dry-run", "--include", "*.md")["fetch_bytes"] == 0


def test_import(reg, tmp_path, models):
    folder = tmp_path / "own"
    (folder / "sub").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    Noise(2 << 20).write(folder / "sub" / "data.safetensors")
    reg.ctl("import", folder, "--as", "own/model")
    shown = reg.json("show", "own/model")
    assert shown["state"] == "published" and shown["upstream"] == "import" and shown["license"]["id"] == "mit"
    first = shown["revision"]
    assert get(f"{reg.url}/own/model/resolve/main/sub/data.safetensors")[1] == (folder / "sub" / "data.safetensors").read_bytes()
    reg.ctl("import", folder, "--as", "own/model")
    assert reg.json("show", "own/model")["revision"] == first      # the same files are the same revision
    reg.ctl("import", folder, "--as", "own/nc", "--license", "cc-by-nc-4.0", code=5)
    (folder / "README.md").write_text("# no licence here\n")
    reg.ctl("import", folder, "--as", "own/told", "--license", "mit")
    assert [m["id"] for m in json.loads(get(f"{reg.url}/api/models?filter=license:mit&author=own")[1])] == ["own/model", "own/told"]
    (folder / "loop").symlink_to(".")
    assert "link to a directory" in reg.ctl("import", folder, "--as", "own/loop", code=2).stderr
    (folder / "loop").unlink()
    (folder / "dead").symlink_to("nothing")
    assert "link to nothing" in reg.ctl("import", folder, "--as", "own/loop", code=2).stderr


class Growing(BaseHTTPRequestHandler):
    """A registryd to `import`, and while it takes a file, somebody adds to that."""
    def answer(self, status, what):
        self.send_response(status)
        body = json.dumps(what).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, {"import": "0" * 32})

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(self.server.file, "a") as f:
            f.write("more\n")
        self.answer(200, {"path": "a.txt", "size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})

    def log_message(self, *_):
        pass


def test_an_import_that_is_canceled_in_the_queue_leaves_nothing(tmp_path, hub):
    hub.add_model(NAME, files())
    hub.faults.add(listener="cdn", stall=[1000, 300])
    own = tmp_path / "own"
    own.mkdir()
    (own / "README.md").write_text(CARD)
    with Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, "sync: {jobs: 1}\n", stall="300s")) as reg:
        reg.ctl("sync", NAME, "--no-wait")
        wait_for(lambda: reg.json("jobs")[0]["state"] == "running")
        reg.ctl("import", own, "--as", "own/m", "--no-wait")
        uploads = list((reg.data / "incoming").glob("[0-9a-f]" * 32))
        assert len(uploads) == 1
        cancel(reg, next(j["id"] for j in reg.json("jobs") if j["kind"] == "import"))
        assert not uploads[0].exists()


def test_import_of_a_file_that_grows(tmp_path):
    """Its first part is no file."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.txt").write_text("one\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), Growing) as server:
        server.file = tmp_path / "own" / "a.txt"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [BIN / "registryctl", "--url", f"http://127.0.0.1:{server.server_port}", "import", tmp_path / "own", "--as", "own/m"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        server.shutdown()
    assert done.returncode == 1 and "'a.txt': it became longer while it was read" in done.stderr


def by_licence(reg, license):
    """What is found under a licence: the same by each listing."""
    found = [m["repo"] for m in reg.json("ls", "--license", license)]
    assert [m["id"] for m in json.loads(get(f"{reg.url}/api/models?filter=license:{license}")[1])] == found
    return found


@pytest.mark.parametrize("card, first", [(CARD, []), ("# no licence here\n", ["--license", "mit"])])
def test_import_again_under_another_licence(reg, tmp_path, card, first):
    """What is served goes on as it was, under the licence it has, told of; whoever brought it learns that the gate is against it."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "README.md").write_text(card)
    (tmp_path / "own" / "a.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    again = ["import", tmp_path / "own", "--as", "own/m"]
    reg.ctl(*again, *first)
    was = reg.json("show", "own/m")["license"]
    for license in "cc-by-nc-4.0", "gpl-3.0":
        done = reg.ctl(*again, "--license", license, code=5)
        assert "is published as it was" in done.stderr and license in done.stderr
        shown = reg.json("show", "own/m")
        assert shown["state"] == "published" and shown["lifecycle"]["deprecated_at"] and license in shown["lifecycle"]["reason"]
        assert shown["license"] == was and by_licence(reg, "mit") == ["own/m"] and by_licence(reg, license) == []
        assert "goes on being served" in reg.ctl("why", "own/m").stdout.splitlines()[0] and license in reg.ctl("why", "own/m").stdout
    reg.ctl(*again)
    shown = reg.json("show", "own/m")
    assert shown["license"] == was and not shown["lifecycle"]["deprecated_at"] and "goes on" not in reg.ctl("why", "own/m").stdout


def test_import_again_under_another_allowed_licence(reg, tmp_path):
    """It is that from then on, in every listing, whatever the card says; and stays so, until somebody says otherwise."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "README.md").write_text(CARD)
    (tmp_path / "own" / "a.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    reg.ctl("import", tmp_path / "own", "--as", "own/m")
    for more in ["--license", "apache-2.0"], []:
        reg.ctl("import", tmp_path / "own", "--as", "own/m", *more)
        assert by_licence(reg, "apache-2.0") == ["own/m"] and by_licence(reg, "mit") == []


def test_wanting_more_of_what_is_served(reg, hub):
    """The rest is refused: the sync says so, and what was served is."""
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME, "--exclude", "small.safetensors")
    hub.faults.add(listener="cdn", corrupt=1000, file="small.safetensors")
    done = reg.ctl("sync", NAME, code=6)
    assert "is published as it was" in done.stderr and "small.safetensors" in done.stderr
    assert reg.json("show", NAME)["state"] == "published" and get(f"{reg.url}/{NAME}/resolve/main/small.safetensors")[0] == 404
    hub.faults.clear()
    reg.ctl("sync", NAME)
    assert_served(reg, hub)


@pytest.mark.parametrize("verb,back,says", [("retire", "restore", "retired"), ("withdraw", "restore", "withdrawn")])
def test_what_is_off_the_doors_is_no_success(reg, hub, verb, back, says):
    hub.add_model(NAME, files())
    reg.ctl("sync", NAME)
    reg.ctl(verb, NAME, "--reason", "broken")
    hub.commit(NAME, {"config.json": '{"a": 1}'})
    plan = reg.json("sync", NAME, "--dry-run")
    assert plan["gate"]["outcome"] == "reject" and any(r["rule"] == "lifecycle" and back in r["reason"] for r in plan["gate"]["reasons"])
    assert says in reg.ctl("sync", NAME, code=5).stderr
    reg.ctl(back, NAME)
    reg.ctl("sync", NAME)
    assert_served(reg, hub)


def test_dry_run_reads_all_of_a_cards_licences(reg, hub):
    hub.add_model(NAME, files(**{"README.md": CARD.replace("mit", "[mit, cc-by-nc-4.0]")}))
    plan = reg.json("sync", NAME, "--dry-run")
    assert plan["license"] == "cc-by-nc-4.0" and plan["gate"]["outcome"] != "publish"
    assert "is queued" in reg.ctl("sync", NAME, "--dry-run", "--no-wait").stdout
    reg.ctl("sync", NAME, code=5)
    assert reg.json("show", NAME)["license"]["id"] == "cc-by-nc-4.0"


def refs_of(reg):
    refs = json.loads(get(f"{reg.url}/api/models/{NAME}/refs")[1])
    return {kind: {r["name"]: r["ref"] for r in refs[kind]} for kind in ("branches", "tags")}


def test_tags_are_tags(reg, hub):
    """Also where `main` is not here: clients ask for the refs of the model."""
    hub.add_model(NAME, files(), branches=["dev"], tags=["v1"])
    reg.ctl("sync", f"{NAME}@v1")
    assert refs_of(reg) == {"branches": {}, "tags": {"v1": "refs/tags/v1"}}
    reg.ctl("sync", f"{NAME}@refs/heads/dev")
    reg.ctl("sync", f"{NAME}@refs/tags/v1")
    assert refs_of(reg) == {"branches": {"dev": "refs/heads/dev"}, "tags": {"v1": "refs/tags/v1"}}
    for rev in "dev", "v1", "refs%2Fheads%2Fdev", "refs%2Ftags%2Fv1":
        assert get(f"{reg.url}/{NAME}/resolve/{rev}/config.json")[0] == 200, rev
    hub.commit(NAME, {"config.json": '{"a": 2}'})
    hub.repos[NAME].unpoint("refs/tags/v1"), hub.repos[NAME].point("refs/heads/v1", "main")
    reg.ctl("sync", f"{NAME}@v1")
    assert refs_of(reg) == {"branches": {"dev": "refs/heads/dev", "v1": "refs/heads/v1"}, "tags": {}}
    hub.repos[NAME].unpoint("refs/heads/v1"), hub.repos[NAME].point("refs/tags/v1", "main")      # at the same commit
    reg.ctl("sync", f"{NAME}@v1")
    assert refs_of(reg)["tags"] == {"v1": "refs/tags/v1"}


def test_a_tag_that_was_not_known_as_one(reg, hub):
    """Upstream did not say so when it came; it is asked again, though a tag does not move."""
    hub.add_model(NAME, files(), tags=["v1"])
    hub.faults.add(route="refs", status=404)
    reg.ctl("sync", f"{NAME}@v1")
    assert refs_of(reg)["branches"] == {"v1": "refs/heads/v1"}
    hub.faults.clear()
    reg.ctl("sync", f"{NAME}@v1")
    assert refs_of(reg) == {"branches": {}, "tags": {"v1": "refs/tags/v1"}}


def test_what_is_listed_can_be_asked_about(tmp_path, reg, hub):
    """Also a model of which only a tag is here: without a revision clients get what the listing shows, and as `main` they get nothing else."""
    first = hub.add_model(NAME, files(), tags=["v1"])
    second = hub.commit(NAME, {"config.json": '{"a": 2}'})
    reg.ctl("sync", f"{NAME}@v1")
    listed, = json.loads(get(f"{reg.url}/api/models?full=true")[1])
    assert (listed["id"], listed["sha"]) == (NAME, first)
    for address in ("", "/revision/HEAD", f"/revision/{first}"):
        status, info = get(f"{reg.url}/api/models/{NAME}{address}")
        assert status == 200 and json.loads(info)["sha"] == first, address
    assert get(f"{reg.url}/api/models/{NAME}/auth-check")[0] == get(f"{reg.url}/{NAME}")[0] == get(f"{reg.url}/{NAME}/resolve/HEAD/config.json")[0] == 200
    for address in (f"api/models/{NAME}/revision/main", f"api/models/{NAME}/tree/main", f"{NAME}/resolve/main/config.json"):
        assert get(f"{reg.url}/{address}")[0] == 404, address
    with Registry(tmp_path / "second", policy=POLICY, settings=settings(reg)) as other:     # nor does it become the next registry's `main`
        assert "no such revision" in other.ctl("sync", NAME, code=4).stderr
        other.ctl("sync", f"{NAME}@v1")
        other.ctl("sync", NAME, code=4)
        assert not [e["kind"] for e in other.json("events") if e["kind"].startswith("upstream.")]   # for that the model is not gone
    reg.ctl("sync", NAME)
    assert json.loads(get(f"{reg.url}/api/models/{NAME}")[1])["sha"] == second


def test_skipped_formats_are_skipped_whatever_is_selected(tmp_path, hub):
    hub.add_model(NAME, files(**{"pytorch_model.bin": b"x"}))
    with Registry(tmp_path / "registry", policy=POLICY + "formats: {skip: [pickle]}\n", settings=settings(hub)) as reg:
        reg.ctl("sync", NAME)
        reg.ctl("sync", NAME, "--include", "*.bin", "--include", "*.md", code=None)
        assert "pytorch_model.bin" not in [f["path"] for f in reg.json("show", NAME)["files"]]


def test_import_without_room_names_the_setting(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "README.md").write_text(CARD)
    with Registry(tmp_path / "registry", policy=POLICY, settings="sync: {keep_free: 900TB}\n") as reg:
        said = reg.ctl("import", tmp_path / "own", "--as", "own/model", code=1).stderr
        assert "the 900 TB that sync.keep_free leaves alone and" in said and str(reg.data) in said
