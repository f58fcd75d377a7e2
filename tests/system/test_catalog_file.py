"""The catalog's file, which other programs read beside the daemon: nothing that was committed may hang on what they do."""
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.system.registry import Registry

CARD = "---\nlicense: mit\n---\n"
POLICY = "licenses: {allow: [mit]}\nrequire: {smoke: none}\n"
SELECT = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM event').fetchone()[0])"
READ_ONLY = "import sqlite3, sys; print(sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True).execute('SELECT count(*) FROM event').fetchone()[0])"
BACK_UP = "import sqlite3, sys; b = sqlite3.connect(sys.argv[2]); sqlite3.connect(sys.argv[1]).backup(b); print(b.execute('SELECT count(*) FROM event').fetchone()[0])"


@pytest.fixture
def site(tmp_path, hub):
    with Registry(tmp_path / "registry", upstream=hub.url, policy=POLICY) as it:
        hub.add_model("org/m", {"README.md": CARD, "config.json": "{}"})
        it.ctl("sync", "org/m")
        yield it


def beside(site, program):
    """What a process of its own, which opens the catalog, looks at it and ends, sees."""
    done = subprocess.run([sys.executable, "-c", program, site.data / "catalog.sqlite", site.where / "copy.sqlite"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def status_of(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as answer:
        return answer.code


def test_reading_beside_the_daemon_loses_nothing(site):
    catalog = site.data / "catalog.sqlite"
    files = [(p, p.stat().st_ino) for p in (catalog, site.data / "catalog.sqlite-wal", site.data / "catalog.sqlite-shm")]
    for program in SELECT, READ_ONLY, BACK_UP:
        assert beside(site, program) == len(site.json("events")), "the last commit is seen from outside"
        assert [(p, p.stat().st_ino) for p, _ in files] == files, "a reader that ends leaves the log to the daemon"
    site.ctl("withdraw", "org/m", "--legal", "--reason", "court order 7")
    head = site.json("audit", "head")["head"]
    assert beside(site, SELECT) == len(site.json("events"))
    site.kill()
    site.start()
    assert status_of(site.url + "/org/m/resolve/main/config.json") == 451
    assert site.json("audit", "verify", "--head", head)["intact"]


def test_a_catalog_that_was_removed_is_not_written_to(site):
    events = len(site.json("events"))
    (site.data / "catalog.sqlite-wal").unlink()
    assert status_of(site.url + "/-/ready") == 503
    assert "catalog.sqlite-wal was removed while registryd had it open" in site.ctl("withdraw", "org/m", "--reason", "leaked", code=1).stderr
    assert status_of(site.url + "/org/m/resolve/main/config.json") == 200, "what is known is served"
    assert site.said().count("catalog.file_gone") == 1
    site.stop()
    site.start()
    assert len(site.json("events")) == events and status_of(site.url + "/-/ready") == 200
    copy = sqlite3.connect(site.data / "catalog.sqlite")
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
