"""What of a checkpoint that is not run its configuration demands, tensor by tensor, and the head that its class names."""
import pytest

from tests.system.test_smoke_kinds import WHOLE, build, with_one, without
from tests.system.test_smoke_runner import read_tensors, smoke, write_tensors


@pytest.mark.parametrize("name, part, config", [
    ("wav2vec2-ctc", "original0", {}), ("wav2vec2-deep", "conv_layers.2.layer_norm.weight", {}), ("wav2vec2-deep", "conv_layers.1.conv.bias", {}),
    ("wav2vec2-deep", "layers.1.adapter_layer.linear_1.weight", {}), ("bart", "shared", {}),
    ("bart", "k_proj.bias", {}), ("vit", "1.attention.attention.key.bias", {}),
    ("resnet", "stages.2.layers.0.shortcut", {}), ("resnet-basic", "stages.1.layers.1.layer.1.normalization.running_var", {}),
    ("swin", "layers.1.downsample.reduction", {}), ("convnext", "stages.3.downsampling_layer.1.weight", {}), ("convnextv2", "stages.1.layers.1.grn.weight", {}),
    ("dinov2", "mlp.fc1", {}), ("dinov2-gated", "mlp.weights_in", {}), ("marian-two-vocabularies", "encoder.embed_tokens", {}),
    ("albert-groups", "groups.1.albert_layers.1.ffn.weight", {}), ("bart-zero-shot", "classification_head.out_proj.weight", {}),
    ("t5", "DenseReluDense.wi", {}), ("t5-encoder", "DenseReluDense.wi", {}), ("t5", "decoder.block.1.layer.2.DenseReluDense.wi", {}),
    ("deberta-v2", "rel_embeddings", {}), ("deberta-v2", "encoder.LayerNorm", {}), ("modernbert", "layers.1.attn_norm", {}),
    ("esm", "emb_layer_norm_after", {}), ("electra", "embeddings_project", {"embedding_size": 24, "hidden_size": 32}),
    ("clip", "pre_layrnorm", {}), ("clip", "class_embedding", {}), ("siglip", "vision_model.head.", {}), ("siglip", "text_model.head", {}),
    ("segformer", "block.1.1.attention.self.sr", {}), ("resnet", "stages.2.layers.0.shortcut.normalization.running_mean", {}),
    ("convnext", "layer_scale_parameter", {}), ("beit", "layer.1.lambda_2", {}), ("dinov3", "down_proj.bias", {}), ("swin", "key.bias", {}),
    ("bert", "0.attention.self.query", {"add_cross_attention": True}), ("bert-mlm", "transform.LayerNorm", {}), ("albert", "predictions.dense", {}),
    ("wav2vec2-pretraining", "quantizer", {}), ("detr", "layers.1.encoder_attn.v_proj.weight", {}), ("vit-mae", "vit.encoder.layer.1.output.dense.weight", {}),
])
def test_part_missing(tmp_path, name, part, config):
    """What only some configurations demand, or only some of the stages have."""
    where = build(tmp_path / "m", name, **config)
    tensors = read_tensors(where / "model.safetensors")
    assert len(without(tensors, part)) < len(tensors)
    write_tensors(where / "model.safetensors", without(tensors, part))
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "shape.missing" and part in f["message"] for f in report["findings"]), report["findings"]


HARMLESS = ("mask_token", "masked_spec_embed", "final_logits_bias", "objective", "contact_head", "quantizer", "project_", "ctc_proj", "speaker_proj",
            "label_embeddings_concat", "layer_norm_for_extract", "num_batches_tracked", "inv_freq", "embed_positions")
ROOTS = ("embeddings", "embed_tokens", "shared", "embedder.convolution", "feature_projection.projection.weight")


@pytest.mark.parametrize("last", ["weight", "bias"])
@pytest.mark.parametrize("name", WHOLE)
def test_each_part_is_missed(tmp_path, name, last):
    """Of every tensor the one of the last layer, all at once: each is named. What most tables find the root by stays."""
    where = build(tmp_path / "m", name)
    tensors, lost = read_tensors(where / "model.safetensors"), {}
    for tensor in tensors:
        if tensor.endswith(("bias", "beta")) == (last == "bias") and not any(part in tensor for part in HARMLESS + ROOTS):
            lost["".join("#" if c.isdigit() else c for c in tensor)] = tensor
    write_tensors(where / "model.safetensors", {n: t for n, t in tensors.items() if n not in lost.values()})
    found = " ".join(f["message"] + " " for f in smoke(where)[1]["findings"])
    if name == "marian-two-vocabularies":
        lost.pop("lm_head.weight", None)    # the head is the decoder's embedding, under either name
    lost = {n: t.replace(".gamma", ".weight").replace(".beta", ".bias") for n, t in lost.items()}
    assert [t for t in lost.values() if not any(f"tensor {t[n:]} is missing" in found for n in (0, t.find(".") + 1))] == []


