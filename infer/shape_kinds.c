/* shape_kinds.c - the kinds of shape.h as data. A new kind is a table of its tensors and a row at the end. */
#include "infer/shape.h"

#define B SHAPE_BIAS
#define O SHAPE_OPTIONAL
#define H "hidden_size"
#define I "intermediate_size"
#define E "embedding_size|hidden_size"

static const struct shape_row bert[] = {
	{ "^embeddings.word_embeddings", "vocab_size " E, 0 }, { "^embeddings.position_embeddings", "max_position_embeddings " E, 0 },
	{ "^embeddings.token_type_embeddings", "type_vocab_size=2 " E, 0 }, { "^embeddings.LayerNorm", E, B }, { "^embeddings_project", H " " E, B | O },
	{ "^encoder.layer.%L.attention.self.query", H " " H, B }, { "^encoder.layer.%L.attention.self.key", H " " H, B },
	{ "^encoder.layer.%L.attention.self.value", H " " H, B }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.attention.output.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B }, { "^encoder.layer.%L.output.LayerNorm", H, B }, { "^pooler.dense", H " " H, B | O },
	{ "cls.predictions.transform.dense", H " " H, B | O }, { "cls.predictions.transform.LayerNorm", H, B | O },
	{ "cls.predictions.bias!", "vocab_size", O }, { "cls.predictions.decoder", "vocab_size " H, B | O }, { "cls.seq_relationship", "2 " H, B | O },
	{ "lm_head.dense", H " " H, B | O }, { "lm_head.layer_norm", H, B | O }, { "lm_head.bias!", "vocab_size", O },
	{ "lm_head.decoder", "vocab_size " H, B | O },
	{ 0 },
};
static const struct shape_row bert_head[] = { { "classifier", "#id2label " H, B }, { 0 } };
static const struct shape_row roberta_head[] = { { "classifier.dense", H " " H, B }, { "classifier.out_proj", "#id2label " H, B }, { 0 } };

