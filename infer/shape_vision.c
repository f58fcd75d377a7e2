/* shape_vision.c - kinds of vision models, and of those that set pictures beside text; see shape_table.h. */
#include "infer/shape_table.h"

#define PATCH "num_channels=3 patch_size.0 patch_size.1"

const struct shape_row shape_vit_layers[] = {
	{ "^encoder.layer.%L.attention.attention.query", H " " H, 0 }, { "^encoder.layer.%L.attention.attention.key", H " " H, 0 },
	{ "^encoder.layer.%L.attention.attention.value", H " " H, 0 }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.layernorm_before", H, B }, { "^encoder.layer.%L.layernorm_after", H, B }, { "^encoder.layer.%L.intermediate.dense", I " " H, B },
	{ "^encoder.layer.%L.output.dense", H " " I, B },
	VIT_HEADS,
	{ 0 },
};
const struct shape_row shape_vit_bias[] = {
	{ "^encoder.layer.%L.attention.attention.query.bias!", H, 0 }, { "^encoder.layer.%L.attention.attention.key.bias!", H, 0 },
	{ "^encoder.layer.%L.attention.attention.value.bias!", H, 0 },
	{ 0 },
};
static const struct shape_row vit[] = {
	{ "^embeddings.patch_embeddings.projection", H " " PATCH, B }, { "^embeddings.cls_token!", "1 1 " H, 0 },
	{ "^embeddings.position_embeddings!", "1 1+@patches " H, 0 }, { "^embeddings.mask_token!", "? ? " H, O },
	{ "^layernorm", H, B }, { "^pooler.dense", "pooler_output_size|hidden_size " H, B | O },
	{ 0 },
};
static const struct shape_row deit[] = {
	{ "^embeddings.patch_embeddings.projection", H " " PATCH, B }, { "^embeddings.cls_token!", "1 1 " H, 0 },
	{ "^embeddings.distillation_token!", "1 1 " H, 0 }, { "^embeddings.position_embeddings!", "1 2+@patches " H, 0 },
	{ "^embeddings.mask_token!", "? ? " H, O }, { "^layernorm", H, B }, { "^pooler.dense", "pooler_output_size|hidden_size " H, B | O },
	{ 0 },
};
static const struct shape_row deit_heads[] = { { "cls_classifier", "#id2label " H, B }, { "distillation_classifier", "#id2label " H, B }, { 0 } };
#define DISTANCES "4+4*@patches+-2*image_size.0/patch_size.0+-2*image_size.1/patch_size.1 num_attention_heads"

