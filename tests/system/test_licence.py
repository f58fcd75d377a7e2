"""What a model's licence is: what the card claims, what its texts say, and what it was made from; where these disagree a person decides."""
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.system.registry import Registry
from tests.system.sync_case import wait_for

GPL = Path("/usr/share/common-licenses/GPL-3").read_bytes()
APACHE = Path("/usr/share/common-licenses/Apache-2.0").read_bytes()
POLICY = "licenses: {allow: [apache-2.0, mit]}\nrequire: {smoke: none}\n"


@pytest.fixture
def reg(tmp_path, hub):
    with Registry(tmp_path / "registry", policy=POLICY, upstream=hub.url) as it:
        yield it


def add(hub, name, card, **files):
    hub.add_model(name, {"README.md": f"---\n{card}\n---\n# A model\n", "config.json": "{}", **{k.replace("__", "/"): v for k, v in files.items()}})


def outcome(reg, name, *more):
    """State, licence and conflicts after a sync."""
    reg.ctl("sync", name, *more, code=None)
    shown = reg.json("show", name)
    return shown["state"], shown["license"]["id"], shown["license"]["conflicts"]


def test_licences_along_base_models(reg, hub):
    add(hub, "org/base", "license: cc-by-nc-4.0")
    add(hub, "org/middle", "license: apache-2.0\nbase_model: org/base")
    add(hub, "org/last", "license: mit\nbase_model: [org/middle]")
    add(hub, "org/copyleft", "license: gpl-3.0")
    add(hub, "org/free", "license: mit\nbase_model: org/copyleft")
    add(hub, "org/orphan", "license: mit\nbase_model: org/nowhere")
    said = "is looser than cc-by-nc-4.0, the licence of its base model org/base"
    # Nothing of the bases is here: upstream is asked, and asked along the chain.
    reg.ctl("policy", "check", "org/last", code=5)
    assert outcome(reg, "org/last") == ("held", "mit", [f"mit {said}"])
    asked = len(hub.requests(repo="org/base"))
    assert asked <= 2
    reg.ctl("rebuild")
    assert reg.json("show", "org/last")["license"]["conflicts"] == [f"mit {said}"] and len(hub.requests(repo="org/base")) == asked
    # The middle one is here now, and its own base is not.
    assert outcome(reg, "org/middle") == ("held", "apache-2.0", [f"apache-2.0 {said}"])
    assert outcome(reg, "org/free") == ("held", "mit", ["mit drops the copyleft of gpl-3.0, the licence of its base model org/copyleft"])
    assert outcome(reg, "org/orphan") == ("published", "mit", [])


@pytest.mark.parametrize("fault", [dict(status=500), dict(close=True), dict(malformed=True), dict(html=True)])
def test_a_base_that_can_not_be_asked_about_now(reg, hub, fault):
    """Its licence may be any: held, until upstream has said what it is."""
    add(hub, "org/base", "license: cc-by-nc-4.0")
    add(hub, "org/m", "license: mit\nbase_model: org/base")
    hub.faults.add(repo="org/base", route="info", **fault)
    state, _, conflicts = outcome(reg, "org/m")
    assert state == "held" and len(conflicts) == 1 and conflicts[0].startswith("the licence of its base model org/base is not known: ")
    hub.faults.clear()
    assert outcome(reg, "org/m") == ("held", "mit", ["mit is looser than cc-by-nc-4.0, the licence of its base model org/base"])


def test_many_bases(reg, hub):
    for i in range(12):
        add(hub, f"org/b{i}", "license: " + ("cc-by-nc-4.0" if i == 11 else "mit"))
    add(hub, "org/merge", "license: mit\nbase_model: [" + ", ".join(f"org/b{i}" for i in range(12)) + "]")
    assert outcome(reg, "org/merge") == ("held", "mit", ["mit is looser than cc-by-nc-4.0, the licence of its base model org/b11"])
    for i in range(45):
        add(hub, f"org/c{i}", "license: mit")
    add(hub, "org/huge", "license: mit\nbase_model: [" + ", ".join(f"org/c{i}" for i in range(45)) + "]")
    state, _, conflicts = outcome(reg, "org/huge")
    assert state == "held" and conflicts == ["the licence of its base model org/c40 is not known: upstream was asked about many others before it"]


