/* shape_speech.c - kinds of speech and sound models; see shape_table.h. */
#include "infer/shape_table.h"

static const struct shape_row whisper_ends[] = {
	{ "^encoder.conv1", D " num_mel_bins 3", B }, { "^encoder.conv2", D " " D " 3", B }, { "^encoder.embed_positions", "max_source_positions " D, 0 },
	{ "^encoder.layer_norm", D, B }, { "^decoder.embed_tokens", "vocab_size " D, 0 }, { "^decoder.embed_positions", "max_target_positions " D, 0 },
	{ "^decoder.layer_norm", D, B }, { "proj_out", "vocab_size " D, O },
	{ 0 },
};

#define CONV "conv_dim.%S"
#define GROUPS "num_conv_pos_embedding_groups=16"
#define TAPS "num_conv_pos_embeddings=128"
#define POSITIONS "^encoder.pos_conv_embed.conv."

static const struct shape_row wav2vec2[] = {
	{ "^feature_projection.projection", H " conv_dim.last", B }, { "^encoder.layer_norm", H, B }, { "^masked_spec_embed!", H, O },
	{ "^encoder.layers.%L.attention.q_proj", H " " H, B }, { "^encoder.layers.%L.attention.k_proj", H " " H, B },
	{ "^encoder.layers.%L.attention.v_proj", H " " H, B }, { "^encoder.layers.%L.attention.out_proj", H " " H, B },
	{ "^encoder.layers.%L.layer_norm", H, B }, { "^encoder.layers.%L.final_layer_norm", H, B },
	{ "^encoder.layers.%L.feed_forward.intermediate_dense", I " " H, B }, { "^encoder.layers.%L.feed_forward.output_dense", H " " I, B },
	{ "layer_weights!", "1+num_hidden_layers", BESIDE },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
static const struct shape_row language[] = {
	{ "^encoder.layers.%L.adapter_layer.norm", H, B }, { "^encoder.layers.%L.adapter_layer.linear_1", "adapter_attn_dim " H, B },
	{ "^encoder.layers.%L.adapter_layer.linear_2", H " adapter_attn_dim", B },
	{ 0 },
};
static const struct shape_row adapter[] = {
	{ "^adapter.layers.%L.conv", "2*output_hidden_size|hidden_size output_hidden_size|hidden_size adapter_kernel_size=3", B },
	WHEN("output_hidden_size<>hidden_size"),
	{ "^adapter.proj", "output_hidden_size " H, B }, { "^adapter.proj_layer_norm", "output_hidden_size", B },
	{ 0 },
};
static const struct shape_row feature_extractor[] = {
	{ "^feature_extractor.conv_layers.%S.conv", CONV " conv_dim.%P=1 conv_kernel.%S", 0 },
	{ "^feature_extractor.conv_layers.0.layer_norm", "conv_dim.0", B },
	{ 0 },
};
static const struct shape_row feature_bias[] = { { "^feature_extractor.conv_layers.%S.conv.bias!", CONV, 0 }, { 0 } };
static const struct shape_row feature_norms[] = { { "^feature_extractor.conv_layers.%S.layer_norm", CONV, B }, { 0 } };
static const struct shape_row feature_projection[] = { { "^feature_projection.layer_norm", "conv_dim.last", B }, { 0 } };
/* A matrix as its length and its direction, as torch has spelled them before and since version 2. */
static const struct shape_row positions[] = {
	{ POSITIONS "parametrizations.weight.original0!|" POSITIONS "weight_g!", "1 1 " TAPS, 0 },
	{ POSITIONS "parametrizations.weight.original1!|" POSITIONS "weight_v!", H " " H "/" GROUPS " " TAPS, 0 }, { POSITIONS "bias!", H, 0 },
	{ 0 },
};
static const struct shape_row positions_normed[] = {
	{ POSITIONS "weight!", H " " H "/" GROUPS " " TAPS, 0 }, { POSITIONS "bias!", H, 0 }, BATCH_NORM("^encoder.pos_conv_embed.batch_norm", H), { 0 },
};
static const struct shape_row wavlm[] = {
	{ "^encoder.layers.0.attention.rel_attn_embed", "num_buckets num_attention_heads", 0 },
	{ "^encoder.layers.%L.attention.gru_rel_pos_const!", "1 num_attention_heads 1 1", 0 },
	{ "^encoder.layers.%L.attention.gru_rel_pos_linear", "8 " H "/num_attention_heads", B },
	{ 0 },
};
static const struct shape_row ctc[] = { { "lm_head", "vocab_size ?", B }, { 0 } };
static const struct shape_row quantizer[] = {
	{ "quantizer.codevectors!", "1 num_codevectors_per_group*num_codevector_groups codevector_dim/num_codevector_groups", 0 },
	{ "quantizer.weight_proj", "num_codevectors_per_group*num_codevector_groups conv_dim.last", B },
	{ "project_q", "proj_codevector_dim codevector_dim", B }, { "project_hid", "proj_codevector_dim " H, B },
	{ 0 },
};
static const struct shape_row unispeech[] = {
	{ "quantizer.codevectors!", "1 num_codevectors_per_group*num_codevector_groups codevector_dim/num_codevector_groups", O },
	{ "quantizer.weight_proj", "num_codevectors_per_group*num_codevector_groups conv_dim.last", B | O },
	{ "project_q", "proj_codevector_dim codevector_dim", B | O }, { "project_hid", H " proj_codevector_dim", B | O },
	{ "ctc_proj", "num_ctc_classes " H, B | O },
	{ 0 },
};
static const struct shape_row unispeech_sat[] = {
	{ "quantizer.codevectors!", "1 num_codevectors_per_group*num_codevector_groups codevector_dim/num_codevector_groups", O },
	{ "quantizer.weight_proj", "num_codevectors_per_group*num_codevector_groups " H, B | O },
	{ "project_q", "proj_codevector_dim codevector_dim", B | O }, { "project_hid", "proj_codevector_dim " H, B | O },
	{ "speaker_proj", "codevector_dim " H, B | O }, { "layer_norm_for_extract", H, B | O },
	{ 0 },
};
static const struct shape_row weighted[] = { { "layer_weights!", "1+num_hidden_layers", 0 }, { 0 } };
static const struct shape_row utterance_head[] = {
	{ "projector", "classifier_proj_size=256 " H, B }, { "classifier", "#id2label classifier_proj_size=256", B }, { 0 },
};
static const struct shape_row xvector[] = {
	{ "projector", "tdnn_dim.0 " H, B }, { "tdnn.%S.kernel", "tdnn_dim.%S tdnn_dim.%P|tdnn_dim.0*tdnn_kernel.%S", B },
	{ "feature_extractor", "xvector_output_dim 2*tdnn_dim.last", B }, { "classifier", "xvector_output_dim xvector_output_dim", B },
	{ "objective", "xvector_output_dim ?", O },
	{ 0 },
};
/* How many patches there are depends on strides. */
static const struct shape_row spectrogram[] = {
	{ "^embeddings.patch_embeddings.projection", H " 1 patch_size patch_size", B }, { "^embeddings.cls_token!", "1 1 " H, 0 },
	{ "^embeddings.distillation_token!", "1 1 " H, 0 }, { "^embeddings.position_embeddings!", "1 ? " H, 0 }, { "^layernorm", H, B },
	{ 0 },
};
static const struct shape_row spectrogram_head[] = { { "classifier.layernorm", H, B }, { "classifier.dense", "#id2label " H, B }, { 0 } };

#define WAVLM "WavLMModel WavLMForCTC WavLMForSequenceClassification WavLMForAudioFrameClassification WavLMForXVector"
/* Those with adapters for languages: WavLM's configuration may give their width too, and no class of it builds them. */
#define LANGUAGES "HubertModel HubertForCTC HubertForSequenceClassification Wav2Vec2Model Wav2Vec2ForCTC Wav2Vec2ForPreTraining" \
	" Wav2Vec2ForSequenceClassification Wav2Vec2ForAudioFrameClassification Wav2Vec2ForXVector" \
	" UniSpeechModel UniSpeechForCTC UniSpeechForSequenceClassification UniSpeechForPreTraining UniSpeechSatModel UniSpeechSatForCTC" \
	" UniSpeechSatForSequenceClassification UniSpeechSatForAudioFrameClassification UniSpeechSatForXVector UniSpeechSatForPreTraining"
#define WAV2VEC2 WAVLM " " LANGUAGES
#define ROOTS "- wav2vec2. hubert. wavlm. unispeech. unispeech_sat."
#define UTTERANCES "Wav2Vec2ForSequenceClassification HubertForSequenceClassification WavLMForSequenceClassification" \
	" UniSpeechForSequenceClassification UniSpeechSatForSequenceClassification"
#define FRAMES "Wav2Vec2ForAudioFrameClassification WavLMForAudioFrameClassification UniSpeechSatForAudioFrameClassification"
#define SPEAKERS "Wav2Vec2ForXVector WavLMForXVector UniSpeechSatForXVector"
#define AST "ASTModel ASTForAudioClassification"
#define AST_ROOTS "- audio_spectrogram_transformer."

const struct shape_kind shape_speech[] = {
	{ "WhisperForConditionalGeneration", .rows = whisper_ends, .roots = "model. -" },
	{ "WhisperForConditionalGeneration", .rows = shape_encoder_layers, .roots = "model. -", .layers = "encoder_layers" },
	{ "WhisperForConditionalGeneration", .rows = shape_decoder_layers, .roots = "model. -", .layers = "decoder_layers" },
	{ WAV2VEC2, .rows = wav2vec2, .roots = ROOTS, .layers = "num_hidden_layers" },
	{ WAV2VEC2, .rows = feature_extractor, .roots = ROOTS, .stages = "#conv_dim" },
	{ WAV2VEC2, .rows = feature_bias, .roots = ROOTS, .stages = "#conv_dim", .when = "conv_bias=true" },
	{ WAV2VEC2, .rows = feature_norms, .roots = ROOTS, .stages = "#conv_dim", .when = "feat_extract_norm=layer" },
	{ WAV2VEC2, .rows = feature_projection, .roots = ROOTS, .when = "!feat_proj_layer_norm=false" },
	{ WAV2VEC2, .rows = positions, .roots = ROOTS, .when = "!conv_pos_batch_norm=true" },
	{ WAV2VEC2, .rows = positions_normed, .roots = ROOTS, .when = "conv_pos_batch_norm=true" },
	{ LANGUAGES, .rows = language, .roots = ROOTS, .layers = "num_hidden_layers", .when = "adapter_attn_dim do_stable_layer_norm=true" },
	{ WAVLM " Wav2Vec2Model Wav2Vec2For*", .rows = adapter, .roots = ROOTS, .layers = "num_adapter_layers=3", .when = "add_adapter=true" },
	{ WAVLM, .rows = wavlm, .roots = ROOTS, .layers = "num_hidden_layers" },
	{ "Wav2Vec2ForCTC HubertForCTC WavLMForCTC UniSpeechForCTC UniSpeechSatForCTC", .rows = ctc },
	{ "Wav2Vec2ForPreTraining", .rows = quantizer },
	{ "UniSpeechForPreTraining", .rows = unispeech },
	{ "UniSpeechSatForPreTraining", .rows = unispeech_sat },
	{ UTTERANCES " " FRAMES " " SPEAKERS, .rows = weighted, .when = "use_weighted_layer_sum=true" },
	{ UTTERANCES, .rows = utterance_head },
	{ FRAMES, .rows = shape_head },
	{ SPEAKERS, .rows = xvector, .stages = "#tdnn_dim" },
	{ AST, .rows = spectrogram, .roots = AST_ROOTS },
	{ AST, .rows = shape_vit_layers, .roots = AST_ROOTS, .layers = "num_hidden_layers" },
	{ AST, .rows = shape_vit_bias, .roots = AST_ROOTS, .layers = "num_hidden_layers", .when = "!qkv_bias=false" },
	{ "ASTForAudioClassification", .rows = spectrogram_head },
	{ 0 },
};