/* Keys have no bias. */
static const struct shape_row beit[] = {
	{ "^embeddings.patch_embeddings.projection", H " " PATCH, B }, { "^embeddings.cls_token!", "1 1 " H, 0 }, { "^embeddings.mask_token!", "1 1 " H, O },
	{ "^encoder.layer.%L.attention.attention.query.bias!", H, 0 }, { "^encoder.layer.%L.attention.attention.value.bias!", H, 0 },
	{ "lm_head", "vocab_size " H, B | BESIDE },
	WHEN("!layer_scale_init_value=0"), { "^encoder.layer.%L.lambda_1!", H, 0 }, { "^encoder.layer.%L.lambda_2!", H, 0 },
	WHEN("use_absolute_position_embeddings=true"), { "^embeddings.position_embeddings!", "1 1+@patches " H, 0 },
	WHEN("use_shared_relative_position_bias=true"), { "^encoder.relative_position_bias.relative_position_bias_table!", DISTANCES, 0 },
	WHEN("use_relative_position_bias=true"),
	{ "^encoder.layer.%L.attention.attention.relative_position_bias.relative_position_bias_table!", DISTANCES, 0 },
	{ 0 },
};
static const struct shape_row beit_norm[] = {
	{ "^embeddings.patch_embeddings.projection", H " " PATCH, B }, { "^pooler.layernorm|^layernorm|layernorm", H, B },
	{ 0 },
};
/* Its bare model may be saved without the pooler that has the norm. */
static const struct shape_row data2vec_norm[] = { { "^pooler.layernorm|^layernorm", H, B | O }, { 0 } };
static const struct shape_row beit_masked[] = {
	{ "^embeddings.patch_embeddings.projection", H " " PATCH, B }, { "lm_head", "vocab_size " H, B },
	WHEN("use_mask_token=true"), { "^embeddings.mask_token!", "1 1 " H, 0 },
	{ 0 },
};
static const struct shape_row dino2[] = {
	{ "^embeddings.patch_embeddings.projection", H " " PATCH, B }, { "^embeddings.cls_token!", "1 1 " H, 0 },
	{ "^embeddings.position_embeddings!", "1 1+@patches " H, 0 }, { "^embeddings.mask_token!", "1 " H, O },
	{ "^encoder.layer.%L.norm1", H, B }, { "^encoder.layer.%L.norm2", H, B },
	{ "^encoder.layer.%L.attention.attention.query", H " " H, 0 }, { "^encoder.layer.%L.attention.attention.key", H " " H, 0 },
	{ "^encoder.layer.%L.attention.attention.value", H " " H, 0 }, { "^encoder.layer.%L.attention.output.dense", H " " H, B },
	{ "^encoder.layer.%L.layer_scale1.lambda1!", H, 0 }, { "^encoder.layer.%L.layer_scale2.lambda1!", H, 0 }, { "^layernorm", H, B },
	VIT_HEADS,
	{ 0 },
};
static const struct shape_row dino2_plain[] = {
	{ "^encoder.layer.%L.mlp.fc1", H "*mlp_ratio=4 " H, B }, { "^encoder.layer.%L.mlp.fc2", H " " H "*mlp_ratio=4", B }, { 0 },
};
static const struct shape_row dino2_gated[] = {
	{ "^encoder.layer.%L.mlp.weights_in", "2*@gated_width " H, B }, { "^encoder.layer.%L.mlp.weights_out", H " @gated_width", B }, { 0 },
};
static const struct shape_row dino2_registers[] = { { "^embeddings.register_tokens!", "1 num_register_tokens=4 " H, 0 }, { 0 } };
static const struct shape_row dino2_head[] = { { "classifier", "#id2label 2*" H, B }, { 0 } };

#define DINO3_LAYER(name) "^layer.%L." name "|^model.layer.%L." name "|^encoder.layer.%L." name

static const struct shape_row dino3[] = {
	{ "^embeddings.patch_embeddings", H " " PATCH, B }, { "^embeddings.cls_token!", "1 1 " H, 0 }, { "^embeddings.mask_token!", "1 1 " H, O },
	{ "^embeddings.register_tokens!", "1 num_register_tokens " H, 0 },
	{ DINO3_LAYER("norm1"), H, B }, { DINO3_LAYER("norm2"), H, B }, { DINO3_LAYER("attention.q_proj"), H " " H, 0 }, { DINO3_LAYER("attention.k_proj"), H " " H, 0 },
	{ DINO3_LAYER("attention.v_proj"), H " " H, 0 }, { DINO3_LAYER("attention.o_proj"), H " " H, 0 },
	{ DINO3_LAYER("layer_scale1.lambda1!"), H, 0 }, { DINO3_LAYER("layer_scale2.lambda1!"), H, 0 },
	{ DINO3_LAYER("mlp.up_proj"), I " " H, 0 }, { DINO3_LAYER("mlp.down_proj"), H " " I, 0 }, { "^norm", H, B },
	WHEN("!query_bias=false"), { DINO3_LAYER("attention.q_proj.bias!"), H, 0 }, WHEN("key_bias=true"), { DINO3_LAYER("attention.k_proj.bias!"), H, 0 },
	WHEN("!value_bias=false"), { DINO3_LAYER("attention.v_proj.bias!"), H, 0 }, WHEN("!proj_bias=false"), { DINO3_LAYER("attention.o_proj.bias!"), H, 0 },
	WHEN("!mlp_bias=false"), { DINO3_LAYER("mlp.up_proj.bias!"), I, 0 }, { DINO3_LAYER("mlp.down_proj.bias!"), H, 0 },
	WHEN("use_gated_mlp=true"), { DINO3_LAYER("mlp.gate_proj"), I " " H, 0 },
	WHEN("use_gated_mlp=true !mlp_bias=false"), { DINO3_LAYER("mlp.gate_proj.bias!"), I, 0 },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};

