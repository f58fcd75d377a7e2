/* shape_text.c - kinds of text models; see shape_table.h. */
#include "infer/shape_table.h"

#define WORDS { "^embeddings.word_embeddings", "vocab_size " E, 0 }
#define POOLER { "^pooler.dense", H " " H, B }
#define AE "embedding_size=128"

static const struct shape_row bert[] = {
	{ "^embeddings.word_embeddings", "vocab_size " E, 0 }, { "^embeddings.position_embeddings", "max_position_embeddings " E, 0 },
	{ "^embeddings.token_type_embeddings", "type_vocab_size=2 " E, 0 }, { "^embeddings.LayerNorm", E, B },
	{ "^encoder.layer.%L.attention.self.query", H " " H, B }, { "^encoder.layer.%L.attention.self.key", H " " H, B },
	{ "^encoder.layer.%L.attention.self.value", H " " H, B }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.attention.output.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B }, { "^encoder.layer.%L.output.LayerNorm", H, B }, { "^pooler.dense", H " " H, B | O },
	{ "cls.predictions.transform.dense", H " " H, B | BESIDE }, { "cls.predictions.transform.LayerNorm", H, B | BESIDE },
	{ "cls.predictions.bias!", "vocab_size", BESIDE }, { "cls.predictions.decoder", "vocab_size " H, B | BESIDE },
	{ "cls.seq_relationship", "2 " H, B | BESIDE }, { "lm_head.dense", H " " H, B | BESIDE }, { "lm_head.layer_norm", H, B | BESIDE },
	{ "lm_head.bias!", "vocab_size", BESIDE }, { "lm_head.decoder", "vocab_size " H, B | BESIDE }, { "qa_outputs", "? " H, B | BESIDE },
	{ "classifier", "? " H, B | BESIDE },
	{ "generator_predictions.LayerNorm", E, B | BESIDE }, { "generator_predictions.dense", E " " H, B | BESIDE },
	{ "generator_lm_head", "vocab_size " E, B | BESIDE }, { "discriminator_predictions.dense", H " " H, B | BESIDE },
	{ "discriminator_predictions.dense_prediction", "1 " H, B | BESIDE },
	WHEN("embedding_size<>hidden_size"), { "^embeddings_project", H " " E, B },
	WHEN("add_cross_attention=true"),
	{ "^encoder.layer.%L.crossattention.self.query", H " " H, B }, { "^encoder.layer.%L.crossattention.self.key", H " " H, B },
	{ "^encoder.layer.%L.crossattention.self.value", H " " H, B }, { "^encoder.layer.%L.crossattention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.crossattention.output.LayerNorm", H, B },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
/*
 * Heads: what a class adds to its model. A head of masked words is not demanded of a file whose names have no root: sentence encoders keep the
 * class that they were made from in their configuration, and hold its model alone.
 */
