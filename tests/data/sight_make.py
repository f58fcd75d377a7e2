"""Writes sight.json beside it: names and shapes of tiny models of text and images, as transformers writes them (made with 5.24)."""
import json
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors import safe_open

SIGHT = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16, "patch_size": 4}
TEXT = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
        "max_position_embeddings": 128}

PATCHES = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}
SPREAD = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}


def models():
    yield "mistral3", transformers.Mistral3Config(text_config={**TEXT, "model_type": "mistral"}, image_token_index=10,
                                                  vision_config={**SIGHT, "model_type": "pixtral", "head_dim": 4})
    yield "gemma3", transformers.Gemma3Config(text_config={**TEXT, "model_type": "gemma3_text"}, mm_tokens_per_image=4,
                                              vision_config={**SIGHT, "model_type": "siglip_vision_model", "vision_use_head": False})
    yield "llama4", transformers.Llama4Config(
        text_config={**TEXT, "model_type": "llama4_text", "num_local_experts": 2, "intermediate_size_mlp": 24},
        vision_config={**SIGHT, "intermediate_size": 32, "vision_output_dim": 20, "projector_input_dim": 20, "projector_output_dim": 20})
    yield "qwen2-vl", transformers.Qwen2VLConfig(text_config={**TEXT, "rope_parameters": SPREAD}, vision_config={**PATCHES, "embed_dim": 8, "hidden_size": 16, "mlp_ratio": 2})
    yield "qwen2.5-vl", transformers.Qwen2_5_VLConfig(text_config={**TEXT, "rope_parameters": SPREAD}, vision_config={
        **PATCHES, "hidden_size": 8, "out_hidden_size": 16, "intermediate_size": 12})
    yield "qwen3-vl", transformers.Qwen3VLConfig(text_config={**TEXT, "rope_parameters": {**SPREAD, "mrope_interleaved": True}}, vision_config={
        **PATCHES, "hidden_size": 8, "out_hidden_size": 16, "intermediate_size": 12, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]})


def main():
    out = {}
    for name, config in models():
        config.dtype = "float32"
        with tempfile.TemporaryDirectory() as where:
            transformers.AutoModelForImageTextToText.from_config(config).to(torch.float32).save_pretrained(where)
            with safe_open(Path(where) / "model.safetensors", "np") as f:
                tensors = {key: f.get_slice(key).get_shape() for key in sorted(f.keys())}
            out[name] = {"config": json.loads((Path(where) / "config.json").read_text()), "tensors": tensors}
    lines = ",\n ".join(f'"{name}": {json.dumps(one, sort_keys=True)}' for name, one in out.items())
    Path(__file__).with_name("sight.json").write_text("{\n " + lines + "\n}\n")


if __name__ == "__main__":
    main()