static const struct shape_row mpnet[] = {
	{ "^embeddings.word_embeddings", "vocab_size " H, 0 }, { "^embeddings.position_embeddings", "max_position_embeddings " H, 0 },
	{ "^embeddings.LayerNorm", H, B }, { "^encoder.relative_attention_bias", "relative_attention_num_buckets=32 num_attention_heads", 0 },
	{ "^encoder.layer.%L.attention.attn.q", H " " H, B }, { "^encoder.layer.%L.attention.attn.k", H " " H, B },
	{ "^encoder.layer.%L.attention.attn.v", H " " H, B }, { "^encoder.layer.%L.attention.attn.o", H " " H, B },
	{ "^encoder.layer.%L.attention.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B }, { "^encoder.layer.%L.output.LayerNorm", H, B }, { "^pooler.dense", H " " H, B | O },
	{ 0 },
};
static const struct shape_row distilbert[] = {
	{ "^embeddings.word_embeddings", "vocab_size dim", 0 }, { "^embeddings.position_embeddings", "max_position_embeddings dim", 0 },
	{ "^embeddings.LayerNorm", "dim", B },
	{ "^transformer.layer.%L.attention.q_lin", "dim dim", B }, { "^transformer.layer.%L.attention.k_lin", "dim dim", B },
	{ "^transformer.layer.%L.attention.v_lin", "dim dim", B }, { "^transformer.layer.%L.attention.out_lin", "dim dim", B },
	{ "^transformer.layer.%L.sa_layer_norm", "dim", B }, { "^transformer.layer.%L.ffn.lin1", "hidden_dim dim", B },
	{ "^transformer.layer.%L.ffn.lin2", "dim hidden_dim", B }, { "^transformer.layer.%L.output_layer_norm", "dim", B },
	{ "vocab_transform", "dim dim", B | O }, { "vocab_layer_norm", "dim", B | O }, { "vocab_projector", "vocab_size dim", B | O },
	{ 0 },
};
static const struct shape_row distilbert_head[] = { { "pre_classifier", "dim dim", B }, { "classifier", "#id2label dim", B }, { 0 } };
static const struct shape_row deberta2[] = {
	{ "^embeddings.word_embeddings", "vocab_size " E, 0 }, { "^embeddings.LayerNorm", H, B }, { "^embeddings.position_embeddings", "? " E, O },
	{ "^encoder.rel_embeddings", "? " H, O }, { "^encoder.LayerNorm", H, B | O },
	{ "^encoder.layer.%L.attention.self.query_proj", H " " H, B }, { "^encoder.layer.%L.attention.self.key_proj", H " " H, B },
	{ "^encoder.layer.%L.attention.self.value_proj", H " " H, B }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.attention.output.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B }, { "^encoder.layer.%L.output.LayerNorm", H, B },
	{ "pooler.dense", H " " H, B | O }, { "classifier", "#id2label " H, B | O },
	{ 0 },
};
static const struct shape_row modernbert[] = {
	{ "^embeddings.tok_embeddings", "vocab_size " H, 0 }, { "^embeddings.norm", H, 0 }, { "^final_norm", H, 0 }, { "^layers.%L.attn_norm", H, O },
	{ "^layers.%L.attn.Wqkv", "3*" H " " H, 0 }, { "^layers.%L.attn.Wo", H " " H, 0 }, { "^layers.%L.mlp_norm", H, 0 },
	{ "^layers.%L.mlp.Wi", "2*" I " " H, 0 }, { "^layers.%L.mlp.Wo", H " " I, 0 }, { "head.dense", H " " H, O }, { "head.norm", H, O },
	{ "decoder.bias!", "vocab_size", O }, { "classifier", "#id2label " H, B | O },
	{ 0 },
};
static const struct shape_row t5_encoder[] = {
	{ "shared", "vocab_size d_model", 0 }, { "encoder.embed_tokens", "vocab_size d_model", O },
	{ "encoder.block.0.layer.0.SelfAttention.relative_attention_bias", "relative_attention_num_buckets=32 num_heads", 0 },
	{ "encoder.block.%L.layer.0.SelfAttention.q", "num_heads*d_kv d_model", 0 }, { "encoder.block.%L.layer.0.SelfAttention.k", "num_heads*d_kv d_model", 0 },
	{ "encoder.block.%L.layer.0.SelfAttention.v", "num_heads*d_kv d_model", 0 }, { "encoder.block.%L.layer.0.SelfAttention.o", "d_model num_heads*d_kv", 0 },
	{ "encoder.block.%L.layer.0.layer_norm", "d_model", 0 }, { "encoder.block.%L.layer.1.layer_norm", "d_model", 0 },
	{ "encoder.block.%L.layer.1.DenseReluDense.wi", "d_ff d_model", O }, { "encoder.block.%L.layer.1.DenseReluDense.wi_0", "d_ff d_model", O },
	{ "encoder.block.%L.layer.1.DenseReluDense.wi_1", "d_ff d_model", O }, { "encoder.block.%L.layer.1.DenseReluDense.wo", "d_model d_ff", 0 },
	{ "encoder.final_layer_norm", "d_model", 0 },
	{ 0 },
};
static const struct shape_row t5_decoder[] = {
	{ "decoder.final_layer_norm", "d_model", 0 }, { "decoder.embed_tokens", "vocab_size d_model", O }, { "lm_head", "vocab_size d_model", O },
	{ "decoder.block.0.layer.0.SelfAttention.relative_attention_bias", "relative_attention_num_buckets=32 num_heads", 0 },
	{ "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias", "? num_heads", O },
	{ "decoder.block.%L.layer.0.SelfAttention.q", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.0.SelfAttention.k", "num_heads*d_kv d_model", 0 },
	{ "decoder.block.%L.layer.0.SelfAttention.v", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.0.SelfAttention.o", "d_model num_heads*d_kv", 0 },
	{ "decoder.block.%L.layer.1.EncDecAttention.q", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.1.EncDecAttention.k", "num_heads*d_kv d_model", 0 },
	{ "decoder.block.%L.layer.1.EncDecAttention.v", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.1.EncDecAttention.o", "d_model num_heads*d_kv", 0 },
	{ "decoder.block.%L.layer.0.layer_norm", "d_model", 0 }, { "decoder.block.%L.layer.1.layer_norm", "d_model", 0 },
	{ "decoder.block.%L.layer.2.layer_norm", "d_model", 0 }, { "decoder.block.%L.layer.2.DenseReluDense.wi", "d_ff d_model", O },
	{ "decoder.block.%L.layer.2.DenseReluDense.wi_0", "d_ff d_model", O }, { "decoder.block.%L.layer.2.DenseReluDense.wi_1", "d_ff d_model", O },
	{ "decoder.block.%L.layer.2.DenseReluDense.wo", "d_model d_ff", 0 },
	{ 0 },
};

#define PATCH H " num_channels=3 patch_size patch_size"

static const struct shape_row vit[] = {
	{ "^embeddings.patch_embeddings.projection", PATCH, B }, { "^embeddings.cls_token!", "1 1 " H, 0 },
	{ "^embeddings.position_embeddings!", "1 1+@patches " H, 0 }, { "^embeddings.mask_token!", "? ? " H, O },
	{ "^encoder.layer.%L.attention.attention.query", H " " H, B }, { "^encoder.layer.%L.attention.attention.key", H " " H, B },
	{ "^encoder.layer.%L.attention.attention.value", H " " H, B }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.layernorm_before", H, B }, { "^encoder.layer.%L.layernorm_after", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B }, { "^layernorm", H, B }, { "^pooler.dense", H " " H, B | O },
	{ 0 },
};
static const struct shape_row clip_text[] = {
	{ "^embeddings.token_embedding", "vocab_size " H, 0 }, { "^embeddings.position_embedding", "max_position_embeddings " H, 0 },
	{ "^encoder.layers.%L.self_attn.q_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.k_proj", H " " H, B },
	{ "^encoder.layers.%L.self_attn.v_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.out_proj", H " " H, B },
	{ "^encoder.layers.%L.layer_norm1", H, B }, { "^encoder.layers.%L.layer_norm2", H, B }, { "^encoder.layers.%L.mlp.fc1", I " " H, B },
	{ "^encoder.layers.%L.mlp.fc2", H " " I, B }, { "^final_layer_norm", H, B }, { "^head", "projection_size|hidden_size " H, B | O },
	{ 0 },
};
static const struct shape_row clip_vision[] = {
	{ "^embeddings.patch_embedding", PATCH, 0 }, { "^embeddings.patch_embedding.bias!", H, O }, { "^embeddings.class_embedding!", H, O },
	{ "^embeddings.position_embedding", "? " H, 0 },
	{ "^encoder.layers.%L.self_attn.q_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.k_proj", H " " H, B },
	{ "^encoder.layers.%L.self_attn.v_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.out_proj", H " " H, B },
	{ "^encoder.layers.%L.layer_norm1", H, B }, { "^encoder.layers.%L.layer_norm2", H, B }, { "^encoder.layers.%L.mlp.fc1", I " " H, B },
	{ "^encoder.layers.%L.mlp.fc2", H " " I, B }, { "^pre_layrnorm", H, B | O }, { "^post_layernorm", H, B },
	{ "^head.probe!", "1 1 " H, O }, { "^head.attention.in_proj_weight!", "3*" H " " H, O }, { "^head.attention.in_proj_bias!", "3*" H, O },
	{ "^head.attention.out_proj", H " " H, B | O }, { "^head.layernorm", H, B | O }, { "^head.mlp.fc1", I " " H, B | O }, { "^head.mlp.fc2", H " " I, B | O },
	{ 0 },
};
static const struct shape_row clip_patched[] = { { "^embeddings.class_embedding!", H, 0 }, { "^embeddings.position_embedding", "1+@patches " H, 0 }, { 0 } };
static const struct shape_row clip_ends[] = { { "logit_scale!", "", 0 }, { "text_projection", "projection_dim=512 ?", 0 }, { "visual_projection", "projection_dim=512 ?", 0 }, { 0 } };
static const struct shape_row clip_text_end[] = { { "text_projection", "projection_dim=512 " H, 0 }, { 0 } };
static const struct shape_row siglip_ends[] = { { "logit_scale!", "1", 0 }, { "logit_bias!", "1", 0 }, { 0 } };

#define D "d_model"

static const struct shape_row whisper_encoder[] = {
	{ "^encoder.conv1", D " num_mel_bins 3", B }, { "^encoder.conv2", D " " D " 3", B }, { "^encoder.embed_positions", "max_source_positions " D, 0 },
	{ "^encoder.layers.%L.self_attn.q_proj", D " " D, B }, { "^encoder.layers.%L.self_attn.k_proj", D " " D, 0 },
	{ "^encoder.layers.%L.self_attn.v_proj", D " " D, B }, { "^encoder.layers.%L.self_attn.out_proj", D " " D, B },
	{ "^encoder.layers.%L.self_attn_layer_norm", D, B }, { "^encoder.layers.%L.fc1", "encoder_ffn_dim " D, B },
	{ "^encoder.layers.%L.fc2", D " encoder_ffn_dim", B }, { "^encoder.layers.%L.final_layer_norm", D, B }, { "^encoder.layer_norm", D, B },
	{ 0 },
};
static const struct shape_row whisper_decoder[] = {
	{ "^decoder.embed_tokens", "vocab_size " D, 0 }, { "^decoder.embed_positions", "max_target_positions " D, 0 },
	{ "^decoder.layers.%L.self_attn.q_proj", D " " D, B }, { "^decoder.layers.%L.self_attn.k_proj", D " " D, 0 },
	{ "^decoder.layers.%L.self_attn.v_proj", D " " D, B }, { "^decoder.layers.%L.self_attn.out_proj", D " " D, B },
	{ "^decoder.layers.%L.self_attn_layer_norm", D, B },
	{ "^decoder.layers.%L.encoder_attn.q_proj", D " " D, B }, { "^decoder.layers.%L.encoder_attn.k_proj", D " " D, 0 },
	{ "^decoder.layers.%L.encoder_attn.v_proj", D " " D, B }, { "^decoder.layers.%L.encoder_attn.out_proj", D " " D, B },
	{ "^decoder.layers.%L.encoder_attn_layer_norm", D, B }, { "^decoder.layers.%L.fc1", "decoder_ffn_dim " D, B },
	{ "^decoder.layers.%L.fc2", D " decoder_ffn_dim", B }, { "^decoder.layers.%L.final_layer_norm", D, B }, { "^decoder.layer_norm", D, B },
	{ "proj_out", "vocab_size " D, O },
	{ 0 },
};

/* Of these pipelines' parts only the ends follow from single numbers of the configuration. */
static const struct shape_row unet[] = {
	{ "conv_in", "block_out_channels.0 in_channels conv_in_kernel=3 conv_in_kernel=3", B },
	{ "conv_out", "out_channels block_out_channels.0 conv_out_kernel=3 conv_out_kernel=3", B }, { "conv_norm_out", "block_out_channels.0", B | O },
	{ "time_embedding.linear_1", "4*block_out_channels.0 block_out_channels.0", B }, { "time_embedding.linear_2", "4*block_out_channels.0 4*block_out_channels.0", B },
	{ "down_blocks.%L.resnets.0.conv1", "block_out_channels.%L ? 3 3", B },
	{ 0 },
};
static const struct shape_row vae[] = {
	{ "encoder.conv_in", "block_out_channels.0 in_channels=3 3 3", B }, { "decoder.conv_out", "out_channels=3 block_out_channels.0 3 3", B },
	{ "encoder.conv_out", "2*latent_channels=4 block_out_channels.last 3 3", B }, { "decoder.conv_in", "block_out_channels.last latent_channels=4 3 3", B },
	{ "encoder.down_blocks.%L.resnets.0.conv1", "block_out_channels.%L ? 3 3", B },
	{ 0 },
};
#define N "num_attention_heads*attention_head_dim"

static const struct shape_row flux[] = {
	{ "x_embedder", N " in_channels", B }, { "context_embedder", N " joint_attention_dim", B },
	{ "transformer_blocks.%L.attn.to_q", N " " N, B }, { "transformer_blocks.%L.attn.to_k", N " " N, B }, { "transformer_blocks.%L.attn.to_v", N " " N, B },
	{ 0 },
};
static const struct shape_row flux_single[] = {
	{ "single_transformer_blocks.%L.attn.to_q", N " " N, B }, { "single_transformer_blocks.%L.attn.to_k", N " " N, B },
	{ "single_transformer_blocks.%L.attn.to_v", N " " N, B },
	{ 0 },
};
static const struct shape_row sd3[] = {
	{ "pos_embed.proj", N " in_channels patch_size patch_size", B }, { "context_embedder", "caption_projection_dim joint_attention_dim", B },
	{ "transformer_blocks.%L.attn.to_q", N " " N, B }, { "transformer_blocks.%L.attn.to_k", N " " N, B }, { "transformer_blocks.%L.attn.to_v", N " " N, B },
	{ "proj_out", "patch_size*patch_size*out_channels " N, B },
	{ 0 },
};
static const struct shape_row dense[] = { { "linear", "out_features in_features", 0 }, { "linear.bias!", "out_features", O }, { 0 } };

static const struct shape_kind kinds[] = {
	{ "Bert* Roberta* XLMRoberta* Camembert* Electra*", "", "- bert. roberta. electra. camembert.", "num_hidden_layers", bert, false },
	{ "BertForSequenceClassification BertForTokenClassification", "", "-", "", bert_head, false },
	{ "RobertaForSequenceClassification XLMRobertaForSequenceClassification CamembertForSequenceClassification ElectraForSequenceClassification", "", "-", "",
		roberta_head, false },
	{ "MPNet*", "", "- mpnet.", "num_hidden_layers", mpnet, false },
	{ "DistilBert*", "", "- distilbert.", "n_layers", distilbert, false },
	{ "DistilBertForSequenceClassification", "", "-", "", distilbert_head, false },
	{ "DebertaV2*", "", "- deberta.", "num_hidden_layers", deberta2, false },
	{ "ModernBert*", "", "- model.", "num_hidden_layers", modernbert, false },
	{ "T5EncoderModel T5ForConditionalGeneration MT5ForConditionalGeneration UMT5EncoderModel", "", "-", "num_layers", t5_encoder, false },
	{ "T5ForConditionalGeneration MT5ForConditionalGeneration", "", "-", "num_decoder_layers|num_layers", t5_decoder, false },
	{ "ViTModel ViTForImageClassification", "", "- vit.", "num_hidden_layers", vit, false },
	{ "ViTForImageClassification", "", "-", "", bert_head, false },
	{ "CLIPModel SiglipModel", "text_config", "text_model.", "num_hidden_layers", clip_text, false },
	{ "CLIPModel SiglipModel", "vision_config", "vision_model.", "num_hidden_layers", clip_vision, false },
	{ "CLIPModel", "vision_config", "vision_model.", "", clip_patched, false },
	{ "CLIPModel", "", "-", "", clip_ends, false },
	{ "SiglipModel", "", "-", "", siglip_ends, false },
	{ "CLIPTextModel CLIPTextModelWithProjection", "", "- text_model.", "num_hidden_layers", clip_text, false },
	{ "CLIPTextModelWithProjection", "", "-", "", clip_text_end, false },
	{ "CLIPVisionModel CLIPVisionModelWithProjection", "", "- vision_model.", "num_hidden_layers", clip_vision, false },
	{ "WhisperForConditionalGeneration", "", "model. -", "encoder_layers", whisper_encoder, false },
	{ "WhisperForConditionalGeneration", "", "model. -", "decoder_layers", whisper_decoder, false },
	{ "UNet2DConditionModel", "", "-", "#block_out_channels", unet, true },
	{ "AutoencoderKL", "", "-", "#block_out_channels", vae, true },
	{ "FluxTransformer2DModel", "", "-", "num_layers", flux, true },
	{ "FluxTransformer2DModel", "", "-", "num_single_layers", flux_single, true },
	{ "SD3Transformer2DModel", "", "-", "num_layers", sd3, true },
	{ "Dense", "", "-", "", dense, false },
};

const struct shape_kind *shape_kind_at(size_t i)
{
	return i < ARRAY_LEN(kinds) ? &kinds[i] : NULL;
}