static const struct shape_row bert_words[] = {
	WORDS, WHEN("^"),
	{ "cls.predictions.transform.dense", H " " H, B }, { "cls.predictions.transform.LayerNorm", H, B },
	{ "cls.predictions.bias!|cls.predictions.decoder.bias!", "vocab_size", 0 },
	{ 0 },
};
static const struct shape_row bert_next[] = { WORDS, WHEN("^"), POOLER, { "cls.seq_relationship", "2 " H, B }, { 0 } };
static const struct shape_row roberta_words[] = {
	WORDS, WHEN("^"), { "lm_head.dense", H " " H, B }, { "lm_head.layer_norm", H, B },
	{ "lm_head.bias!|lm_head.decoder.bias!", "vocab_size", 0 },
	{ 0 },
};
static const struct shape_row electra_words[] = {
	WORDS, WHEN("^"), { "generator_predictions.LayerNorm", E, B }, { "generator_predictions.dense", E " " H, B },
	{ "generator_lm_head.bias!", "vocab_size", 0 },
	{ 0 },
};
static const struct shape_row electra_replaced[] = {
	WORDS, WHEN("^"), { "discriminator_predictions.dense", H " " H, B },
	{ "discriminator_predictions.dense_prediction", "1 " H, B },
	{ 0 },
};
static const struct shape_row distilbert_words[] = {
	{ "^embeddings.word_embeddings", "vocab_size dim", 0 }, WHEN("^"), { "vocab_transform", "dim dim", B }, { "vocab_layer_norm", "dim", B },
	{ "vocab_projector.bias!", "vocab_size", 0 },
	{ 0 },
};
static const struct shape_row modernbert_words[] = {
	{ "^embeddings.tok_embeddings", "vocab_size " H, 0 }, WHEN("^"), { "head.dense", H " " H, 0 }, { "head.norm", H, 0 },
	WHEN("^ classifier_bias=true"), { "head.dense.bias!", H, 0 }, WHEN("^ norm_bias=true"), { "head.norm.bias!", H, 0 },
	WHEN("^ !decoder_bias=false"), { "decoder.bias!", "vocab_size", 0 },
	{ 0 },
};
static const struct shape_row albert_words[] = {
	{ "^embeddings.word_embeddings", "vocab_size " AE, 0 }, WHEN("^"), { "predictions.LayerNorm", AE, B }, { "predictions.dense", AE " " H, B },
	{ "predictions.bias!|predictions.decoder.bias!", "vocab_size", 0 },
	{ 0 },
};
static const struct shape_row albert_order[] = {
	{ "^embeddings.word_embeddings", "vocab_size " AE, 0 }, WHEN("^"), { "^pooler", H " " H, B }, { "sop_classifier.classifier", "2 " H, B }, { 0 },
};
static const struct shape_row deberta2_words[] = {
	WORDS, WHEN("^ !legacy=false"), { "cls.predictions.transform.dense", E " " H, B },
	{ "cls.predictions.transform.LayerNorm", E, B }, { "cls.predictions.bias!|cls.predictions.decoder.bias!", "vocab_size", 0 },
	WHEN("^ legacy=false"), { "lm_predictions.lm_head.dense", H " " H, B }, { "lm_predictions.lm_head.LayerNorm", H, B },
	{ "lm_predictions.lm_head.bias!", "vocab_size", 0 },
	{ 0 },
};
static const struct shape_row bert_pooler[] = { WORDS, POOLER, { 0 } };
static const struct shape_row albert_pooler[] = { { "^embeddings.word_embeddings", "vocab_size " AE, 0 }, { "^pooler", H " " H, B }, { 0 } };
static const struct shape_row deberta2_pooler[] = { { "pooler.dense", "pooler_hidden_size|hidden_size pooler_hidden_size|hidden_size", B }, { 0 } };
static const struct shape_row electra_summary[] = { { "sequence_summary.summary", H " " H, B }, { 0 } };
static const struct shape_row modernbert_head[] = { { "head.dense", H " " H, 0 }, { "head.norm", H, 0 },
	WHEN("classifier_bias=true"), { "head.dense.bias!", H, 0 }, WHEN("norm_bias=true"), { "head.norm.bias!", H, 0 }, { 0 } };
static const struct shape_row answers_head[] = { { "qa_outputs", "#id2label hidden_size|dim", B }, { 0 } };
static const struct shape_row choice_head[] = { { "classifier", "1 hidden_size|dim", B }, { 0 } };
static const struct shape_row distilbert_token_head[] = { { "classifier", "#id2label dim", B }, { 0 } };
static const struct shape_row distilbert_choice[] = { { "pre_classifier", "dim dim", B }, { 0 } };
const struct shape_row shape_head[] = { { "classifier", "#id2label " H, B }, { 0 } };
static const struct shape_row roberta_head[] = { { "classifier.dense", H " " H, B }, { "classifier.out_proj", "#id2label " H, B }, { 0 } };

