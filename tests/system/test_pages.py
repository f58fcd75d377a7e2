"""Web pages: what they show, and that nothing a model brings along can act on them."""
import re
from html.parser import HTMLParser

import pytest

from tests.system.seeded import Seeded

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Seeded(tmp_path_factory.mktemp("pages")) as r:
        r.seed("org/small", {"README.md": f"---\nlicense: mit\n---\n# {EVIL}\n".encode(), "model.safetensors": b"x" * 1000, "a&b <c>'\".txt": b"odd"})
        r.seed("org/large", {"model.safetensors": b"y" * 500000, "m.gguf": b"z"}, license="apache-2.0", downloads=9)
        r.seed("org/held", {"a": b"a"}, state="held")
        r.seed("org/ending", {"a": b"a"}, deprecated_at="2026-01-01", sunset_at="2099-06-30", successor="org/large")
        yield r.start()
        assert r.stop() == 0


class Checker(HTMLParser):
    VOID = {"meta", "link", "input", "br", "img"}

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links, self.text = [], set(), [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "action")]
        assert not any(k.startswith("on") or k == "style" for k, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page(site, path, status=200):
    got = site.get(path)
    assert got.status == status and got["Content-Type"] == "text/html; charset=utf-8", got.body[:300]
    assert "default-src 'none'" in got["Content-Security-Policy"] and "script" not in got["Content-Security-Policy"]
    assert got["X-Content-Type-Options"] == "nosniff"
    it = Checker()
    it.feed(got.body.decode())
    it.close()
    assert it.open == [] and not it.tags & {"script", "iframe", "object", "img", "style"}
    assert all(link.startswith("/") and not link.startswith("//") for link in it.links), it.links
    return it


def test_models(site):
    text = page(site, "/").text
    assert "org/small" in text and "org/large" in text and "org/held" not in text


@pytest.mark.parametrize("query,shown", [
    ("q=larg", {"org/large"}), ("license=apache-2.0", {"org/large"}), ("license=Apache-2.0", {"org/large"}), ("min_size=100KB", {"org/large"}), ("max_size=2KB", {"org/small", "org/ending"}),
    ("format=gguf", {"org/large"}), ("license=apache-2.0&max_size=1KB", set()), ("q=org&sort=name", {"org/small", "org/large", "org/ending"}), ("q=org%2Fs", {"org/small"}),
])
def test_filters(site, query, shown):
    text = page(site, f"/?{query}").text
    for repo in "org/small", "org/large", "org/ending":
        assert (repo in text) == (repo in shown), (repo, query)


def test_bad_filters_say_so(site):
    assert "max_size" in page(site, "/?max_size=huge", 400).text
    assert "format" in page(site, "/?format=papyrus", 400).text


def test_hostile_text_is_shown_not_run(site):
    it = page(site, "/org/small")
    assert EVIL in it.text and "a&b <c>'\".txt" in it.text
    link = next(x for x in it.links if "%3Cc%3E" in x)
    assert site.get(link).body == b"odd"


def test_model_page(site):
    it = page(site, "/org/large")
    for words in "org/large", "apache-2.0", "500", "pass", "hf download org/large":
        assert words in it.text
    assert "Deprecated since 2026-01-01, available until 2099-06-30; use org/large" in page(site, "/org/ending").text


def test_lifecycle_page_and_calendar(site):
    def pulls():
        return int(re.search(rb'org/ending.*?<td class="n">(\d+)</td></tr>', site.get("/-/lifecycle").body, re.S)[1])

    assert "org/ending" in page(site, "/-/lifecycle").text
    before = pulls()
    site.get("/org/ending/resolve/main/a")
    assert pulls() == before + 1
    got = site.get("/-/lifecycle.ics")
    assert got["Content-Type"] == "text/calendar; charset=utf-8" and b"org/ending" in got.body


def test_missing_pages(site):
    for path in "/org/none", "/org/held", "/none":
        assert "Repository not found" in page(site, path, 404).text


def test_style(site):
    got = site.get("/-/assets/style.css")
    assert got.status == 200 and got["Content-Type"].startswith("text/css") and b"http" not in got.body
