"""What keys of a configuration decide about the shapes of a checkpoint that is not run, and what they can't be."""
import json

import pytest

from tests.system.test_smoke_kinds import KINDS, build, some_matrix, with_one, without
from tests.system.test_smoke_runner import read_tensors, smoke, write_tensors


def rejected(where):
    done, report = smoke(where)
    assert done.returncode in (5, 6), report
    return [f["message"] for f in report["findings"] if f["severity"] == "reject"]


# ---- the time of a diffusion model ----------------------------------------------------------------------------------------

def timed(where, config, width, taken, features, condition=None):
    """A UNet whose time comes in so: its first block has 8 channels."""
    build(where, "unet", **config)
    tensors = without(read_tensors(where / "diffusion_pytorch_model.safetensors"), "time_embedding")
    shapes = {"time_embedding.linear_1.weight": (width, taken), "time_embedding.linear_1.bias": (width,), "time_embedding.linear_2.weight": (width, width),
              "time_embedding.linear_2.bias": (width,)}
    if features:
        shapes["time_proj.weight"] = features,
    if condition:
        shapes["time_embedding.cond_proj.weight"] = taken, condition
    for name, shape in shapes.items():
        tensors = with_one(tensors, name, *shape)
    write_tensors(where / "diffusion_pytorch_model.safetensors", tensors)
    return rejected(where)


@pytest.mark.parametrize("config, right", [
    ({}, (32, 8, None)), ({"time_embedding_dim": 48}, (48, 8, None)), ({"time_embedding_type": "fourier"}, (16, 16, 8)),
    ({"time_embedding_type": "fourier", "time_embedding_dim": 48}, (48, 48, 24)),     # as stabilityai/sd-x2-latent-upscaler
    ({"time_cond_proj_dim": 12}, (32, 8, None, 12)), ({"time_embedding_type": "fourier", "time_cond_proj_dim": 12}, (16, 16, 8, 12))])
def test_time_of_a_unet(tmp_path, config, right):
    assert not timed(tmp_path / "m", config, *right)
    assert any("time_" in m for m in timed(tmp_path / "width", config, right[0] + 2, *right[1:]))
    assert any("time_" in m for m in timed(tmp_path / "taken", config, right[0], right[1] + 2, *right[2:]))
    if len(right) > 3:
        assert any("cond_proj.weight" in m for m in timed(tmp_path / "condition", config, *right[:3], right[3] + 1))
    if right[2]:
        assert any("time_proj.weight is missing" in m for m in timed(tmp_path / "features", config, *right[:2], None))


def test_channels_that_come_out_as_they_go_in(tmp_path):
    """SD3's, where nothing else is said."""
    assert not rejected(build(tmp_path / "m", "sd3", out_channels=None))