@pytest.mark.parametrize("is_here", [True, False])
def test_other_ways_to_name_a_base(reg, hub, is_here):
    """Whichever it is, it is known as a base of the model: in `show`, and so in bills of materials."""
    add(hub, "org/base", "license: cc-by-nc-4.0")
    if is_here:
        reg.ctl("sync", "org/base", code=None)
    ways = ["base_model: 'org/base '", "base_model: https://huggingface.co/org/base", "base_model: HTTPS://www.HuggingFace.co/org/base", "base_model: org/base@main",
            "base_model: https://huggingface.co/org/base/tree/main", "base_model: {name: org/base, relation: finetune}", "base_model: [{model: org/base}]",
            "base_model: [{name: https://huggingface.co/org/base, notes: a/b}]", "base_model: {quantized: org/base}", "base_model: {org/base: {relation: merge}}",
            "base_model: {models: [{id: org/base, revision: main}]}"]
    for i, card in enumerate(ways):
        add(hub, f"org/m{i}", f"license: mit\n{card}")
        assert outcome(reg, f"org/m{i}") == ("held", "mit", ["mit is looser than cc-by-nc-4.0, the licence of its base model org/base"]), card
        assert reg.json("show", f"org/m{i}")["base_models"] == ["org/base"], card
    add(hub, "org/elsewhere", "license: mit\nbase_model: https://example.com/org/base")
    assert outcome(reg, "org/elsewhere") == ("published", "mit", []) and reg.json("show", "org/elsewhere")["base_models"] == []


def test_a_base_that_can_not_be_read(reg, hub):
    for i, card in enumerate(["{relation: finetune}", "[org/a, {version: 2}]", "[[[[[org/a]]]]]", "*b"]):
        add(hub, f"org/m{i}", f"license: mit\nx: &b [org/a]\nbase_model: {card}")
        assert outcome(reg, f"org/m{i}")[0] == "held", card
        said = "README.md: under 'base_model' an alias stands for" if card == "*b" else "README.md: something under 'base_model' names no model"
        assert said in reg.ctl("why", f"org/m{i}").stdout and "README.md: README.md" not in reg.ctl("why", f"org/m{i}").stdout, card
    for i, card in enumerate(["{}", "[]", "", "[null]"]):
        add(hub, f"org/n{i}", f"license: mit\nbase_model: {card}")
        assert outcome(reg, f"org/n{i}")[0] == "published", card


def test_a_base_that_only_the_adapter_names(reg, hub):
    """Its configuration is read when it is here: upstream is asked then, or by the preview."""
    add(hub, "org/base", "license: cc-by-nc-4.0")
    add(hub, "legacy", "license: cc-by-nc-4.0")
    for name, base, folder in ("org/m", "org/base", ""), ("org/l", "legacy", ""), ("org/sub", "org/base", "checkpoint-500/"):
        add(hub, name, "license: mit", **{folder + "adapter_config.json": json.dumps({"base_model_name_or_path": base})})
        said = [f"mit is looser than cc-by-nc-4.0, the licence of its base model {base}"]
        reg.ctl("policy", "check", name, code=5)
        assert outcome(reg, name) == ("held", "mit", said)
        reg.ctl("rebuild")
        assert reg.json("show", name)["license"]["conflicts"] == said and reg.json("show", name)["base_models"] == [base]
    add(hub, "org/local", "license: mit", **{"adapter_config.json": json.dumps({"base_model_name_or_path": "./base"})})
    assert outcome(reg, "org/local") == ("published", "mit", [])
    hub.faults.add(repo="org/base", route="info", status=500)
    add(hub, "org/later", "license: mit", **{"adapter_config.json": json.dumps({"base_model_name_or_path": "org/base"})})
    assert "is not known" in outcome(reg, "org/later")[2][0]
    hub.faults.clear()
    assert outcome(reg, "org/later")[2] == ["mit is looser than cc-by-nc-4.0, the licence of its base model org/base"]


def test_a_base_with_several_licences_or_an_old_name(reg, hub):
    add(hub, "org/two", "license: [apache-2.0, cc-by-nc-4.0]")
    add(hub, "gpt", "license: cc-by-nc-4.0")
    add(hub, "org/m", "license: apache-2.0\nbase_model: org/two")
    add(hub, "org/l", "license: apache-2.0\nbase_model: gpt")
    add(hub, "org/none", "license: apache-2.0\nbase_model: what we had")
    add(hub, "org/self", "license: cc-by-nd-4.0\nbase_model: org/self")
    for name, base in ("org/m", "org/two"), ("org/l", "gpt"):
        said = [f"apache-2.0 is looser than cc-by-nc-4.0, the licence of its base model {base}"]
        reg.ctl("policy", "check", name, code=5)
        assert outcome(reg, name) == ("held", "apache-2.0", said)
        reg.ctl("sync", base, code=None)    # here it says the same
        jobs_done(reg, "derive")
        assert reg.json("show", name)["license"]["conflicts"] == said
    assert outcome(reg, "org/none") == ("published", "apache-2.0", [])
    assert outcome(reg, "org/self")[2] == outcome(reg, "org/self")[2] == []     # made from itself, which is here the second time


