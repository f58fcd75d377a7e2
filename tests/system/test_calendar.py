"""The calendar of sunsets before a parser that others wrote; and that withdrawal shows where people look."""
import datetime
import json
import subprocess
import urllib.request

import pytest

from tests.system.conftest import oracle_env

READ = """
import icalendar, json, sys
events = icalendar.Calendar.from_ical(sys.stdin.buffer.read()).walk("VEVENT")
print(json.dumps([[str(e["summary"]), e["dtstart"].dt.isoformat(), str(e.get("description", "")), str(e["uid"])] for e in events]))
"""


@pytest.fixture
def two(registry, hub, models):
    for name in "org/old", "org/new":
        hub.add_model(name, models / "tiny-story")
        registry.ctl("sync", name)
    return registry


def test_a_calendar_parser_reads_it(two):
    end = (datetime.date.today() + datetime.timedelta(days=200)).isoformat()
    reason = "superseded; ask Zoë, or read \\docs, line " + "x" * 120
    two.ctl("deprecate", "org/old", "--sunset", end, "--successor", "org/new", "--reason", reason)
    with urllib.request.urlopen(two.url + "/-/lifecycle.ics") as answer:
        assert answer.headers["Content-Type"].startswith("text/calendar")
        text = answer.read()
    assert all(len(line) <= 75 for line in text.split(b"\r\n"))
    done = subprocess.run([oracle_env("calendar") / "bin/python", "-c", READ], input=text, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    (summary, day, description, uid), = json.loads(done.stdout)
    assert (summary, day) == ("org/old ends", end) and uid
    assert reason in description and "org/new" in description


def test_withdrawal_shows_where_people_look(two):
    two.ctl("withdraw", "org/old", "--reason", "claim 7", "--legal")
    row, = [line for line in two.ctl("ls").stdout.splitlines() if line.startswith("org/old")]
    assert "withdrawn-legal" in row
    shown = two.ctl("show", "org/old").stdout
    assert "withdrawn-legal" in shown and "claim 7" in shown
    assert "restore" in two.ctl("publish", "org/old", "--reason", "mine", code=5).stderr
    said = two.ctl("sync", "org/old", code=5).stderr
    assert "is withdrawn-legal: it is not served" in said and "claim 7" in said
    two.ctl("restore", "org/old")
    assert "published org/old" in two.ctl("sync", "org/old").stdout
    two.ctl("publish", "org/old", "--reason", "mine")


def test_hints_of_upstream_are_shown(registry, hub, models):
    files = {str(p.relative_to(models / "tiny-story")): p.read_bytes() for p in (models / "tiny-story").rglob("*") if p.is_file()}
    files["README.md"] = b"---\nlicense: apache-2.0\nnew_version: org/next\n---\n"
    hub.add_model("org/hinted", files)
    registry.ctl("sync", "org/hinted")
    assert registry.json("show", "org/hinted")["hints"] == {"new_version": "org/next", "disabled": False, "vanished_at": None}
    assert "a newer version: org/next" in registry.ctl("show", "org/hinted").stdout