static const struct shape_row mpnet[] = {
	{ "^embeddings.word_embeddings", "vocab_size " H, 0 }, { "^embeddings.position_embeddings", "max_position_embeddings " H, 0 },
	{ "^embeddings.LayerNorm", H, B }, { "^encoder.relative_attention_bias", "relative_attention_num_buckets=32 num_attention_heads", 0 },
	{ "^encoder.layer.%L.attention.attn.q", H " " H, B }, { "^encoder.layer.%L.attention.attn.k", H " " H, B },
	{ "^encoder.layer.%L.attention.attn.v", H " " H, B }, { "^encoder.layer.%L.attention.attn.o", H " " H, B },
	{ "^encoder.layer.%L.attention.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B }, { "^encoder.layer.%L.output.LayerNorm", H, B }, { "^pooler.dense", H " " H, B | O },
	{ "lm_head.dense", H " " H, B | BESIDE }, { "lm_head.layer_norm", H, B | BESIDE }, { "lm_head.bias!", "vocab_size", BESIDE },
	{ "lm_head.decoder", "vocab_size " H, B | BESIDE },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
static const struct shape_row distilbert[] = {
	{ "^embeddings.word_embeddings", "vocab_size dim", 0 }, { "^embeddings.position_embeddings", "max_position_embeddings dim", 0 },
	{ "^embeddings.LayerNorm", "dim", B },
	{ "^transformer.layer.%L.attention.q_lin", "dim dim", B }, { "^transformer.layer.%L.attention.k_lin", "dim dim", B },
	{ "^transformer.layer.%L.attention.v_lin", "dim dim", B }, { "^transformer.layer.%L.attention.out_lin", "dim dim", B },
	{ "^transformer.layer.%L.sa_layer_norm", "dim", B }, { "^transformer.layer.%L.ffn.lin1", "hidden_dim dim", B },
	{ "^transformer.layer.%L.ffn.lin2", "dim hidden_dim", B }, { "^transformer.layer.%L.output_layer_norm", "dim", B },
	{ "vocab_transform", "dim dim", B | BESIDE }, { "vocab_layer_norm", "dim", B | BESIDE }, { "vocab_projector", "vocab_size dim", B | BESIDE },
	{ "qa_outputs", "? dim", B | BESIDE },
	HEADS("dim", "n_heads", ""),
	{ 0 },
};
static const struct shape_row distilbert_head[] = { { "pre_classifier", "dim dim", B }, { "classifier", "#id2label dim", B }, { 0 } };
static const struct shape_row deberta2[] = {
	{ "^embeddings.word_embeddings", "vocab_size " E, 0 }, { "^embeddings.LayerNorm", H, B },
	{ "^encoder.layer.%L.attention.self.query_proj", H " " H, B }, { "^encoder.layer.%L.attention.self.key_proj", H " " H, B },
	{ "^encoder.layer.%L.attention.self.value_proj", H " " H, B }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.attention.output.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B }, { "^encoder.layer.%L.output.LayerNorm", H, B },
	{ "pooler.dense", "pooler_hidden_size|hidden_size pooler_hidden_size|hidden_size", B | BESIDE }, { "classifier", "? " H, B | BESIDE },
	{ "cls.predictions.transform.dense", E " " H, B | BESIDE }, { "cls.predictions.transform.LayerNorm", E, B | BESIDE },
	{ "cls.predictions.bias!", "vocab_size", BESIDE }, { "cls.predictions.decoder", "vocab_size " E, B | BESIDE },
	{ "lm_predictions.lm_head.dense", H " " H, B | BESIDE }, { "lm_predictions.lm_head.LayerNorm", H, B | BESIDE },
	{ "lm_predictions.lm_head.bias!", "vocab_size", BESIDE }, { "qa_outputs", "? " H, B | BESIDE },
	WHEN("!position_biased_input=false"), { "^embeddings.position_embeddings", "max_position_embeddings " E, 0 },
	WHEN("position_biased_input=false"), { "^embeddings.position_embeddings", "max_position_embeddings " E, BESIDE },
	WHEN("type_vocab_size !type_vocab_size=0"), { "^embeddings.token_type_embeddings", "type_vocab_size " E, 0 },
	WHEN("embedding_size<>hidden_size"), { "^embeddings.embed_proj", H " " E, 0 },
	WHEN("relative_attention=true"), { "^encoder.rel_embeddings", "2*position_buckets|max_relative_positions|max_position_embeddings " H, 0 },
	WHEN("norm_rel_ebd=*layer_norm*"), { "^encoder.LayerNorm", H, B },
	WHEN("relative_attention=true !share_att_key=true pos_att_type=*c2p*"), { "^encoder.layer.%L.attention.self.pos_key_proj", H " " H, B },
	WHEN("relative_attention=true !share_att_key=true pos_att_type=*p2c*"), { "^encoder.layer.%L.attention.self.pos_query_proj", H " " H, B },
	WHEN("conv_kernel_size !conv_kernel_size=0"),
	{ "^encoder.conv.conv", H " hidden_size/conv_groups=1 conv_kernel_size", B }, { "^encoder.conv.LayerNorm", H, B },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
static const struct shape_row modernbert[] = {
	{ "^embeddings.tok_embeddings", "vocab_size " H, 0 }, { "^embeddings.norm", H, 0 }, { "^final_norm", H, 0 },
	{ "^layers.%L.attn.Wqkv", "3*" H " " H, 0 }, { "^layers.%L.attn.Wo", H " " H, 0 }, { "^layers.%L.mlp_norm", H, 0 },
	{ "^layers.%L.mlp.Wi", "2*" I " " H, 0 }, { "^layers.%L.mlp.Wo", H " " I, 0 },
	{ "head.dense", H " " H, BESIDE }, { "head.norm", H, BESIDE }, { "decoder", "vocab_size " H, B | BESIDE }, { "classifier", "? " H, B | BESIDE },
	WHEN("%L<>0"), { "^layers.%L.attn_norm", H, 0 },
	WHEN("attention_bias=true"), { "^layers.%L.attn.Wqkv.bias!", "3*" H, 0 }, { "^layers.%L.attn.Wo.bias!", H, 0 },
	WHEN("mlp_bias=true"), { "^layers.%L.mlp.Wi.bias!", "2*" I, 0 }, { "^layers.%L.mlp.Wo.bias!", H, 0 },
	WHEN("norm_bias=true"), { "^embeddings.norm.bias!", H, 0 }, { "^final_norm.bias!", H, 0 }, { "^layers.%L.mlp_norm.bias!", H, 0 },
	{ "head.norm.bias!", H, BESIDE },
	WHEN("norm_bias=true %L<>0"), { "^layers.%L.attn_norm.bias!", H, 0 },
	WHEN("classifier_bias=true"), { "head.dense.bias!", H, BESIDE },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
#define ALBERT_LAYER "^encoder.albert_layer_groups.%S.albert_layers.%L."

static const struct shape_row albert[] = {
	{ "^embeddings.word_embeddings", "vocab_size " AE, 0 }, { "^embeddings.position_embeddings", "max_position_embeddings " AE, 0 },
	{ "^embeddings.token_type_embeddings", "type_vocab_size=2 " AE, 0 }, { "^embeddings.LayerNorm", AE, B },
	{ "^encoder.embedding_hidden_mapping_in", H " " AE, B },
	{ ALBERT_LAYER "full_layer_layer_norm", H, B }, { ALBERT_LAYER "attention.query", H " " H, B }, { ALBERT_LAYER "attention.key", H " " H, B },
	{ ALBERT_LAYER "attention.value", H " " H, B }, { ALBERT_LAYER "attention.dense", H " " H, B }, { ALBERT_LAYER "attention.LayerNorm", H, B },
	{ ALBERT_LAYER "ffn", I " " H, B }, { ALBERT_LAYER "ffn_output", H " " I, B }, { "^pooler", H " " H, B | O },
	{ "predictions.LayerNorm", AE, B | BESIDE }, { "predictions.bias!", "vocab_size", BESIDE }, { "predictions.dense", AE " " H, B | BESIDE },
	{ "predictions.decoder", "vocab_size " AE, B | BESIDE }, { "sop_classifier.classifier", "2 " H, B | BESIDE }, { "classifier", "? " H, B | BESIDE },
	{ "qa_outputs", "? " H, B | BESIDE },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
static const struct shape_row esm[] = {
	{ "^embeddings.word_embeddings", "vocab_size " H, 0 },
	{ "^encoder.layer.%L.attention.LayerNorm", H, B }, { "^encoder.layer.%L.attention.self.query", H " " H, B },
	{ "^encoder.layer.%L.attention.self.key", H " " H, B }, { "^encoder.layer.%L.attention.self.value", H " " H, B },
	{ "^encoder.layer.%L.attention.self.distance_embedding", "-1+2*max_position_embeddings hidden_size/num_attention_heads", O },
	{ "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.LayerNorm", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B }, { "^encoder.layer.%L.output.dense", H " " I, B },
	{ "^encoder.emb_layer_norm_after", H, B }, { "^pooler.dense", H " " H, B | O },
	{ "^contact_head.regression", "1 num_hidden_layers*num_attention_heads", B | O }, { "lm_head.dense", H " " H, B | BESIDE },
	{ "lm_head.layer_norm", H, B | BESIDE }, { "lm_head.bias!", "vocab_size", BESIDE }, { "lm_head.decoder", "vocab_size " H, B | BESIDE },
	{ "classifier", "? " H, B | BESIDE },
	WHEN("!position_embedding_type|position_embedding_type=absolute"), { "^embeddings.position_embeddings", "max_position_embeddings " H, 0 },
	WHEN("!position_embedding_type=absolute"), { "^embeddings.position_embeddings", "max_position_embeddings " H, BESIDE },
	WHEN("emb_layer_norm_before=true"), { "^embeddings.layer_norm", H, B },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
static const struct shape_row t5_encoder[] = {
	{ "shared|encoder.embed_tokens|decoder.embed_tokens", "vocab_size d_model", 0 },
	{ "encoder.block.%L.layer.0.SelfAttention.q", "num_heads*d_kv d_model", 0 }, { "encoder.block.%L.layer.0.SelfAttention.k", "num_heads*d_kv d_model", 0 },
	{ "encoder.block.%L.layer.0.SelfAttention.v", "num_heads*d_kv d_model", 0 }, { "encoder.block.%L.layer.0.SelfAttention.o", "d_model num_heads*d_kv", 0 },
	{ "encoder.block.%L.layer.0.layer_norm", "d_model", 0 }, { "encoder.block.%L.layer.1.layer_norm", "d_model", 0 },
	{ "encoder.block.%L.layer.1.DenseReluDense.wo", "d_model d_ff", 0 },
	{ "encoder.final_layer_norm", "d_model", 0 },
	{ 0 },
};
static const struct shape_row t5_decoder[] = {
	{ "decoder.final_layer_norm", "d_model", 0 }, { "decoder.embed_tokens", "vocab_size d_model", O },
	{ "decoder.block.0.layer.0.SelfAttention.relative_attention_bias", "relative_attention_num_buckets=32 num_heads", 0 },
	{ "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias", "? num_heads", O },
	{ "decoder.block.%L.layer.0.SelfAttention.q", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.0.SelfAttention.k", "num_heads*d_kv d_model", 0 },
	{ "decoder.block.%L.layer.0.SelfAttention.v", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.0.SelfAttention.o", "d_model num_heads*d_kv", 0 },
	{ "decoder.block.%L.layer.1.EncDecAttention.q", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.1.EncDecAttention.k", "num_heads*d_kv d_model", 0 },
	{ "decoder.block.%L.layer.1.EncDecAttention.v", "num_heads*d_kv d_model", 0 }, { "decoder.block.%L.layer.1.EncDecAttention.o", "d_model num_heads*d_kv", 0 },
	{ "decoder.block.%L.layer.0.layer_norm", "d_model", 0 }, { "decoder.block.%L.layer.1.layer_norm", "d_model", 0 },
	{ "decoder.block.%L.layer.2.layer_norm", "d_model", 0 },
	{ "decoder.block.%L.layer.2.DenseReluDense.wo", "d_model d_ff", 0 },
	WHEN("!tie_word_embeddings=false"), { "lm_head", "vocab_size d_model", O },
	WHEN("tie_word_embeddings=false"), { "lm_head", "vocab_size d_model", 0 },
	{ 0 },
};
#define T5_DENSE(stack, layer, name) { stack ".block.%L.layer." layer ".DenseReluDense." name, "d_ff d_model", 0 }
/* T5's is plain, and that of its successors gated, where nothing is said. */
static const struct shape_row t5_encoder_dense[] = {
	WHEN("!feed_forward_proj=gated-*"), T5_DENSE("encoder", "1", "wi"),
	WHEN("feed_forward_proj=gated-*"), T5_DENSE("encoder", "1", "wi_0"), T5_DENSE("encoder", "1", "wi_1"),
	{ 0 },
};
static const struct shape_row t5_decoder_dense[] = {
	WHEN("!feed_forward_proj=gated-*"), T5_DENSE("decoder", "2", "wi"),
	WHEN("feed_forward_proj=gated-*"), T5_DENSE("decoder", "2", "wi_0"), T5_DENSE("decoder", "2", "wi_1"),
	{ 0 },
};
static const struct shape_row mt5_encoder_dense[] = {
	WHEN("feed_forward_proj !feed_forward_proj=gated-*"), T5_DENSE("encoder", "1", "wi"),
	WHEN("!feed_forward_proj|feed_forward_proj=gated-*"), T5_DENSE("encoder", "1", "wi_0"), T5_DENSE("encoder", "1", "wi_1"),
	{ 0 },
};
static const struct shape_row mt5_decoder_dense[] = {
	WHEN("feed_forward_proj !feed_forward_proj=gated-*"), T5_DENSE("decoder", "2", "wi"),
	WHEN("!feed_forward_proj|feed_forward_proj=gated-*"), T5_DENSE("decoder", "2", "wi_0"), T5_DENSE("decoder", "2", "wi_1"),
	{ 0 },
};
/* UMT5 has one in every layer. */
static const struct shape_row t5_distances[] = {
	{ "encoder.block.0.layer.0.SelfAttention.relative_attention_bias", "relative_attention_num_buckets=32 num_heads", 0 }, { 0 },
};
static const struct shape_row umt5_distances[] = {
	{ "encoder.block.%L.layer.0.SelfAttention.relative_attention_bias", "relative_attention_num_buckets=32 num_heads", 0 }, { 0 },
};

const struct shape_row shape_encoder_layers[] = {
	{ "^encoder.layers.%L.self_attn.q_proj", D " " D, B }, { "^encoder.layers.%L.self_attn.k_proj", D " " D, 0 },
	{ "^encoder.layers.%L.self_attn.v_proj", D " " D, B }, { "^encoder.layers.%L.self_attn.out_proj", D " " D, B },
	{ "^encoder.layers.%L.self_attn_layer_norm", D, B }, { "^encoder.layers.%L.fc1", "encoder_ffn_dim " D, B },
	{ "^encoder.layers.%L.fc2", D " encoder_ffn_dim", B }, { "^encoder.layers.%L.final_layer_norm", D, B },
	HEADS(D, "encoder_attention_heads", ""),
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
	HEADS(D, "decoder_attention_heads", ""),
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
	{ "^encoder.layernorm_embedding", D, B }, { "^decoder.layernorm_embedding", D, B }, { "qa_outputs", "? " D, B | BESIDE },
	{ "classification_head.dense", D " " D, B | BESIDE }, { "classification_head.out_proj", "? " D, B | BESIDE },
	{ 0 },
};
static const struct shape_row bart_head[] = {
	{ "classification_head.dense", D " " D, B }, { "classification_head.out_proj", "#id2label " D, B }, { 0 },
};
static const struct shape_row bart_answers[] = { { "qa_outputs", "#id2label " D, B }, { 0 } };
static const struct shape_row last_norms[] = { { "^encoder.layer_norm", D, B }, { "^decoder.layer_norm", D, B }, { 0 } };
/* Sines, which some files hold and others do not; M2M100 had them as buffers, which are read no more. */
static const struct shape_row sines[] = {
	{ "^encoder.embed_positions", "max_position_embeddings " D, O }, { "^decoder.embed_positions", "max_position_embeddings " D, O }, { 0 },
};
static const struct shape_row sine_buffers[] = {
	{ "^encoder.embed_positions.weights!", "? " D, O }, { "^decoder.embed_positions.weights!", "? " D, O }, { 0 },
};
static const struct shape_row learned[] = {
	{ "^encoder.embed_positions", "max_position_embeddings " D, 0 }, { "^decoder.embed_positions", "max_position_embeddings " D, 0 }, { 0 },
};
static const struct shape_row first_norms[] = { { "^encoder.layernorm_embedding", D, B }, { "^decoder.layernorm_embedding", D, B }, { 0 } };
/* The layers that sentence encoders add. */
static const struct shape_row dense[] = { { "linear", "out_features in_features", B }, { 0 } };
static const struct shape_row dense_unbiased[] = { { "linear", "out_features in_features", 0 }, { 0 } };
static const struct shape_row projection[] = { { "residual", "out_features in_features", 0 }, { 0 } };
static const struct shape_row layer_norm[] = { { "norm", "dimension", B }, { 0 } };
static const struct shape_row layer_weights[] = { { "layer_weights!", "?", 0 }, { 0 } };
static const struct shape_row word_weights[] = { { "emb_layer", "#vocab 1", 0 }, { 0 } };
/* The decoder is the encoder the other way round, and the one matrix has either's name. */
static const struct shape_row autoencoder[] = {
	{ "encoder|decoder.linear|decoder.encoder", "hidden_dim input_dim", 0 }, { "pre_bias!", "input_dim", 0 }, { "latent_bias!", "hidden_dim", 0 }, { "stats_last_nonzero!", "hidden_dim", O },
	{ "decoder", "? ?", O }, { 0 },
};
static const struct shape_row token_weights[] = { { "weight!", "?", 0 }, { 0 } };

#define BERT "BertModel BertFor* BertLMHeadModel "
#define ROBERTA "RobertaModel RobertaFor* XLMRobertaModel XLMRobertaFor* CamembertModel CamembertFor* ElectraModel ElectraFor*"
#define OF_ROBERTAS(task) "RobertaFor" task " XLMRobertaFor" task " CamembertFor" task
#define BERT_ROOTS "- bert. roberta. electra. camembert."
#define T5_PLAIN "T5ForConditionalGeneration T5WithLMHeadModel"
#define T5 T5_PLAIN " MT5ForConditionalGeneration"
#define T5_DECODER "num_decoder_layers|num_layers"
#define BART "BartModel BartForConditionalGeneration BartForSequenceClassification BartForQuestionAnswering "
#define MBART "MBartModel MBartForConditionalGeneration MBartForSequenceClassification MBartForQuestionAnswering "
#define MARIAN "MarianModel MarianMTModel "
#define PEGASUS "PegasusModel PegasusForConditionalGeneration "
#define M2M100 "M2M100Model M2M100ForConditionalGeneration "
#define SINES PEGASUS M2M100
#define BLENDERBOT "BlenderbotModel BlenderbotForConditionalGeneration "
#define BLENDERBOT_SMALL "BlenderbotSmallModel BlenderbotSmallForConditionalGeneration "
#define MODEL "model. -"

const struct shape_kind shape_text[] = {
	{ BERT ROBERTA, .rows = bert, .roots = BERT_ROOTS, .layers = "num_hidden_layers" },
	{ "BertForMaskedLM BertLMHeadModel BertForPreTraining", .rows = bert_words, .roots = BERT_ROOTS },
	{ "BertForPreTraining BertForNextSentencePrediction", .rows = bert_next, .roots = BERT_ROOTS },
	{ "BertForSequenceClassification BertForMultipleChoice " OF_ROBERTAS("MultipleChoice"), .rows = bert_pooler, .roots = BERT_ROOTS },
	{ "BertForSequenceClassification BertForTokenClassification ElectraForTokenClassification " OF_ROBERTAS("TokenClassification"), .rows = shape_head },
	{ "BertForQuestionAnswering ElectraForQuestionAnswering " OF_ROBERTAS("QuestionAnswering"), .rows = answers_head },
	{ "BertForMultipleChoice ElectraForMultipleChoice " OF_ROBERTAS("MultipleChoice"), .rows = choice_head },
	{ OF_ROBERTAS("SequenceClassification") " ElectraForSequenceClassification", .rows = roberta_head },
	{ OF_ROBERTAS("MaskedLM") " " OF_ROBERTAS("CausalLM"), .rows = roberta_words, .roots = BERT_ROOTS },
	{ "ElectraForMaskedLM ElectraForCausalLM", .rows = electra_words, .roots = BERT_ROOTS },
	{ "ElectraForPreTraining", .rows = electra_replaced, .roots = BERT_ROOTS },
	{ "ElectraForMultipleChoice", .rows = electra_summary },
	{ "MPNetModel MPNetFor*", .rows = mpnet, .roots = "- mpnet.", .layers = "num_hidden_layers" },
	{ "DistilBertModel DistilBertFor*", .rows = distilbert, .roots = "- distilbert.", .layers = "n_layers" },
	{ "MPNetForMaskedLM", .rows = roberta_words, .roots = "- mpnet." },
	{ "MPNetForSequenceClassification", .rows = roberta_head },
	{ "MPNetForTokenClassification", .rows = shape_head },
	{ "MPNetForMultipleChoice", .rows = bert_pooler, .roots = "- mpnet." },
	{ "DistilBertForMaskedLM", .rows = distilbert_words, .roots = "- distilbert." },
	{ "DistilBertForSequenceClassification", .rows = distilbert_head },
	{ "DistilBertForTokenClassification", .rows = distilbert_token_head },
	{ "DistilBertForMultipleChoice", .rows = distilbert_choice },
	{ "MPNetForQuestionAnswering DistilBertForQuestionAnswering DebertaV2ForQuestionAnswering AlbertForQuestionAnswering", .rows = answers_head },
	{ "MPNetForMultipleChoice DistilBertForMultipleChoice DebertaV2ForMultipleChoice AlbertForMultipleChoice ModernBertForMultipleChoice",
		.rows = choice_head },
	{ "DebertaV2Model DebertaV2For*", .rows = deberta2, .roots = "- deberta.", .layers = "num_hidden_layers" },
	{ "ModernBertModel ModernBertFor*", .rows = modernbert, .roots = "- model.", .layers = "num_hidden_layers" },
	{ "AlbertModel AlbertFor*", .rows = albert, .roots = "- albert.", .layers = "inner_group_num=1", .stages = "num_hidden_groups=1" },
	{ "DebertaV2ForMaskedLM", .rows = deberta2_words, .roots = "- deberta." },
	{ "DebertaV2ForSequenceClassification DebertaV2ForMultipleChoice", .rows = deberta2_pooler },
	{ "ModernBertForMaskedLM", .rows = modernbert_words, .roots = "- model." },
	{ "ModernBertForSequenceClassification ModernBertForTokenClassification ModernBertForQuestionAnswering ModernBertForMultipleChoice",
		.rows = modernbert_head },
	{ "AlbertForMaskedLM AlbertForPreTraining", .rows = albert_words, .roots = "- albert." },
	{ "AlbertForPreTraining", .rows = albert_order, .roots = "- albert." },
	{ "AlbertForSequenceClassification AlbertForMultipleChoice", .rows = albert_pooler, .roots = "- albert." },
	{ "ModernBertForQuestionAnswering", .rows = shape_head },
	{ "DebertaV2ForSequenceClassification DebertaV2ForTokenClassification ModernBertForSequenceClassification ModernBertForTokenClassification"
		" AlbertForSequenceClassification AlbertForTokenClassification", .rows = shape_head },
	{ "EsmModel EsmForMaskedLM EsmForSequenceClassification EsmForTokenClassification", .rows = esm, .roots = "- esm.", .layers = "num_hidden_layers" },
	{ "EsmForMaskedLM", .rows = roberta_words, .roots = "- esm." },
	{ "EsmForSequenceClassification", .rows = roberta_head },
	{ "EsmForTokenClassification", .rows = shape_head },
	{ T5 " T5EncoderModel UMT5EncoderModel", .rows = t5_encoder, .layers = "num_layers" },
	{ T5 " T5EncoderModel", .rows = t5_distances },
	{ "UMT5EncoderModel", .rows = umt5_distances, .layers = "num_layers" },
	{ T5_PLAIN " T5EncoderModel", .rows = t5_encoder_dense, .layers = "num_layers" },
	{ "MT5ForConditionalGeneration UMT5EncoderModel", .rows = mt5_encoder_dense, .layers = "num_layers" },
	{ T5, .rows = t5_decoder, .layers = T5_DECODER },
	{ T5_PLAIN, .rows = t5_decoder_dense, .layers = T5_DECODER },
	{ "MT5ForConditionalGeneration", .rows = mt5_decoder_dense, .layers = T5_DECODER },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_encoder_layers, .roots = MODEL, .layers = "encoder_layers" },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_encoder_key_bias, .roots = MODEL, .layers = "encoder_layers" },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_decoder_layers, .roots = MODEL, .layers = "decoder_layers" },
	{ BART MBART MARIAN SINES BLENDERBOT BLENDERBOT_SMALL, .rows = shape_decoder_key_bias, .roots = MODEL, .layers = "decoder_layers" },
	{ BART MBART SINES BLENDERBOT BLENDERBOT_SMALL, .rows = one_embedding, .roots = MODEL },
	{ MARIAN, .rows = one_embedding, .roots = MODEL, .when = "!share_encoder_decoder_embeddings=false" },
	{ MARIAN, .rows = two_embeddings, .roots = MODEL, .when = "share_encoder_decoder_embeddings=false" },
	{ BART MBART, .rows = bart_ends, .roots = MODEL },
	{ "BartForSequenceClassification MBartForSequenceClassification", .rows = bart_head },
	{ "BartForQuestionAnswering MBartForQuestionAnswering", .rows = bart_answers, .roots = MODEL },
	{ BLENDERBOT BLENDERBOT_SMALL, .rows = learned, .roots = MODEL },
	{ BLENDERBOT_SMALL, .rows = first_norms, .roots = MODEL },
	{ MBART SINES BLENDERBOT, .rows = last_norms, .roots = MODEL },
	{ MARIAN PEGASUS, .rows = sines, .roots = MODEL },
	{ M2M100, .rows = sine_buffers, .roots = MODEL },
	{ "Dense ProjectedDense", .rows = dense, .when = "!bias=false" }, { "Dense ProjectedDense", .rows = dense_unbiased, .when = "bias=false" },
	{ "ProjectedDense", .rows = projection }, { "LayerNorm", .rows = layer_norm }, { "WeightedLayerPooling", .rows = layer_weights },
	{ "WordWeights", .rows = word_weights }, { "SparseAutoEncoder", .rows = autoencoder },
	{ "SparseStaticEmbedding", .rows = token_weights },
	{ 0 },
};