@pytest.mark.parametrize("card, licence", [
    ("license: MIT（仅限非商业用途）", "other:mit-"), ('license: "MIT' + " " * 230 + 'non-commercial use only"', "other:mit-"),
    ("x: &n cc-by-nc-4.0\nlicense: [mit, *n]", "cc-by-nc-4.0"), ("x: &l [cc-by-nc-4.0]\nlicense: [mit, *l]", "mit")])
def test_a_restriction_that_is_easily_missed(reg, hub, card, licence):
    add(hub, "org/m", card)
    state, said, _ = outcome(reg, "org/m")
    assert state == "held" and said.startswith(licence)


@pytest.mark.parametrize("licence,texts", [
    ("license: cc-by-nc-4.0", {"LICENSE": APACHE}),
    ("license: other\nlicense_name: my-research-licence\nlicense_link: TERMS", {"LICENSE": APACHE, "TERMS": "Research only. No commercial use.\n"}),
    ("license: mit", {"LICENSE": "It may be used for research only.\n"}),
    ("license: apache-2.0\nbase_model: org/base", {"LICENSE": APACHE}),
])
@pytest.mark.parametrize("size", [0, 5 << 20])
def test_a_card_that_is_left_out_counts(reg, hub, licence, texts, size):
    """Globs say what is served, and not what is known; nor does it matter that the card is too long to be read, for upstream has read it."""
    add(hub, "org/base", "license: cc-by-nc-4.0")
    hub.add_model("org/m", {"README.md": f"---\n{licence}\n---\n# A model\n" + " " * size, "config.json": "{}", **texts})
    some = ("--include", "*.json")
    plan = reg.json("sync", "org/m", *some, "--dry-run")
    state, said, conflicts = outcome(reg, "org/m", *some)
    assert (plan["gate"]["outcome"], state) == ("hold", "held") and plan["license"] == said and conflicts
    assert all(c in str(plan["gate"]) for c in conflicts)


def test_a_card_that_is_left_out_is_not_served(reg, hub):
    add(hub, "org/m", "license: mit", notes__txt="x")
    plan = reg.json("sync", "org/m", "--dry-run", "--include", "*.json")
    reg.ctl("sync", "org/m", "--include", "*.json")
    shown = reg.json("show", "org/m")
    assert (shown["license"]["id"], shown["license"]["source"]) == ("mit", "card") and [f["path"] for f in shown["files"]] == ["config.json"]
    assert plan["size_bytes"] == 2 and plan["fetch_bytes"] == 2 + len(b"---\nlicense: mit\n---\n# A model\n")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{reg.url}/org/m/resolve/main/README.md")
    page = urllib.request.urlopen(f"{reg.url}/org/m").read()
    assert b"config.json" in page and b"# A model" not in page
    reg.ctl("sync", "org/m")
    assert b"# A model" in urllib.request.urlopen(f"{reg.url}/org/m").read()


def test_every_licence_tag_counts(reg, hub):
    hub.add_model("org/m", {"README.md": "# A model", "config.json": "{}"}, extra={"tags": ["license:mit", "license:cc-by-nc-4.0"]})
    assert outcome(reg, "org/m") == ("held", "cc-by-nc-4.0", ["upstream's tags name several licences: mit and cc-by-nc-4.0"])
    reg.ctl("policy", "check", "org/m", code=5)


def test_a_stricter_policy_takes_what_conflicts_off_too(reg, hub):
    """What is published although its licence conflicts by now is no less denied than what does not."""
    add(hub, "org/m", "license: mit\nbase_model: org/base")
    add(hub, "org/clean", "license: mit")
    add(hub, "org/other", "license: apache-2.0")
    assert outcome(reg, "org/m")[0] == outcome(reg, "org/clean")[0] == outcome(reg, "org/other")[0] == "published"
    add(hub, "org/base", "license: cc-by-nc-4.0")
    reg.ctl("sync", "org/base", code=None)
    jobs_done(reg, "derive")
    assert reg.json("show", "org/m")["state"] == "published" and lifecycle(reg, "org/m")[0] == "deprecated"
    stricter = POLICY.replace("licenses: {allow: [apache-2.0, mit]}", "licenses: {allow: [apache-2.0], deny: [mit]}")

    def put(text):
        (reg.where / "policy.yaml").write_text(text)
        reg.ctl("policy", "reload")
        jobs_done(reg, "policy")
        return [reg.json("show", f"org/{n}")["state"] for n in ("m", "clean", "other")]

    assert put(stricter) == ["rejected", "rejected", "published"]
    # It comes back with what is in conflict by then, which clients are told of.
    hub.commit("org/base", {"README.md": "---\nlicense: gpl-3.0\n---\n# A model\n"})
    reg.ctl("sync", "org/base", code=None)
    jobs_done(reg, "derive")
    assert put(POLICY) == ["published", "published", "published"]
    now = f"licence conflict: {reg.json('show', 'org/m')['license']['conflicts'][0]}"
    assert "gpl-3.0" in now and lifecycle(reg, "org/m") == ("deprecated", now)
    assert [e["data"]["reason"] for e in reg.json("events") if e["kind"] == "lifecycle.deprecated"][-1] == now
    # A person takes the mark back, and it is published as before.
    reg.ctl("undeprecate", "org/m")
    assert put(stricter) == ["rejected", "rejected", "published"]
    assert put(POLICY) == ["published", "published", "published"] and lifecycle(reg, "org/m") == ("active", None)


