"""What is said of a model's licence elsewhere than where it is expected: in other files, by the card beside `license`, and by what it was made from."""
import pytest

from tests.system.sync_case import wait_for
from tests.system.test_licence import APACHE, add, outcome, reg  # noqa: F401


NC = b"This model may be used for non-commercial purposes only."


@pytest.mark.parametrize("path, text", [
    ("weights__LICENSE", b"Model weights: CC-BY-NC-4.0\n"), ("weights__LICENSE", b"Research use only\n"), ("LICENSE_MODEL_v1.txt", NC), ("LICENSE-NC", NC), ("NOTICE", NC),
    ("NOTICE", b"Licensed by NVIDIA Corporation under the NVIDIA Open Model License\n"), ("USE_POLICY.md", NC), ("LICENSE-CODE-AND-WEIGHTS", NC), ("Code-Llama-LICENSE.txt", NC),
    ("model__LICENSE", b"You may look at it on Mondays, in our reading room.\n" * 30 + b"Commercial use is prohibited.\n")])
def test_what_a_licence_file_elsewhere_says(reg, hub, path, text):
    add(hub, "org/m", "license: apache-2.0", LICENSE=APACHE, **{path: text})
    state, license, conflicts = outcome(reg, "org/m")
    assert state == "held" and len(conflicts) == 1 and path.replace("__", "/") in conflicts[0] and conflicts[0] in reg.ctl("why", "org/m").stdout


@pytest.mark.parametrize("path, text", [
    ("LICENSE-CODE", b"Code: CC-BY-NC-4.0\n"), ("third_party__LICENSE", NC), ("THIRD-PARTY-LICENSE", NC), ("NOTICE", b"Acme\nThis has parts of Foo (Foo License), under the MIT and BSD licenses.\n"),
    ("LICENSE_zh.md", "本许可证的中文译文, Apache 2.0\n".encode())])
def test_what_a_licence_file_says_of_parts(reg, hub, path, text):
    add(hub, "org/m", "license: apache-2.0", LICENSE=APACHE, **{path: text})
    assert outcome(reg, "org/m") == ("published", "apache-2.0", [])


def test_a_licence_by_another_name_is_the_models_own_where_it_stands_alone(reg, hub):
    add(hub, "org/m", "license: mit", **{"LICENSE.en.md": b"Look at it on Mondays, in our reading room, without taking notes.\n" * 30})
    assert outcome(reg, "org/m") == ("held", "mit", ["LICENSE.en.md is not the text of mit, nor any other that is known here"])
    add(hub, "org/ok", "license: apache-2.0", **{"LICENSE.en.md": APACHE})
    assert outcome(reg, "org/ok") == ("published", "apache-2.0", [])


@pytest.mark.parametrize("is_here", [True, False])
def test_a_base_whose_own_licence_waits_for_a_person(reg, hub, is_here):
    """What is loose of it is held; of a base of which nothing is known, and which is not here, nothing is said."""
    add(hub, "cfl/base", "license: mit", LICENSE=b"Research use only. " + NC * 20)
    add(hub, "two/base", "license: [mit, apache-2.0]")
    add(hub, "no/base", "language: en")
    add(hub, "nv/base", "license: other\nlicense_name: nvidia-open-model-license")
    bases = ["cfl/base", "two/base", "no/base", "nv/base"]
    for base in bases if is_here else []:
        assert outcome(reg, base)[0] == "held"
    for base in bases:
        add(hub, "kid/" + base.split("/")[0], f"license: mit\nbase_model: {base}")
        add(hub, "grandkid/" + base.split("/")[0], f"license: mit\nbase_model: kid/{base.split('/')[0]}")
    said = {base: outcome(reg, "kid/" + base.split("/")[0]) for base in bases}
    contested = "the licence of its base model two/base is contested: the card names several licences: mit and apache-2.0"
    assert said["two/base"] == ("held", "mit", [contested]) == outcome(reg, "grandkid/two")
    assert said["nv/base"] == ("held", "mit", ["mit drops the restrictions of other:nvidia-open-model-license, the licence of its base model nv/base"])
    if not is_here:     # its texts are not asked for
        assert said["cfl/base"] == said["no/base"] == ("published", "mit", [])
        return
    assert said["no/base"] == ("held", "mit", ["the licence of its base model no/base is not known: nothing in it says what it is"])
    assert said["cfl/base"][0] == "held" and "cfl/base is contested: " in said["cfl/base"][2][0]
    reg.ctl("publish", "two/base", "--reason", "either may be chosen")
    wait_for(lambda: reg.json("show", "kid/two")["license"]["conflicts"] == [])


@pytest.mark.parametrize("card, body, says", [
    ("license_name: cc-by-nc", "", "its license_name names cc-by-nc"), ("license_name: acme-research-only", "", "its license_name restricts what it may be used for"),
    ("license_link: https://creativecommons.org/licenses/by-nc/4.0/", "", "its license_link names cc-by-nc-4.0"),
    ("license_link: https://huggingface.co/meta-llama/Llama-3.1-8B/blob/main/LICENSE", "", "its license_link names llama3.1"),
    ("license_link: https://ai.google.dev/gemma/terms", "", "its license_link names gemma"), ("license_link: https://opensource.org/licenses/Apache-2.0", "", "its license_link names apache-2.0"),
    ("extra_gated_prompt: You agree not to use the model for commercial purposes", "", "its extra_gated_prompt restricts what it may be used for"),
    ("extra_gated_fields: {I agree to use this model for non-commercial use ONLY: checkbox}", "", "its extra_gated_fields restricts what it may be used for"),
    ("tags: [cc-by-nc-4.0]", "", "a tag in it names cc-by-nc-4.0"),
    ("language: en", "## License\nThis model is released under CC BY-NC 4.0.\n## More\n", "a section on the licence in its text names cc-by-nc-4.0"),
    ("language: en", "## License\nCommercial use is prohibited.\n", "a section on the licence in its text restricts what it may be used for"),
    ("language: en", "- **License:** cc-by-nc-4.0\n", "an entry \"License\" in its text names cc-by-nc-4.0")])
def test_what_else_the_card_says(reg, hub, card, body, says):
    hub.add_model("org/m", {"README.md": f"---\nlicense: mit\n{card}\n---\n# A model\n{body}", "config.json": "{}"})
    assert outcome(reg, "org/m") == ("held", "mit", [f"card says mit but {says}"])
    assert says in reg.ctl("why", "org/m").stdout


@pytest.mark.parametrize("key", ["licence", "licenses", "License"])
def test_other_spellings_of_license_are_claims(reg, hub, key):
    add(hub, "org/m", f"license: mit\n{key}: cc-by-nc-4.0")
    assert outcome(reg, "org/m") == ("held", "cc-by-nc-4.0", ["the card names several licences: mit and cc-by-nc-4.0"])


def test_a_card_that_says_the_same_again(reg, hub):
    body = "## License\nMIT, see LICENSE. The tokenizer is of BERT (Apache 2.0).\n## Data\nCC BY-NC 4.0, for non-commercial use only.\n"
    hub.add_model("org/m", {"README.md": "---\nlicense: mit\nlicense_link: https://opensource.org/licenses/MIT\nextra_gated_prompt: Tell us who you are\ntags: [llama3, mit]\n---\n" + body})
    assert outcome(reg, "org/m") == ("published", "mit", [])