#define SWIN "embed_dim*1<<%S"
#define SWIN_BLOCK "^encoder.layers.%S.blocks.%L."

static const struct shape_row swin[] = {
	{ "^embeddings.patch_embeddings.projection", "embed_dim " PATCH, B }, { "^embeddings.norm", "embed_dim", B },
	{ "^embeddings.mask_token!", "1 1 embed_dim", O },
	{ SWIN_BLOCK "layernorm_before", SWIN, B }, { SWIN_BLOCK "layernorm_after", SWIN, B },
	{ SWIN_BLOCK "attention.self.query", SWIN " " SWIN, 0 }, { SWIN_BLOCK "attention.self.key", SWIN " " SWIN, 0 },
	{ SWIN_BLOCK "attention.self.value", SWIN " " SWIN, 0 }, { SWIN_BLOCK "attention.output.dense", SWIN " " SWIN, B },
	{ SWIN_BLOCK "intermediate.dense", SWIN "*mlp_ratio=4 " SWIN, B }, { SWIN_BLOCK "output.dense", SWIN " " SWIN "*mlp_ratio=4", B },
	{ "^encoder.layers.%P.downsample.reduction", SWIN " 2*" SWIN, LATER }, { "^layernorm", "embed_dim*1<<%Z", B },
	WHEN("use_absolute_embeddings=true"), { "^embeddings.position_embeddings!", "1 @patches embed_dim", 0 },
	HEADS(SWIN, "num_heads", ".%S"),
	{ 0 },
};
static const struct shape_row swin_bias[] = {
	{ SWIN_BLOCK "attention.self.query.bias!", SWIN, 0 }, { SWIN_BLOCK "attention.self.value.bias!", SWIN, 0 }, { 0 },
};
static const struct shape_row swin1[] = {
	{ SWIN_BLOCK "attention.self.relative_position_bias_table!", "1+4*window_size*window_size+-4*window_size num_heads.%S", 0 },
	{ "^encoder.layers.%P.downsample.norm", "2*" SWIN, B | LATER },
	WHEN("!qkv_bias=false"), { SWIN_BLOCK "attention.self.key.bias!", SWIN, 0 },
	{ 0 },
};
static const struct shape_row swin2[] = {
	{ SWIN_BLOCK "attention.self.logit_scale!", "num_heads.%S 1 1", 0 }, { SWIN_BLOCK "attention.self.continuous_position_bias_mlp.0", "512 2", B },
	{ SWIN_BLOCK "attention.self.continuous_position_bias_mlp.2", "num_heads.%S 512", 0 }, { "^encoder.layers.%P.downsample.norm", SWIN, B | LATER }, { 0 },
};
static const struct shape_row swin_head[] = { { "classifier", "#id2label embed_dim*1<<%Z", B }, { 0 } };

#define W "hidden_sizes.%S"

static const struct shape_row convnext[] = {
	{ "^embeddings.patch_embeddings", "hidden_sizes.0 " PATCH, B }, { "^embeddings.layernorm", "hidden_sizes.0", B },
	{ "^encoder.stages.%S.downsampling_layer.0", "hidden_sizes.%P", B | LATER }, { "^encoder.stages.%S.downsampling_layer.1", W " hidden_sizes.%P 2 2", B | LATER },
	{ "^encoder.stages.%S.layers.%L.dwconv", W " 1 7 7", B }, { "^encoder.stages.%S.layers.%L.layernorm", W, B },
	{ "^encoder.stages.%S.layers.%L.pwconv1", "4*" W " " W, B }, { "^encoder.stages.%S.layers.%L.pwconv2", W " 4*" W, B },
	{ "^layernorm", "hidden_sizes.last", B },
	{ 0 },
};
static const struct shape_row convnext1[] = { { "^encoder.stages.%S.layers.%L.layer_scale_parameter!", W, 0 }, { 0 } };
static const struct shape_row convnext2[] = {
	{ "^encoder.stages.%S.layers.%L.grn.weight!", "1 1 1 4*" W, 0 }, { "^encoder.stages.%S.layers.%L.grn.bias!", "1 1 1 4*" W, 0 }, { 0 },
};
static const struct shape_row convnext_head[] = { { "classifier", "#id2label hidden_sizes.last", B }, { 0 } };

