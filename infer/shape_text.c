/* shape_text.c - kinds of text models; see shape_table.h. */
#include "infer/shape_table.h"

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
	{ "lm_head.decoder", "vocab_size " H, B | O }, { "qa_outputs", "? " H, B | O }, { "classifier", "? " H, B | O },
	{ "generator_predictions.LayerNorm", E, B | O }, { "generator_predictions.dense", E " " H, B | O }, { "generator_lm_head", "vocab_size " E, B | O },
	{ "discriminator_predictions.dense", H " " H, B | O }, { "discriminator_predictions.dense_prediction", "1 " H, B | O },
	{ 0 },
};
const struct shape_row shape_head[] = { { "classifier", "#id2label " H, B }, { 0 } };
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
	{ "pooler.dense", H " " H, B | O }, { "classifier", "? " H, B | O },
	{ 0 },
};
static const struct shape_row modernbert[] = {
	{ "^embeddings.tok_embeddings", "vocab_size " H, 0 }, { "^embeddings.norm", H, 0 }, { "^final_norm", H, 0 }, { "^layers.%L.attn_norm", H, O },
	{ "^layers.%L.attn.Wqkv", "3*" H " " H, 0 }, { "^layers.%L.attn.Wo", H " " H, 0 }, { "^layers.%L.mlp_norm", H, 0 },
	{ "^layers.%L.mlp.Wi", "2*" I " " H, 0 }, { "^layers.%L.mlp.Wo", H " " I, 0 }, { "head.dense", H " " H, O }, { "head.norm", H, O },
	{ "decoder.bias!", "vocab_size", O }, { "classifier", "? " H, B | O },
	{ 0 },
};
#define AE "embedding_size=128"
#define ALBERT_LAYER "^encoder.albert_layer_groups.%S.albert_layers.%L."