HEADS = {
    "BertForQuestionAnswering": ("bert", "bert.", {"qa_outputs.weight": [2, 24], "qa_outputs.bias": [2]}),
    "BertForMultipleChoice": ("bert", "bert.", {"bert.pooler.dense.weight": [24, 24], "bert.pooler.dense.bias": [24], "classifier.weight": [1, 24], "classifier.bias": [1]}),
    "BertForNextSentencePrediction": ("bert", "bert.", {"bert.pooler.dense.weight": [24, 24], "bert.pooler.dense.bias": [24], "cls.seq_relationship.weight": [2, 24],
                                                        "cls.seq_relationship.bias": [2]}),
    "XLMRobertaForTokenClassification": ("roberta", "roberta.", {"classifier.weight": [2, 24], "classifier.bias": [2]}),
    "RobertaForMaskedLM": ("roberta", "roberta.", {"lm_head.dense.weight": [24, 24], "lm_head.dense.bias": [24], "lm_head.layer_norm.weight": [24],
                                                   "lm_head.layer_norm.bias": [24], "lm_head.bias": [99]}),
    "ElectraForPreTraining": ("electra", "electra.", {"discriminator_predictions.dense.weight": [24, 24], "discriminator_predictions.dense.bias": [24],
                                                      "discriminator_predictions.dense_prediction.weight": [1, 24], "discriminator_predictions.dense_prediction.bias": [1]}),
    "ModernBertForMaskedLM": ("modernbert", "model.", {"head.dense.weight": [24, 24], "head.norm.weight": [24], "decoder.bias": [99]}),
    "ModernBertForSequenceClassification": ("modernbert", "model.", {"head.dense.weight": [24, 24], "head.norm.weight": [24], "classifier.weight": [2, 24],
                                                                     "classifier.bias": [2]}),
    "MPNetForSequenceClassification": ("mpnet", "mpnet.", {"classifier.dense.weight": [24, 24], "classifier.dense.bias": [24], "classifier.out_proj.weight": [2, 24],
                                                           "classifier.out_proj.bias": [2]}),
}


@pytest.mark.parametrize("architecture", HEADS)
def test_head_that_is_the_task(tmp_path, architecture):
    """Built as its class is; none of the head's tensors may be lost, or have a row too many."""
    name, root, head = HEADS[architecture]
    where = build(tmp_path / "m", name, architectures=[architecture])
    good = {root + n: t for n, t in read_tensors(where / "model.safetensors").items() if "pooler" not in n}
    for tensor, shape in head.items():
        good = with_one(good, tensor, *shape)
    write_tensors(where / "model.safetensors", good)
    done, report = smoke(where)
    assert done.returncode == 5 and not report["findings"], report
    for tensor, (rows, *rest) in head.items():
        for bad, rule in ((without(good, tensor), "missing"), (with_one(good, tensor, rows + 1, *rest), "shape")):
            write_tensors(where / "model.safetensors", bad)
            done, report = smoke(where)
            assert done.returncode == 6 and any(f["rule"] == "shape." + rule and tensor in f["message"] for f in report["findings"]), (tensor, report)


def test_sentence_encoder_that_names_the_class_it_was_made_from(tmp_path):
    """sentence-transformers/all-mpnet-base-v2: MPNetForMaskedLM, and the model alone in the file."""
    done, report = smoke(build(tmp_path / "m", "mpnet", architectures=["MPNetForMaskedLM"]))
    assert done.returncode == 5 and not report["findings"], report


@pytest.mark.parametrize("name, tensor", [
    ("swin", "swin.encoder.layers.0.blocks.0.attention.self.relative_position_bias_table"), ("swin", "swin.layernorm.weight"),
    ("siglip", "vision_model.embeddings.position_embedding.weight"), ("deberta-v2", "encoder.rel_embeddings.weight"),
    ("dinov2-gated", "dinov2.encoder.layer.1.mlp.weights_in.weight"),
])
def test_row_too_many(tmp_path, name, tensor):
    where = build(tmp_path / "m", name)
    tensors = read_tensors(where / "model.safetensors")
    rows, *rest = tensors[tensor][1]
    write_tensors(where / "model.safetensors", with_one(tensors, tensor, rows + 1, *rest))
    done, report = smoke(where)
    assert done.returncode == 6 and any(f["rule"] == "shape.shape" and tensor in f["message"] for f in report["findings"]), report["findings"]


def test_bias_of_one_layer_lost(tmp_path):
    """What no key decides is in all layers or in none, with its bias: a pooler, the distances of a layer."""
    where = build(tmp_path / "m", "bert")
    tensors = with_one(with_one(read_tensors(where / "model.safetensors"), "pooler.dense.weight", 24, 24), "pooler.dense.bias", 24)
    for lost in ("pooler.dense.weight", "pooler.dense.bias"):
        write_tensors(where / "model.safetensors", without(tensors, lost))
        done, report = smoke(where)
        assert done.returncode == 6 and f"tensor {lost} is missing, where what belongs to it is there" in report["findings"][0]["message"]
    write_tensors(where / "model.safetensors", without(tensors, "pooler"))
    assert smoke(where)[0].returncode == 5
