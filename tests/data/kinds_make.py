"""
Makes kinds.json: the tensors that transformers, diffusers and peft write for tiny models of each kind, with the configuration they
write beside them. By hand, where these are installed:

    python3 -m venv /tmp/v && /tmp/v/bin/pip install torch transformers diffusers peft pillow requests
    /tmp/v/bin/python tests/data/kinds_make.py --all

Without --all, only the kinds that kinds.json lacks are made, so that a new one needs no more than its own package. Last made by torch 2.15.0,
transformers 5.24.0, diffusers 0.42.1 and peft 0.21.2.
"""
import importlib
import json
import struct
import sys
import tempfile
from pathlib import Path

import transformers as t


class Late:
    """A package that only some kinds need."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, what):
        return getattr(importlib.import_module(self.name), what)


diffusers, peft = Late("diffusers"), Late("peft")

ENCODER = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40)
TEXT = dict(ENCODER, vocab_size=99, max_position_embeddings=32)
VISION = dict(ENCODER, image_size=16, patch_size=4)
DISTIL = dict(vocab_size=99, max_position_embeddings=32, dim=24, n_layers=2, n_heads=4, hidden_dim=40)
T5 = dict(vocab_size=99, d_model=24, d_kv=6, d_ff=40, num_layers=2, num_heads=4)
SPECIAL = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)
PAIR = dict(vocab_size=99, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=40,
            decoder_ffn_dim=48, max_position_embeddings=32, **SPECIAL, decoder_start_token_id=2)
SPEECH = dict(ENCODER, vocab_size=32, conv_dim=(8, 8, 12), conv_kernel=(10, 3, 2), conv_stride=(5, 2, 2), num_conv_pos_embeddings=16,
              num_conv_pos_embedding_groups=4, mask_time_prob=0.05)
DEEP = dict(SPEECH, feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True)
HEADS = dict(classifier_proj_size=16)
STAGES = dict(hidden_sizes=[8, 12, 16, 24], depths=[1, 2, 1, 1])
SWIN = dict(image_size=32, patch_size=4, embed_dim=8, depths=[1, 2, 1], num_heads=[1, 2, 4], window_size=2)


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
    "bart": lambda: t.BartForConditionalGeneration(t.BartConfig(**PAIR)),
    "bart-zero-shot": lambda: t.BartForSequenceClassification(t.BartConfig(**PAIR, num_labels=3)),
    "mbart": lambda: t.MBartForConditionalGeneration(t.MBartConfig(**PAIR)),
    "pegasus": lambda: t.PegasusForConditionalGeneration(t.PegasusConfig(**PAIR)),
    "marian": lambda: t.MarianMTModel(t.MarianConfig(**PAIR)),
    "marian-two-vocabularies": lambda: t.MarianMTModel(t.MarianConfig(**PAIR, decoder_vocab_size=77, share_encoder_decoder_embeddings=False,
                                                                      tie_word_embeddings=False)),
    "m2m100": lambda: t.M2M100ForConditionalGeneration(t.M2M100Config(**PAIR)),
    "blenderbot": lambda: t.BlenderbotForConditionalGeneration(t.BlenderbotConfig(**PAIR)),
    "blenderbot-small": lambda: t.BlenderbotSmallForConditionalGeneration(t.BlenderbotSmallConfig(**PAIR)),
    "wav2vec2-ctc": lambda: t.Wav2Vec2ForCTC(t.Wav2Vec2Config(**SPEECH)),
    "wav2vec2-deep": lambda: t.Wav2Vec2ForCTC(t.Wav2Vec2Config(**DEEP, adapter_attn_dim=8)),
    "wav2vec2-pretraining": lambda: t.Wav2Vec2ForPreTraining(t.Wav2Vec2Config(**SPEECH, num_codevectors_per_group=8, codevector_dim=16, proj_codevector_dim=16)),
    "wav2vec2-classifier": lambda: t.Wav2Vec2ForSequenceClassification(t.Wav2Vec2Config(**SPEECH, **HEADS, num_labels=5, use_weighted_layer_sum=True)),
    "hubert": lambda: t.HubertModel(t.HubertConfig(**SPEECH)),
    "hubert-ctc": lambda: t.HubertForCTC(t.HubertConfig(**DEEP, feat_proj_layer_norm=False)),
    "wavlm": lambda: t.WavLMModel(t.WavLMConfig(**SPEECH)),
    "wavlm-speakers": lambda: t.WavLMForXVector(t.WavLMConfig(**SPEECH, tdnn_dim=(8, 12, 16), tdnn_kernel=(5, 3, 1), tdnn_dilation=(1, 2, 1),
                                                              xvector_output_dim=16)),
    "unispeech-ctc": lambda: t.UniSpeechForCTC(t.UniSpeechConfig(**SPEECH)),
    "unispeech-pretraining": lambda: t.UniSpeechForPreTraining(t.UniSpeechConfig(**SPEECH, num_codevectors_per_group=8, codevector_dim=16, proj_codevector_dim=16)),
    "unispeech-sat": lambda: t.UniSpeechSatForSequenceClassification(t.UniSpeechSatConfig(**DEEP, **HEADS, num_labels=5)),
    "unispeech-sat-pretraining": lambda: t.UniSpeechSatForPreTraining(t.UniSpeechSatConfig(
        **SPEECH, num_codevectors_per_group=8, codevector_dim=16, proj_codevector_dim=16, num_clusters=12)),
    "spectrogram": lambda: t.ASTForAudioClassification(t.ASTConfig(**ENCODER, patch_size=4, max_length=64, num_mel_bins=16, num_labels=3)),
    "albert": lambda: t.AlbertForMaskedLM(t.AlbertConfig(**TEXT, embedding_size=16)),
    "albert-groups": lambda: t.AlbertModel(t.AlbertConfig(**TEXT, embedding_size=16, num_hidden_groups=2, inner_group_num=2)),
    "esm": lambda: t.EsmForMaskedLM(t.EsmConfig(**TEXT, position_embedding_type="rotary", pad_token_id=1, mask_token_id=32, token_dropout=True)),
    "dinov2": lambda: t.Dinov2Model(t.Dinov2Config(**VISION)),
    "dinov2-gated": lambda: t.Dinov2ForImageClassification(t.Dinov2Config(**VISION, use_swiglu_ffn=True, num_labels=3)),
    "dinov2-registers": lambda: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**VISION)),
    "dinov3": lambda: t.DINOv3ViTModel(t.DINOv3ViTConfig(**VISION, num_register_tokens=4)),
    "deit": lambda: t.DeiTForImageClassificationWithTeacher(t.DeiTConfig(**VISION, num_labels=3)),
    "vit-mae": lambda: t.ViTMAEForPreTraining(t.ViTMAEConfig(**VISION, decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=4,
                                                             decoder_intermediate_size=20)),
    "beit": lambda: t.BeitForImageClassification(t.BeitConfig(**VISION, use_relative_position_bias=True, num_labels=3)),
    "swin": lambda: t.SwinForImageClassification(t.SwinConfig(**SWIN, num_labels=3)),
    "swinv2": lambda: t.Swinv2ForImageClassification(t.Swinv2Config(**SWIN, num_labels=3)),
    "convnext": lambda: t.ConvNextForImageClassification(t.ConvNextConfig(**STAGES, num_labels=3)),
    "convnextv2": lambda: t.ConvNextV2ForImageClassification(t.ConvNextV2Config(**STAGES, num_labels=3)),
    "resnet": lambda: t.ResNetForImageClassification(t.ResNetConfig(**STAGES, embedding_size=8, num_labels=3)),
    "resnet-basic": lambda: t.ResNetForImageClassification(t.ResNetConfig(**STAGES, embedding_size=8, layer_type="basic", num_labels=3)),
    "segformer": lambda: t.SegformerForSemanticSegmentation(t.SegformerConfig(**STAGES, decoder_hidden_size=16, num_attention_heads=[1, 2, 2, 4], num_labels=3)),
    "detr": lambda: t.DetrForObjectDetection(t.DetrConfig(
        **PAIR, use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, num_queries=10, num_labels=5,
        backbone_config=t.ResNetConfig(**STAGES, embedding_size=8, out_features=["stage4"]))),
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
    path = Path(__file__).with_name("kinds.json")
    lines = {} if "--all" in sys.argv[1:] else {name: json.dumps(kind) for name, kind in json.loads(path.read_text()).items()}
    for name, make in KINDS.items():
        if name not in lines:
            lines[name] = json.dumps(describe(make()))
    path.write_text("{\n" + ",\n".join(f" {json.dumps(name)}: {lines[name]}" for name in KINDS) + "\n}\n")