static const struct shape_row albert[] = {
	{ "^embeddings.word_embeddings", "vocab_size " AE, 0 }, { "^embeddings.position_embeddings", "max_position_embeddings " AE, 0 },
	{ "^embeddings.token_type_embeddings", "type_vocab_size=2 " AE, 0 }, { "^embeddings.LayerNorm", AE, B },
	{ "^encoder.embedding_hidden_mapping_in", H " " AE, B },
	{ ALBERT_LAYER "full_layer_layer_norm", H, B }, { ALBERT_LAYER "attention.query", H " " H, B }, { ALBERT_LAYER "attention.key", H " " H, B },
	{ ALBERT_LAYER "attention.value", H " " H, B }, { ALBERT_LAYER "attention.dense", H " " H, B }, { ALBERT_LAYER "attention.LayerNorm", H, B },
	{ ALBERT_LAYER "ffn", I " " H, B }, { ALBERT_LAYER "ffn_output", H " " I, B }, { "^pooler", H " " H, B | O },
	{ "predictions.LayerNorm", AE, B | O }, { "predictions.bias!", "vocab_size", O }, { "predictions.dense", AE " " H, B | O },
	{ "predictions.decoder", "vocab_size " AE, B | O }, { "sop_classifier.classifier", "2 " H, B | O }, { "classifier", "? " H, B | O },
	{ "qa_outputs", "? " H, B | O },
	{ 0 },
};
static const struct shape_row esm[] = {
	{ "^embeddings.word_embeddings", "vocab_size " H, 0 }, { "^embeddings.position_embeddings", "max_position_embeddings " H, O },
	{ "^embeddings.layer_norm", H, B | O },
	{ "^encoder.layer.%L.attention.LayerNorm", H, B }, { "^encoder.layer.%L.attention.self.query", H " " H, B },
	{ "^encoder.layer.%L.attention.self.key", H " " H, B }, { "^encoder.layer.%L.attention.self.value", H " " H, B },
	{ "^encoder.layer.%L.attention.self.distance_embedding", "? ?", O }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B }, { "^encoder.layer.%L.output.dense", H " " I, B },
	{ "^encoder.emb_layer_norm_after", H, B | O }, { "^pooler.dense", H " " H, B | O },
	{ "^contact_head.regression", "1 num_hidden_layers*num_attention_heads", B | O }, { "lm_head.dense", H " " H, B | O },
	{ "lm_head.layer_norm", H, B | O }, { "lm_head.bias!", "vocab_size", O }, { "lm_head.decoder", "vocab_size " H, B | O },
	{ "classifier", "? " H, B | O },
	{ 0 },
};
static const struct shape_row t5_encoder[] = {
	{ "shared|encoder.embed_tokens|decoder.embed_tokens", "vocab_size d_model", 0 },
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


const struct shape_row shape_encoder_layers[] = {
	{ "^encoder.layers.%L.self_attn.q_proj", D " " D, B }, { "^encoder.layers.%L.self_attn.k_proj", D " " D, 0 },
	{ "^encoder.layers.%L.self_attn.v_proj", D " " D, B }, { "^encoder.layers.%L.self_attn.out_proj", D " " D, B },
	{ "^encoder.layers.%L.self_attn_layer_norm", D, B }, { "^encoder.layers.%L.fc1", "encoder_ffn_dim " D, B },
	{ "^encoder.layers.%L.fc2", D " encoder_ffn_dim", B }, { "^encoder.layers.%L.final_layer_norm", D, B },
	{ 0 },
};
const struct shape_row shape_decoder_layers[] = {
	{ "^decoder.layers.%L.self_attn.q_proj", D " " D, B }, { "^decoder.layers.%L.self_attn.k_proj", D " " D, 0 },
	{ "^decoder.layers.%L.self_attn.v_proj", D " " D, B }, { "^decoder.layers.%L.self_attn.out_proj", D " " D, B },
	{ "^decoder.layers.%L.self_attn_layer_norm", D, B },
	{ "^decoder.layers.%L.encoder_attn.q_proj", D " " D, B }, { "^decoder.layers.%L.encoder_attn.k_proj", D " " D, 0 },
	{ "^decoder.layers.%L.encoder_attn.v_proj", D " " D, B }, { "^decoder.layers.%L.encoder_attn.out_proj", D " " D, B },
	{ "^decoder.layers.%L.encoder_attn_layer_norm", D, B }, { "^decoder.layers.%L.fc1", "decoder_ffn_dim " D, B },
	{ "^decoder.layers.%L.fc2", D " decoder_ffn_dim", B }, { "^decoder.layers.%L.final_layer_norm", D, B },
	{ 0 },
};
const struct shape_row shape_encoder_key_bias[] = { { "^encoder.layers.%L.self_attn.k_proj.bias!", D, 0 }, { 0 } };
const struct shape_row shape_decoder_key_bias[] = { { "^decoder.layers.%L.self_attn.k_proj.bias!", D, 0 },
	{ "^decoder.layers.%L.encoder_attn.k_proj.bias!", D, 0 }, { 0 } };

/* One matrix under whichever of its names is left. Biases of the logits are zeros that many files leave out. */
static const struct shape_row one_embedding[] = {
	{ "^shared|^encoder.embed_tokens|^decoder.embed_tokens|lm_head", "vocab_size " D, 0 }, { "final_logits_bias!", "1 vocab_size", O }, { 0 },
};
static const struct shape_row two_embeddings[] = {
	{ "^encoder.embed_tokens", "vocab_size " D, 0 }, { "^decoder.embed_tokens|lm_head", "decoder_vocab_size|vocab_size " D, 0 },
	{ "^shared", "vocab_size " D, O }, { "final_logits_bias!", "1 decoder_vocab_size|vocab_size", O }, { 0 },
};
static const struct shape_row bart_ends[] = {
	{ "^encoder.embed_positions", "2+max_position_embeddings " D, 0 }, { "^decoder.embed_positions", "2+max_position_embeddings " D, 0 },
	{ "^encoder.layernorm_embedding", D, B }, { "^decoder.layernorm_embedding", D, B }, { "qa_outputs", "? " D, B | O },
	{ "classification_head.dense", D " " D, B | O }, { "classification_head.out_proj", "#id2label " D, B | O },
	{ 0 },
};
static const struct shape_row bart_head[] = {
	{ "classification_head.dense", D " " D, B }, { "classification_head.out_proj", "#id2label " D, B }, { 0 },
};
static const struct shape_row last_norms[] = { { "^encoder.layer_norm", D, B }, { "^decoder.layer_norm", D, B }, { 0 } };
/* Sines, which some files hold and others do not; M2M100 had them as buffers. */
static const struct shape_row sines[] = {
	{ "^encoder.embed_positions", "? " D, O }, { "^decoder.embed_positions", "? " D, O },
	{ "^encoder.embed_positions.weights!", "? " D, O }, { "^decoder.embed_positions.weights!", "? " D, O },
	{ 0 },
};
static const struct shape_row learned[] = {
	{ "^encoder.embed_positions", "max_position_embeddings " D, 0 }, { "^decoder.embed_positions", "max_position_embeddings " D, 0 }, { 0 },
};
static const struct shape_row first_norms[] = { { "^encoder.layernorm_embedding", D, B }, { "^decoder.layernorm_embedding", D, B }, { 0 } };
static const struct shape_row dense[] = { { "linear", "out_features in_features", 0 }, { "linear.bias!", "out_features", O }, { 0 } };

#define BERT "BertModel BertFor* BertLMHeadModel "
#define ROBERTA "RobertaModel RobertaFor* XLMRobertaModel XLMRobertaFor* CamembertModel CamembertFor* ElectraModel ElectraFor*"
#define ROBERTA_HEADS "RobertaForSequenceClassification XLMRobertaForSequenceClassification CamembertForSequenceClassification" \
	" ElectraForSequenceClassification"
#define T5 "T5ForConditionalGeneration T5WithLMHeadModel MT5ForConditionalGeneration"
#define BART "BartModel BartForConditionalGeneration BartForSequenceClassification BartForQuestionAnswering "
#define MBART "MBartModel MBartForConditionalGeneration MBartForSequenceClassification MBartForQuestionAnswering "
#define MARIAN "MarianModel MarianMTModel "
#define SINES "PegasusModel PegasusForConditionalGeneration M2M100Model M2M100ForConditionalGeneration "
#define BLENDERBOT "BlenderbotModel BlenderbotForConditionalGeneration "
#define BLENDERBOT_SMALL "BlenderbotSmallModel BlenderbotSmallForConditionalGeneration "
#define MODEL "model. -"

const struct shape_kind shape_text[] = {
	{ BERT ROBERTA, .rows = bert, .roots = "- bert. roberta. electra. camembert.", .layers = "num_hidden_layers" },
	{ "BertForSequenceClassification BertForTokenClassification", .rows = shape_head },
	{ ROBERTA_HEADS, .rows = roberta_head },
	{ "MPNetModel MPNetFor*", .rows = mpnet, .roots = "- mpnet.", .layers = "num_hidden_layers" },
	{ "DistilBertModel DistilBertFor*", .rows = distilbert, .roots = "- distilbert.", .layers = "n_layers" },
	{ "DistilBertForSequenceClassification", .rows = distilbert_head },
	{ "DebertaV2Model DebertaV2For*", .rows = deberta2, .roots = "- deberta.", .layers = "num_hidden_layers" },
	{ "ModernBertModel ModernBertFor*", .rows = modernbert, .roots = "- model.", .layers = "num_hidden_layers" },
	{ "AlbertModel AlbertFor*", .rows = albert, .roots = "- albert.", .layers = "inner_group_num=1", .stages = "num_hidden_groups=1" },
	{ "DebertaV2ForSequenceClassification DebertaV2ForTokenClassification ModernBertForSequenceClassification ModernBertForTokenClassification"
		" AlbertForSequenceClassification AlbertForTokenClassification", .rows = shape_head },
	{ "EsmModel EsmForMaskedLM EsmForSequenceClassification EsmForTokenClassification", .rows = esm, .roots = "- esm.", .layers = "num_hidden_layers" },
	{ "EsmForSequenceClassification", .rows = roberta_head },
	{ "EsmForTokenClassification", .rows = shape_head },
	{ T5 " T5EncoderModel UMT5EncoderModel", .rows = t5_encoder, .layers = "num_layers" },
	{ T5, .rows = t5_decoder, .layers = "num_decoder_layers|num_layers" },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_encoder_layers, .roots = MODEL, .layers = "encoder_layers" },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_encoder_key_bias, .roots = MODEL, .layers = "encoder_layers" },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_decoder_layers, .roots = MODEL, .layers = "decoder_layers" },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_decoder_key_bias, .roots = MODEL, .layers = "decoder_layers" },
	{ BART MBART SINES BLENDERBOT BLENDERBOT_SMALL, .rows = one_embedding, .roots = MODEL },
	{ MARIAN, .rows = one_embedding, .roots = MODEL, .when = "!share_encoder_decoder_embeddings=false" },
	{ MARIAN, .rows = two_embeddings, .roots = MODEL, .when = "share_encoder_decoder_embeddings=false" },
	{ BART MBART, .rows = bart_ends, .roots = MODEL },
	{ "BartForSequenceClassification MBartForSequenceClassification", .rows = bart_head },
	{ BLENDERBOT BLENDERBOT_SMALL, .rows = learned, .roots = MODEL },
	{ BLENDERBOT_SMALL, .rows = first_norms, .roots = MODEL },
	{ MBART SINES BLENDERBOT, .rows = last_norms, .roots = MODEL },
	{ MARIAN SINES, .rows = sines, .roots = MODEL },
	{ "Dense", .rows = dense },
	{ 0 },
};