#define RESNET_LAYER "^encoder.stages.%S.layers.%L."
#define CONVOLUTION(name, width, dims) { name ".convolution", width " " dims, 0 }, BATCH_NORM(name ".normalization", width)

/* What a block's first convolution takes is the width before it, which in the first block of a stage is another's. */
static const struct shape_row resnet[] = {
	CONVOLUTION("^embedder.embedder", "embedding_size", "num_channels=3 7 7"),
	{ "^encoder.stages.%S.layers.0.shortcut.convolution", W " hidden_sizes.%P 1 1", LATER },
	{ "^encoder.stages.%S.layers.0.shortcut.normalization", W, B | LATER },
	{ "^encoder.stages.%S.layers.0.shortcut.normalization.running_mean!", W, LATER },
	{ "^encoder.stages.%S.layers.0.shortcut.normalization.running_var!", W, LATER },
	WHEN("downsample_in_first_stage=true|embedding_size<>hidden_sizes.0"),
	CONVOLUTION("^encoder.stages.0.layers.0.shortcut", "hidden_sizes.0", "embedding_size 1 1"),
	{ 0 },
};
static const struct shape_row resnet_basic[] = {
	CONVOLUTION(RESNET_LAYER "layer.0", W, "? 3 3"), CONVOLUTION(RESNET_LAYER "layer.1", W, W " 3 3"), { 0 },
};
static const struct shape_row resnet_bottleneck[] = {
	CONVOLUTION(RESNET_LAYER "layer.0", W "/4", "? 1 1"), CONVOLUTION(RESNET_LAYER "layer.1", W "/4", W "/4 3 3"),
	CONVOLUTION(RESNET_LAYER "layer.2", W, W "/4 1 1"), { 0 },
};
static const struct shape_row resnet_head[] = { { "classifier.1", "#id2label hidden_sizes.last", B }, { 0 } };

#define SEGFORMER_BLOCK "^encoder.block.%S.%L."

static const struct shape_row segformer[] = {
	{ "^encoder.patch_embeddings.%S.proj", W " hidden_sizes.%P|num_channels=3 patch_sizes.%S patch_sizes.%S", B },
	{ "^encoder.patch_embeddings.%S.layer_norm", W, B }, { "^encoder.layer_norm.%S", W, B },
	{ SEGFORMER_BLOCK "layer_norm_1", W, B }, { SEGFORMER_BLOCK "layer_norm_2", W, B },
	{ SEGFORMER_BLOCK "attention.self.query", W " " W, B }, { SEGFORMER_BLOCK "attention.self.key", W " " W, B },
	{ SEGFORMER_BLOCK "attention.self.value", W " " W, B }, { SEGFORMER_BLOCK "attention.output.dense", W " " W, B },
	{ SEGFORMER_BLOCK "mlp.dense1", W "*mlp_ratios.%S " W, B }, { SEGFORMER_BLOCK "mlp.dwconv.dwconv", W "*mlp_ratios.%S 1 3 3", B },
	{ SEGFORMER_BLOCK "mlp.dense2", W " " W "*mlp_ratios.%S", B },
	WHEN("!sr_ratios.%S=1"), { SEGFORMER_BLOCK "attention.self.sr", W " " W " sr_ratios.%S sr_ratios.%S", B },
	{ SEGFORMER_BLOCK "attention.self.layer_norm", W, B },
	HEADS(W, "num_attention_heads", ".%S"),
	{ 0 },
};
static const struct shape_row segformer_decoder[] = {
	{ "decode_head.linear_c.%S.proj", "decoder_hidden_size=256 " W, B },
	{ "decode_head.linear_fuse", "decoder_hidden_size=256 decoder_hidden_size=256*#hidden_sizes 1 1", 0 },
	BATCH_NORM("decode_head.batch_norm", "decoder_hidden_size=256"), { "decode_head.classifier", "#id2label decoder_hidden_size=256 1 1", B },
	{ 0 },
};
static const struct shape_row detr[] = {
	{ "model.input_projection", D " ? 1 1", B }, { "model.query_position_embeddings", "num_queries " D, 0 }, { "model.decoder.layernorm", D, B },
	{ "class_labels_classifier", "1+#id2label " D, B }, { "bbox_predictor.layers.0", D " " D, B }, { "bbox_predictor.layers.1", D " " D, B },
	{ "bbox_predictor.layers.2", "4 " D, B },
	{ 0 },
};

