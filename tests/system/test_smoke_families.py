"""Every tensor of every family is demanded, as tests/golden/*.json has them from transformers."""
import array
import json
import math
import random

import pytest

from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import smoke, write_tensors

GOLDENS = sorted(p.stem for p in (ROOT / "tests/golden").glob("*.json"))
SIGHT = ("vision_tower", "vision_model", "model.vision_tower", "visual", "model.visual", "multi_modal_projector", "model.multi_modal_projector")


def build(where, name, tensors=None, **config):
    """A checkpoint of this golden's tensors, with random numbers."""
    golden, rnd = json.loads((ROOT / f"tests/golden/{name}.json").read_text()), random.Random(name)
    where.mkdir()
    (where / "config.json").write_text(json.dumps({**golden["config"], **config}))
    shapes = {t: s[0] for t, s in golden["tensors"].items()} | (tensors or {})
    made = {t: ("F32", shape, array.array("f", (rnd.gauss(0, 0.02) for _ in range(math.prod(shape)))).tobytes()) for t, shape in shapes.items() if shape}
    write_tensors(where / "model.safetensors", made)
    return made


def verdict(where):
    report = smoke("--no-run", where)[1]
    return report["verdict"], {f["rule"] for f in report["findings"] if f["severity"] == "reject"}


def of_layer(name, tensors):
    """The tensors of a layer in the middle and those of no layer, without those of the tied head and what is packed."""
    numbered = {t: [int(p) for p in t.split(".") if p.isdigit()] for t in tensors}
    return [t for t in tensors if not t.startswith(SIGHT) and (not numbered[t] or numbered[t][0] == 2) and len(numbered[t]) < 2]


@pytest.mark.parametrize("name", [g for g in GOLDENS if "fp8" not in g])
def test_any_tensor_lost(tmp_path, name):
    made = build(tmp_path / "m", name)
    whole = verdict(tmp_path / "m")
    assert "plan.missing" not in whole[1], whole
    for tensor in of_layer(name, made):
        write_tensors(tmp_path / "m/model.safetensors", {t: v for t, v in made.items() if t != tensor})
        assert "plan.missing" in verdict(tmp_path / "m")[1] or tensor.endswith(("lm_head.weight", "embed_tokens.weight", "wte.weight")), tensor