def test_a_plan_reads_the_texts(reg, hub):
    add(hub, "org/m", "license: mit", LICENSE=GPL)
    reg.ctl("policy", "check", "org/m", code=5)
    plan = reg.json("sync", "org/m", "--dry-run", code=None)
    assert plan["license"] == "gpl-3.0" and plan["gate"]["outcome"] == "hold"


def test_texts_say_what_a_card_does_not(reg, hub):
    add(hub, "org/fine", "license: apache-2.0", LICENSE=APACHE)
    add(hub, "org/below", "license: mit", docs__LICENSE=GPL)
    add(hub, "org/long", "license: mit", LICENSE=GPL + b"\n" * (5 << 20))
    add(hub, "org/many", "license: mit", **{f"LICENSE-{i:03}": "a dummy" for i in range(230)}, **{"LICENSE-zz": GPL})
    add(hub, "org/much", "license: mit", **{f"LICENSE-{i}": b"\n" * (4 << 20) for i in range(5)}, **{"LICENSE-9": GPL})
    add(hub, "org/cut", "license: mit", **{f"LICENSE-{i:03}": b"MIT License" for i in range(200)}, third_party__LICENSE=GPL, weights__LICENSE=GPL)
    add(hub, "org/rider", "license: apache-2.0", LICENSE=APACHE + b'\n"Commons Clause" License Condition v1.0\n')
    add(hub, "org/behind", "license: apache-2.0", LICENSE=APACHE + b"\n" * (1 << 20) + GPL)
    add(hub, "org/llama", "license: mit", **{"LICENSE-CodeLlama.txt": GPL})
    add(hub, "org/paper", "license: mit", **{"LICENSE.pdf": b"%PDF-1.7\n..."})
    add(hub, "org/unknown", "license: mit", LICENSE=b"You may look at this on Mondays, and nobody else may. " * 20)
    add(hub, "org/hidden", "license: apache-2.0", LICENSE=b"You may look at this on Mondays, and nobody else may. " * 20, src__LICENSE=APACHE)
    add(hub, "org/weights", "language: zh", LICENSE=APACHE, MODEL_LICENSE=b"You may look at this on Mondays, and nobody else may. " * 20)
    add(hub, "org/parts", "license: other", **{"LICENSE.md": b"You may look at this on Mondays, and nobody else may. " * 20, "NOTICE": APACHE})
    add(hub, "org/code", "license: mit", **{"LICENSE-CODE": GPL, "third_party__x__LICENSE": GPL})
    assert outcome(reg, "org/fine") == ("published", "apache-2.0", [])
    assert outcome(reg, "org/below") == ("held", "gpl-3.0", ["card says mit but docs/LICENSE is the text of gpl-3.0"])
    assert outcome(reg, "org/long") == ("held", "mit", ["LICENSE is too long for a licence, so nobody has read it"])
    assert outcome(reg, "org/many") == ("held", "mit", ["LICENSE-200 and what follows were not read: more than 200 licence texts",
                                                          "LICENSE-000 is not the text of mit, nor any other that is known here"])
    assert outcome(reg, "org/much") == ("held", "mit", ["LICENSE-4 and what follows were not read: more than 16 MiB of licence texts"])
    assert outcome(reg, "org/cut") == ("held", "mit", ["third_party/LICENSE and what follows were not read: more than 200 licence texts"])
    assert outcome(reg, "org/rider")[:2] == ("held", "other:commons-clause")
    assert outcome(reg, "org/behind") == ("held", "gpl-3.0", ["card says apache-2.0 but LICENSE is the text of gpl-3.0"])
    assert outcome(reg, "org/llama") == ("held", "gpl-3.0", ["card says mit but LICENSE-CodeLlama.txt is the text of gpl-3.0"])
    assert outcome(reg, "org/paper") == ("held", "mit", ["LICENSE.pdf is not a text, so nobody has read it"])
    assert outcome(reg, "org/unknown") == ("held", "mit", ["LICENSE is not the text of mit, nor any other that is known here"])
    assert outcome(reg, "org/hidden") == ("held", "apache-2.0", ["LICENSE is not the text of apache-2.0, nor any other that is known here"])
    assert outcome(reg, "org/weights") == ("held", "apache-2.0", ["MODEL_LICENSE is not the text of apache-2.0, nor any other that is known here"])
    assert outcome(reg, "org/parts") == ("held", "other", [])
    assert outcome(reg, "org/code") == ("published", "mit", [])


