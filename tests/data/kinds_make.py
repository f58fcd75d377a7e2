"""
Makes kinds.json: the tensors that transformers, diffusers and peft write for tiny models of each kind, with the configuration they
write beside them. By hand, where these are installed:

    python3 -m venv /tmp/v && /tmp/v/bin/pip install torch transformers diffusers peft pillow requests
    /tmp/v/bin/python tests/data/kinds_make.py > tests/data/kinds.json
"""
import json
import struct
import tempfile
from pathlib import Path

import diffusers
import peft
import transformers as t

ENCODER = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40)
TEXT = dict(ENCODER, vocab_size=99, max_position_embeddings=32)
VISION = dict(ENCODER, image_size=16, patch_size=4)
DISTIL = dict(vocab_size=99, max_position_embeddings=32, dim=24, n_layers=2, n_heads=4, hidden_dim=40)
T5 = dict(vocab_size=99, d_model=24, d_kv=6, d_ff=40, num_layers=2, num_heads=4)
SPECIAL = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)


def llama_adapter():
    base = t.LlamaForCausalLM(t.LlamaConfig(vocab_size=99, **ENCODER))
    base.name_or_path = "org/base"
    return peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], rank_pattern={"down_proj": 2},
                                                     base_model_name_or_path="org/base"))


KINDS = {
    "bert": lambda: t.BertModel(t.BertConfig(**TEXT)),
    "bert-cross-encoder": lambda: t.BertForSequenceClassification(t.BertConfig(**TEXT, num_labels=1)),
    "bert-mlm": lambda: t.BertForMaskedLM(t.BertConfig(**TEXT)),
    "xlm-roberta-reranker": lambda: t.XLMRobertaForSequenceClassification(t.XLMRobertaConfig(**TEXT, type_vocab_size=1, num_labels=1)),
    "roberta": lambda: t.RobertaModel(t.RobertaConfig(**TEXT, type_vocab_size=1)),
    "mpnet": lambda: t.MPNetModel(t.MPNetConfig(**TEXT)),
    "distilbert": lambda: t.DistilBertForSequenceClassification(t.DistilBertConfig(**DISTIL)),
    "electra": lambda: t.ElectraModel(t.ElectraConfig(**TEXT, embedding_size=16)),
    "deberta-v2": lambda: t.DebertaV2Model(t.DebertaV2Config(**TEXT, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=16, share_att_key=True,
                                                             norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0)),
    "modernbert": lambda: t.ModernBertModel(t.ModernBertConfig(**TEXT, **SPECIAL, cls_token_id=1, sep_token_id=2)),
    "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**VISION, num_labels=3)),
    "clip": lambda: t.CLIPModel(t.CLIPConfig(text_config=dict(TEXT), vision_config=dict(VISION), projection_dim=12)),
    "clip-text": lambda: t.CLIPTextModelWithProjection(t.CLIPTextConfig(**TEXT, projection_dim=12)),
    "siglip": lambda: t.SiglipModel(t.SiglipConfig(text_config=dict(TEXT), vision_config=dict(VISION))),
    "whisper": lambda: t.WhisperForConditionalGeneration(t.WhisperConfig(
        vocab_size=99, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=40,
        decoder_ffn_dim=40, num_mel_bins=8, max_source_positions=30, max_target_positions=20, **SPECIAL, decoder_start_token_id=3)),
    "t5": lambda: t.T5ForConditionalGeneration(t.T5Config(**T5)),
    "t5-encoder": lambda: t.T5EncoderModel(t.T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "unet": lambda: diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=24, norm_num_groups=4, attention_head_dim=4),
    "vae": lambda: diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4),
    "flux": lambda: diffusers.FluxTransformer2DModel(patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
                                                     joint_attention_dim=24, pooled_projection_dim=24, axes_dims_rope=[2, 2, 4]),
    "sd3": lambda: diffusers.SD3Transformer2DModel(sample_size=8, patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
                                                   joint_attention_dim=24, caption_projection_dim=16, pooled_projection_dim=24, out_channels=4),
    "lora": llama_adapter,
}


def describe(model):
    with tempfile.TemporaryDirectory() as where:
        model.save_pretrained(where)
        weights = next(p for p in sorted(Path(where).rglob("*.safetensors")))
        config = next(weights.parent.glob("*config.json"))
        data = weights.read_bytes()
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        header.pop("__metadata__", None)
        said = {k: v for k, v in json.loads(config.read_text()).items() if v is not None and not k.endswith("_version")}
        return {"file": weights.name, "config_file": config.name, "config": said, "tensors": {name: header[name]["shape"] for name in sorted(header)}}


if __name__ == "__main__":
    print("{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(describe(make()))}" for name, make in KINDS.items()) + "\n}")