static const struct shape_row clip_text[] = {
	{ "^embeddings.token_embedding", "vocab_size " H, 0 }, { "^embeddings.position_embedding", "max_position_embeddings " H, 0 },
	{ "^encoder.layers.%L.self_attn.q_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.k_proj", H " " H, B },
	{ "^encoder.layers.%L.self_attn.v_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.out_proj", H " " H, B },
	{ "^encoder.layers.%L.layer_norm1", H, B }, { "^encoder.layers.%L.layer_norm2", H, B }, { "^encoder.layers.%L.mlp.fc1", I " " H, B },
	{ "^encoder.layers.%L.mlp.fc2", H " " I, B }, { "^final_layer_norm", H, B },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
static const struct shape_row clip_vision[] = {
	{ "^embeddings.patch_embedding", H " " PATCH, 0 },
	{ "^encoder.layers.%L.self_attn.q_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.k_proj", H " " H, B },
	{ "^encoder.layers.%L.self_attn.v_proj", H " " H, B }, { "^encoder.layers.%L.self_attn.out_proj", H " " H, B },
	{ "^encoder.layers.%L.layer_norm1", H, B }, { "^encoder.layers.%L.layer_norm2", H, B }, { "^encoder.layers.%L.mlp.fc1", I " " H, B },
	{ "^encoder.layers.%L.mlp.fc2", H " " I, B }, { "^post_layernorm", H, B },
	HEADS(H, "num_attention_heads", ""),
	{ 0 },
};
static const struct shape_row clip_patched[] = {
	{ "^embeddings.patch_embedding", H " " PATCH, 0 }, { "^embeddings.class_embedding!", H, 0 }, { "^embeddings.position_embedding", "1+@patches " H, 0 },
	{ "^pre_layrnorm|^pre_layernorm", H, B },
	{ 0 },
};
static const struct shape_row siglip_text[] = {
	{ "^embeddings.token_embedding", "vocab_size " H, 0 }, { "^head", "projection_size|hidden_size " H, B }, { 0 },
};
static const struct shape_row siglip_patched[] = {
	{ "^embeddings.patch_embedding", H " " PATCH, B }, { "^embeddings.position_embedding", "@patches " H, 0 },
	WHEN("!vision_use_head=false"), { "^head.probe!", "1 1 " H, 0 }, { "^head.attention.in_proj_weight!", "3*" H " " H, 0 },
	{ "^head.attention.in_proj_bias!", "3*" H, 0 }, { "^head.attention.out_proj", H " " H, B }, { "^head.layernorm", H, B },
	{ "^head.mlp.fc1", I " " H, B }, { "^head.mlp.fc2", H " " I, B },
	{ 0 },
};
static const struct shape_row clip_ends[] = {
	{ "logit_scale!", "", 0 }, { "text_projection", "projection_dim=512 ?", 0 }, { "visual_projection", "projection_dim=512 ?", 0 }, { 0 },
};
static const struct shape_row clip_vision_end[] = { { "visual_projection", "projection_dim=512 " H, 0 }, { 0 } };
static const struct shape_row clip_text_end[] = { { "text_projection", "projection_dim=512 " H, 0 }, { 0 } };
static const struct shape_row siglip_ends[] = { { "logit_scale!", "1", 0 }, { "logit_bias!", "1", 0 }, { 0 } };

/* These write of each part only what differs from its class, so that google/siglip-base says no more than its vocabulary. */
#define CLIP_TEXT "vocab_size=49408 hidden_size=512 intermediate_size=2048 num_hidden_layers=12 max_position_embeddings=77"
#define CLIP_VISION "hidden_size=768 intermediate_size=3072 num_hidden_layers=12 image_size=224 patch_size=32"
#define SIGLIP_TEXT "vocab_size=32000 hidden_size=768 intermediate_size=3072 num_hidden_layers=12 max_position_embeddings=64"
#define SIGLIP_VISION "hidden_size=768 intermediate_size=3072 num_hidden_layers=12 image_size=224 patch_size=16"

#define VIT "ViTModel ViTForImageClassification"
#define DEIT "DeiTModel DeiTForImageClassification DeiTForImageClassificationWithTeacher"
#define BEIT "BeitModel BeitForImageClassification BeitForMaskedImageModeling Data2VecVisionModel Data2VecVisionForImageClassification"
#define DINO2 "Dinov2Model Dinov2ForImageClassification Dinov2WithRegistersModel Dinov2WithRegistersForImageClassification"
#define DINO2_ROOTS "- dinov2. dinov2_with_registers."
#define SWIN1 "SwinModel SwinForImageClassification"
#define SWIN2 "Swinv2Model Swinv2ForImageClassification"
#define CONVNEXT1 "ConvNextModel ConvNextForImageClassification"
#define CONVNEXT2 "ConvNextV2Model ConvNextV2ForImageClassification"
#define RESNET "ResNetModel ResNetForImageClassification"
#define SEGFORMER "SegformerModel SegformerForSemanticSegmentation SegformerForImageClassification"
#define CLIP_EYES "CLIPVisionModel CLIPVisionModelWithProjection"
#define LAYERS "num_hidden_layers"
#define STAGED .layers = "depths.%S", .stages = "#depths"

const struct shape_kind shape_vision[] = {
	{ VIT " ViTMAEModel", .rows = vit, .roots = "- vit." },
	{ VIT " ViTMAEModel", .rows = shape_vit_layers, .roots = "- vit.", .layers = LAYERS },
	{ VIT " ViTMAEModel ViTMAEForPreTraining", .rows = shape_vit_bias, .roots = "- vit.", .layers = LAYERS, .when = "!qkv_bias=false" },
	{ "ViTMAEForPreTraining", .rows = vit, .roots = "vit.", .partial = true },
	{ "ViTMAEForPreTraining", .rows = shape_vit_layers, .roots = "vit.", .layers = LAYERS, .partial = true },
	{ DEIT, .rows = deit, .roots = "- deit." },
	{ DEIT, .rows = shape_vit_layers, .roots = "- deit.", .layers = LAYERS },
	{ DEIT, .rows = shape_vit_bias, .roots = "- deit.", .layers = LAYERS, .when = "!qkv_bias=false" },
	{ "DeiTForImageClassificationWithTeacher", .rows = deit_heads },
	{ BEIT, .rows = beit, .roots = "- beit. data2vec_vision.", .layers = LAYERS },
	{ BEIT, .rows = shape_vit_layers, .roots = "- beit. data2vec_vision.", .layers = LAYERS },
	{ "BeitModel BeitForImageClassification BeitForMaskedImageModeling Data2VecVisionForImageClassification",
		.rows = beit_norm, .roots = "- beit. data2vec_vision." },
	{ "Data2VecVisionModel", .rows = data2vec_norm },
	{ "BeitForMaskedImageModeling", .rows = beit_masked, .roots = "- beit." },
	{ "ViTForImageClassification DeiTForImageClassification BeitForImageClassification Data2VecVisionForImageClassification", .rows = shape_head },
	{ DINO2, .rows = dino2, .roots = DINO2_ROOTS, .layers = LAYERS },
	{ DINO2, .rows = shape_vit_bias, .roots = DINO2_ROOTS, .layers = LAYERS, .when = "!qkv_bias=false" },
	{ DINO2, .rows = dino2_plain, .roots = DINO2_ROOTS, .layers = LAYERS, .when = "!use_swiglu_ffn=true" },
	{ DINO2, .rows = dino2_gated, .roots = DINO2_ROOTS, .layers = LAYERS, .when = "use_swiglu_ffn=true" },
	{ "Dinov2WithRegisters*", .rows = dino2_registers, .roots = DINO2_ROOTS },
	{ "Dinov2ForImageClassification Dinov2WithRegistersForImageClassification", .rows = dino2_head },
	{ "DINOv3ViTModel", .rows = dino3, .layers = LAYERS },
	{ SWIN1 " " SWIN2, .rows = swin, .roots = "- swin. swinv2.", STAGED },
	{ SWIN1 " " SWIN2, .rows = swin_bias, .roots = "- swin. swinv2.", STAGED, .when = "!qkv_bias=false" },
	{ SWIN1, .rows = swin1, .roots = "- swin.", STAGED },
	{ SWIN2, .rows = swin2, .roots = "- swinv2.", STAGED },
	{ "SwinForImageClassification Swinv2ForImageClassification", .rows = swin_head, .stages = "#depths" },
	{ CONVNEXT1 " " CONVNEXT2, .rows = convnext, .roots = "- convnext. convnextv2.", STAGED },
	{ CONVNEXT1, .rows = convnext1, .roots = "- convnext.", STAGED, .when = "!layer_scale_init_value=0" },
	{ CONVNEXT2, .rows = convnext2, .roots = "- convnextv2.", STAGED },
	{ "ConvNextForImageClassification ConvNextV2ForImageClassification", .rows = convnext_head },
	{ RESNET, .rows = resnet, .roots = "- resnet.", STAGED },
	{ RESNET, .rows = resnet_basic, .roots = "- resnet.", STAGED, .when = "layer_type=basic" },
	{ RESNET, .rows = resnet_bottleneck, .roots = "- resnet.", STAGED, .when = "!layer_type=basic" },
	{ "ResNetForImageClassification", .rows = resnet_head },
	{ SEGFORMER, .rows = segformer, .roots = "- segformer.", STAGED },
	{ "SegformerForSemanticSegmentation", .rows = segformer_decoder, .stages = "#depths" },
	{ "SegformerForImageClassification", .rows = convnext_head },
	{ "DetrForObjectDetection", .rows = shape_encoder_layers, .roots = "model.", .layers = "encoder_layers", .partial = true },
	{ "DetrForObjectDetection", .rows = shape_encoder_key_bias, .roots = "model.", .layers = "encoder_layers", .partial = true },
	{ "DetrForObjectDetection", .rows = shape_decoder_layers, .roots = "model.", .layers = "decoder_layers", .partial = true },
	{ "DetrForObjectDetection", .rows = shape_decoder_key_bias, .roots = "model.", .layers = "decoder_layers", .partial = true },
	{ "DetrForObjectDetection", .rows = detr, .partial = true },
	{ "CLIPModel", .rows = clip_text, .roots = "text_model.", .layers = LAYERS, .config = "text_config", .defaults = CLIP_TEXT },
	{ "CLIPModel", .rows = clip_vision, .roots = "vision_model.", .layers = LAYERS, .config = "vision_config", .defaults = CLIP_VISION },
	{ "CLIPModel", .rows = clip_patched, .roots = "vision_model.", .config = "vision_config", .defaults = CLIP_VISION },
	{ "CLIPModel", .rows = clip_ends },
	{ "SiglipModel", .rows = clip_text, .roots = "text_model.", .layers = LAYERS, .config = "text_config", .defaults = SIGLIP_TEXT },
	{ "SiglipModel", .rows = clip_vision, .roots = "vision_model.", .layers = LAYERS, .config = "vision_config", .defaults = SIGLIP_VISION },
	{ "SiglipModel", .rows = siglip_text, .roots = "text_model.", .config = "text_config", .defaults = SIGLIP_TEXT },
	{ "SiglipModel", .rows = siglip_patched, .roots = "vision_model.", .config = "vision_config", .defaults = SIGLIP_VISION },
	{ "SiglipModel", .rows = siglip_ends },
	{ "CLIPTextModel CLIPTextModelWithProjection", .rows = clip_text, .roots = "- text_model.", .layers = LAYERS },
	{ "CLIPTextModelWithProjection", .rows = clip_text_end },
	{ CLIP_EYES " SiglipVisionModel", .rows = clip_vision, .roots = "- vision_model.", .layers = LAYERS },
	{ CLIP_EYES, .rows = clip_patched, .roots = "- vision_model.", .defaults = CLIP_VISION },
	{ "CLIPVisionModelWithProjection", .rows = clip_vision_end },
	{ "SiglipVisionModel", .rows = siglip_patched, .roots = "- vision_model.", .defaults = SIGLIP_VISION },
	{ 0 },
};