def test_texts_in_folders_and_as_data(reg, hub):
    add(hub, "org/reuse", "license: mit", **{"LICENSES/GPL-3.0-only.txt": GPL})
    add(hub, "org/same", "license: apache-2.0", **{"LICENSES/Apache-2.0.txt": APACHE, "weights.bin.license": "SPDX-License-Identifier: Apache-2.0\n"})
    add(hub, "org/beside", "license: mit", **{"config.json.license": "SPDX-License-Identifier: CC-BY-NC-4.0\n"})
    add(hub, "org/data", "license: mit", **{"LICENSE.json": json.dumps({"license": "CC-BY-NC-4.0"})})
    add(hub, "org/copying", "license: mit", COPYING=GPL)
    add(hub, "org/rtf", "license: mit", **{"LICENSE.rtf": b"{\\rtf1 " + GPL.replace(b"\n", b"\\par\n") + b"}"})
    add(hub, "org/parts", "license: mit", **{"third_party/licenses/x.txt": GPL})
    assert outcome(reg, "org/reuse") == ("held", "gpl-3.0", ["card says mit but LICENSES/GPL-3.0-only.txt is the text of gpl-3.0"])
    assert outcome(reg, "org/same") == ("published", "apache-2.0", [])
    assert outcome(reg, "org/beside") == ("held", "cc-by-nc-4.0", ["card says mit but config.json.license is the text of cc-by-nc-4.0"])
    assert outcome(reg, "org/data") == ("held", "cc-by-nc-4.0", ["card says mit but LICENSE.json is the text of cc-by-nc-4.0"])
    assert outcome(reg, "org/rtf") == ("held", "mit", ["LICENSE.rtf is not a text, so nobody has read it"])
    assert outcome(reg, "org/copying") == ("held", "gpl-3.0", ["card says mit but COPYING is the text of gpl-3.0"])
    assert outcome(reg, "org/parts") == ("published", "mit", [])
    add(hub, "org/endless", "license: mit", **{"LICENSE.json": json.dumps({"license": ["z"] * 800_000})})
    assert outcome(reg, "org/endless") == ("held", "mit", ["LICENSE.json says more than is read of data, so nobody has read it"])


@pytest.mark.parametrize("link", ["docs/terms.md", "[docs/terms.md]", "https://huggingface.co/org/m/blob/main/docs/terms.md"])
def test_a_text_that_the_card_links_to(reg, hub, link):
    """Whatever it is called, and also where globs leave it out; by the preview, too."""
    add(hub, "org/m", f"license: mit\nlicense_link: {link}", docs__terms=b"x", **{"docs/terms.md": GPL})
    said = ["card says mit but docs/terms.md is the text of gpl-3.0"]
    assert reg.json("sync", "org/m", "--dry-run", code=None)["license"] == "gpl-3.0"
    assert outcome(reg, "org/m", "--exclude", "docs/*") == ("held", "gpl-3.0", said)
    reg.ctl("rebuild")
    assert reg.json("show", "org/m")["license"]["conflicts"] == said
    add(hub, "org/mine", "license: apache-2.0\nlicense_link: terms.txt", **{"terms.txt": b"You may look at this on Mondays, and nobody else may. " * 20})
    assert outcome(reg, "org/mine") == ("held", "apache-2.0", ["terms.txt is not the text of apache-2.0, nor any other that is known here"])


def test_terms_that_nobody_here_has_read(reg, hub):
    (reg.where / "policy.yaml").write_text(POLICY.replace("mit]", "mit, 'other:ours']"))
    reg.ctl("policy", "reload")
    ours = "license: other\nlicense_name: ours\nlicense_link: "
    for name, link, says in ("org/away", "https://example.com/terms", "at https://example.com/terms"), ("org/gone", "terms.md", "in terms.md"):
        add(hub, name, ours + link)
        assert outcome(reg, name) == ("published", "other:ours", [])
        said = f"the terms of its licence are said to be {says}, which is not in the repository, so nobody here has read them"
        assert said in reg.ctl("show", name).stdout and said in reg.ctl("why", name).stdout
    add(hub, "org/here", ours + "terms.md", **{"terms.md": b"Ours."})
    add(hub, "org/known", "license: apache-2.0\nlicense_link: https://www.apache.org/licenses/LICENSE-2.0")
    for name in "org/here", "org/known":
        assert outcome(reg, name)[0] == "published" and "nobody here has read" not in reg.ctl("show", name).stdout


def test_terms_beside_a_known_text(reg, hub):
    for name, text, says in (("weights", APACHE + b"\nThe model weights are licensed under CC BY-NC 4.0.\n", "card says apache-2.0 but LICENSE speaks of cc-by-nc-4.0"),
                             ("name", APACHE + b"\nThe model weights are licensed under the GLM-130B License.\n", "card says apache-2.0 but LICENSE speaks of other:glm-130b"),
                             ("script", APACHE + "\n本模型权重由实验室管理\n".encode(), "card says apache-2.0 but LICENSE speaks of other:words-in-another-script"),
                             ("own", b"You may use the model in your own research group, and nobody else may.\n" * 30 + b"Third party notice:\n" + APACHE,
                              "LICENSE says more than the text of apache-2.0, which nobody here knows")):
        add(hub, f"org/{name}", "license: apache-2.0", LICENSE=text)
        assert outcome(reg, f"org/{name}") == ("held", "apache-2.0", [says])
    add(hub, "org/limits", "license: apache-2.0", LICENSE=APACHE + "\n本模型权重仅供学术研究使用\n".encode())    # "for academic research only"
    assert outcome(reg, "org/limits")[:2] == ("held", "other:with-restrictions")
    add(hub, "org/nocard", "language: en", LICENSE=b"Look at it on Mondays, in our reading room, without taking notes of it.\n" * 30 + APACHE)
    assert outcome(reg, "org/nocard")[0] == "held"
    add(hub, "org/agreement", "language: en", LICENSE_AGREEMENT=b"Look at it on Mondays, in our reading room, without taking notes of it.\n" * 3 + APACHE)
    assert outcome(reg, "org/agreement") == ("held", "apache-2.0", ["LICENSE_AGREEMENT says more than the text of apache-2.0, which nobody here knows"])


def test_a_text_is_read_that_was_left_out(reg, hub):
    add(hub, "org/m", "license: mit", LICENSE=GPL, other__txt="x")
    add(hub, "org/ok", "license: apache-2.0", LICENSE=APACHE, other__txt="x")
    assert outcome(reg, "org/m", "--exclude", "LICENSE") == ("held", "gpl-3.0", ["card says mit but LICENSE is the text of gpl-3.0"])
    assert outcome(reg, "org/ok", "--include", "*.json", "--include", "*.md") == ("published", "apache-2.0", [])
    shown = reg.json("show", "org/ok")
    assert {f["path"] for f in shown["files"]} == {"README.md", "config.json"} and {f["path"] for f in shown["skipped"]} >= {"LICENSE", "other/txt"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{reg.url}/org/ok/resolve/main/LICENSE")
    before = len(hub.requests())
    reg.ctl("sync", "org/ok", "--include", "*.json", "--include", "*.md")
    assert len(hub.requests()) - before <= 2


def test_a_conflict_that_a_person_accepts_stays_visible(reg, hub):
    add(hub, "org/m", "license: mit", LICENSE=GPL)
    assert outcome(reg, "org/m")[0] == "held"
    reg.ctl("publish", "org/m", "--reason", "counsel agreed")
    assert [m["repo"] for m in reg.json("ls", "--license", "gpl-3.0")] == ["org/m"]
    properties = {p["name"]: p["value"] for p in reg.json("sbom", "org/m")["metadata"]["component"]["properties"]}
    assert properties["registryd:license:conflict"] == "card says mit but LICENSE is the text of gpl-3.0"
    assert properties["registryd:license:source"] == "text"


def jobs_done(reg, kind):
    """Waits until there was work of this kind and none is left."""
    return wait_for(lambda: (jobs := [j for j in reg.json("jobs") if j["kind"] == kind]) and all(j["state"] == "done" for j in jobs) and jobs)


def lifecycle(reg, name):
    it = reg.json("show", name)["lifecycle"]
    return it["state"], it["reason"]


def test_a_base_that_comes_or_changes_later(reg, hub):
    add(hub, "org/first", "license: mit\nbase_model: org/Base")
    add(hub, "org/second", "license: mit\nbase_model: org/first")
    add(hub, "org/accepted", "license: mit\nbase_model: org/base")
    assert outcome(reg, "org/first") == outcome(reg, "org/second") == outcome(reg, "org/accepted") == ("published", "mit", [])
    reg.ctl("publish", "org/accepted", "--reason", "counsel has looked at all of it")
    # The base is here now, and stricter: what is published goes on, with a warning for everybody who pulls it.
    add(hub, "org/base", "license: cc-by-nc-4.0")
    reg.ctl("sync", "org/base", code=None)
    jobs_done(reg, "derive")
    said = "mit is looser than cc-by-nc-4.0, the licence of its base model org/base"
    for name in "org/first", "org/second":
        shown = reg.json("show", name)
        assert shown["state"] == "published" and [c.lower() for c in shown["license"]["conflicts"]] == [said]
        assert lifecycle(reg, name)[0] == "deprecated" and lifecycle(reg, name)[1].lower() == f"licence conflict: {said}"
        answer = urllib.request.urlopen(f"{reg.url}/{name}/resolve/main/README.md")
        assert answer.headers["X-HF-Warning"] == f"deprecated; {name} is deprecated"
    shown = reg.json("show", "org/accepted")
    assert shown["license"]["conflicts"] == [said] and shown["lifecycle"]["state"] == "active"
    assert [e["repo"] for e in reg.json("events") if e["kind"] == "lifecycle.deprecated"] == ["org/first", "org/second"]
    # And is not, later.
    hub.commit("org/base", {"README.md": "---\nlicense: apache-2.0\n---\n# A model\n"})
    assert outcome(reg, "org/base")[0] == "published"
    wait_for(lambda: lifecycle(reg, "org/second")[0] == "active")
    assert lifecycle(reg, "org/first") == ("active", None) and reg.json("show", "org/first")["license"]["conflicts"] == []
    assert len(jobs_done(reg, "derive")) == 2


def test_which_commits_of_a_base_count(reg, hub):
    """What its main is, here and upstream, whichever other commit was synced last; and the same after a rebuild."""
    def card(license):
        return {"README.md": f"---\nlicense: {license}\n---\n# A model\n", "config.json": "{}"}

    def child(name, base):
        add(hub, name, f"license: mit\nbase_model: {base}")
        return outcome(reg, name)[2]

    def stays(name, jobs, *states):
        for sync in ("org/base@" + free, "org/base", "org/free@" + strict, "org/free"):
            reg.ctl("sync", sync, code=None)
        reg.ctl("rebuild")
        assert len(jobs_done(reg, "derive")) == jobs and [lifecycle(reg, n)[0] for n in names] == list(states)

    free, strict = hub.add_model("org/base", card("mit")), hub.add_model("org/free", card("cc-by-nc-4.0"))
    names = ["org/marked", "org/clean"]
    assert child("org/marked", "org/base") == []
    hub.commit("org/base", card("cc-by-nc-4.0"))
    hub.commit("org/free", card("mit"))
    assert child("org/clean", "org/free") == []
    reg.ctl("sync", "org/base", code=5)
    reg.ctl("sync", "org/free")
    stays("org/marked", 2, "deprecated", "active")
    assert child("org/late", "org/base") == ["mit is looser than cc-by-nc-4.0, the licence of its base model org/base"] and child("org/other", "org/free") == []
    # Upstream's main is what it was, and is served from then on.
    hub.repos["org/base"].point("main", free)
    assert outcome(reg, "org/base")[0] == "published"
    assert len(jobs_done(reg, "derive")) == 3 and lifecycle(reg, "org/marked")[0] == "active"
    # Of one whose main is not here, the strictest.
    old, last = hub.add_model("org/third", card("cc-by-nc-4.0")), hub.commit("org/third", card("mit"))
    for commit in old, last, old, last:
        reg.ctl("sync", f"org/third@{commit}", code=None)
    assert len(child("org/of-third", "org/third")) == 1


def test_what_of_a_base_is_served_counts_until_a_person_publishes_another(reg, hub):
    add(hub, "org/base", "license: cc-by-nc-4.0")
    reg.ctl("sync", "org/base", code=5)
    reg.ctl("publish", "org/base", "--reason", "bought")
    hub.commit("org/base", {"README.md": "---\nlicense: bsd-3-clause\n---\n# A model\n"})
    add(hub, "org/m", "license: mit\nbase_model: org/base")
    assert outcome(reg, "org/base")[:2] == ("held", "bsd-3-clause")
    assert outcome(reg, "org/m") == ("held", "mit", ["mit is looser than cc-by-nc-4.0, the licence of its base model org/base"])
    reg.ctl("publish", "org/base", "--reason", "looked at")
    assert len(jobs_done(reg, "derive")) == 1 and reg.json("show", "org/m")["license"]["conflicts"] == []


def test_a_base_that_is_here_by_both_of_its_names(reg, hub):
    """Upstream has renamed it, and both are here: what names either is held to both."""
    add(hub, "org/base", "license: mit")
    reg.ctl("sync", "org/base")
    add(hub, "org/early", "license: mit\nbase_model: org/base")
    assert outcome(reg, "org/early") == ("published", "mit", [])
    hub.rename("org/base", "org/renamed")
    hub.commit("org/renamed", {"README.md": "---\nlicense: cc-by-nc-4.0\n---\n# A model\n"})
    assert outcome(reg, "org/renamed")[0] == "held"
    said = ["mit is looser than cc-by-nc-4.0, the licence of its base model org/renamed"]
    jobs_done(reg, "derive")
    assert reg.json("show", "org/early")["license"]["conflicts"] == said and lifecycle(reg, "org/early")[0] == "deprecated"
    add(hub, "org/late", "license: mit\nbase_model: org/base")
    reg.ctl("policy", "check", "org/late", code=5)
    assert outcome(reg, "org/late") == ("held", "mit", said)
    assert reg.json("show", "org/base")["license"]["id"] == "mit"
    assert [(e["repo"], e["data"]) for e in reg.json("events") if e["kind"] == "upstream.renamed"] == [("org/renamed", {"also": "org/base"})]


def test_a_lost_text_hides_no_licence(reg, hub):
    """What is known of what is lost still counts, before and after somebody has seen the loss; and of the others all does."""
    names = ["org/a", "org/b"]
    for name in names:
        add(hub, name, "license: apache-2.0\nbase_model: org/base", LICENSE=APACHE + name.encode())
        assert outcome(reg, name)[0] == "published"
    hub.faults.add(repo="org/a", status=500)    # it stays lost
    reg.blob(next(f["sha256"] for f in reg.json("show", "org/a")["files"] if f["path"] == "LICENSE")).unlink()
    add(hub, "org/base", "license: cc-by-nc-4.0")
    reg.ctl("sync", "org/base", code=5)
    jobs_done(reg, "derive")
    assert [lifecycle(reg, name)[0] for name in names] == ["deprecated"] * 2
    lost, = reg.json("show", "org/a")["lost"]
    assert lost["path"] == "LICENSE"
    hub.commit("org/base", {"README.md": "---\nlicense: apache-2.0\n---\n# A model\n"})
    reg.ctl("sync", "org/base")
    assert len(jobs_done(reg, "derive")) == 2 and [lifecycle(reg, name)[0] for name in names] == ["active"] * 2
    with reg.stopped() as catalog:      # nothing at all is left of it
        catalog.execute("DELETE FROM document WHERE name = 'LICENSE' AND revision_id = (SELECT r.id FROM revision AS r JOIN model AS m ON m.id = r.model_id WHERE m.name = 'org/a')")
    reg.ctl("rebuild")
    assert reg.json("show", "org/a")["license"]["conflicts"] == ["LICENSE is not here, so nobody has read it"]
    assert [lifecycle(reg, name)[0] for name in names] == ["deprecated", "active"]


def test_what_fails_for_one_model_is_done_for_the_others_and_again_later(reg, hub):
    names = ["org/a", "org/b", "org/c"]
    for name in names:
        add(hub, name, "license: mit\nbase_model: org/base")
        assert outcome(reg, name)[0] == "published"
    with reg.stopped() as catalog:
        catalog.execute("CREATE TRIGGER fault BEFORE UPDATE OF license_id ON revision WHEN NEW.model_id = (SELECT id FROM model WHERE name = 'org/a') "
                        "BEGIN SELECT RAISE(ABORT, 'a fault'); END")
    add(hub, "org/base", "license: cc-by-nc-4.0")
    reg.ctl("sync", "org/base", code=5)
    job, *_ = wait_for(lambda: [j for j in reg.json("jobs") if j["kind"] == "derive" and j["state"] == "failed"])      # the clock has just begun, and may have tried again
    assert job["error"]["message"].startswith("derive org/a@") and "a fault" in job["error"]["message"]
    assert [lifecycle(reg, name)[0] for name in names] == ["active", "deprecated", "deprecated"]
    assert "derive org/a@" in reg.ctl("rebuild", code=1).stderr
    with reg.stopped() as catalog:
        catalog.execute("DROP TRIGGER fault")
    wait_for(lambda: lifecycle(reg, "org/a")[0] == "deprecated")
