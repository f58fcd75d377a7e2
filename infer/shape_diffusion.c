/* shape_diffusion.c - kinds of parts of diffusion pipelines; see shape_table.h. */
#include "infer/shape_table.h"

/* Of what comes in, how long what goes to the blocks is. Positions are as many as the first block's channels; Fourier's features are the network's own. */
#define TIME(width, in) { "time_embedding.linear_1", width " " in, B }, { "time_embedding.linear_2", width " " width, B }
#define SIZES(width) { "add_embedding.linear_1", width " projection_class_embeddings_input_dim", B }, { "add_embedding.linear_2", width " " width, B }

/* Of these pipelines' parts only the ends, and that no block or layer is gone, follow from single numbers of the configuration. */
#define CROSS(block, name, at) { block ".attentions.0." name, "? cross_attention_dim." at "=1280", 0 }
/* Where a block's transformers all have layers: a list within the list gives each its own number. */
#define LAYERED(at) " !dual_cross_attention=true transformer_layers_per_block." at "=[1-9]*|!transformer_layers_per_block"

static const struct shape_row unet[] = {
	{ "conv_in", "block_out_channels.0 in_channels conv_in_kernel=3 conv_in_kernel=3", B },
	{ "conv_out", "out_channels block_out_channels.0 conv_out_kernel=3 conv_out_kernel=3", B }, { "conv_norm_out", "block_out_channels.0", B | O },
	{ "down_blocks.%L.resnets.0.conv1", "block_out_channels.%L ? 3 3", B },
	WHEN("!time_embedding_type=fourier !time_embedding_dim"), TIME("4*block_out_channels.0", "block_out_channels.0"),
	WHEN("!time_embedding_type=fourier time_embedding_dim"), TIME("time_embedding_dim", "block_out_channels.0"),
	WHEN("time_embedding_type=fourier !time_embedding_dim"), TIME("2*block_out_channels.0", "2*block_out_channels.0"),
	{ "time_proj", "block_out_channels.0", 0 },
	WHEN("time_embedding_type=fourier time_embedding_dim"), TIME("time_embedding_dim", "time_embedding_dim"), { "time_proj", "time_embedding_dim/2", 0 },
	WHEN("addition_embed_type=text_time !time_embedding_type=fourier !time_embedding_dim"), SIZES("4*block_out_channels.0"),
	WHEN("addition_embed_type=text_time time_embedding_dim"), SIZES("time_embedding_dim"),
	WHEN("time_cond_proj_dim"), { "time_embedding.cond_proj", "? time_cond_proj_dim", 0 },
	ALWAYS, { "up_blocks.%L.resnets.0.conv1", "? ? 3 3", B },
	WHEN("!mid_block_type=null"), { "mid_block.resnets.0.conv1", "block_out_channels.last block_out_channels.last 3 3", B },
	WHEN("down_block_types.%L=CrossAttnDownBlock2D" LAYERED("%L")), CROSS("down_blocks.%L", "transformer_blocks.0.attn2.to_k", "%L"),
	WHEN("down_block_types.%L=KCrossAttnDownBlock2D"), CROSS("down_blocks.%L", "attn2.to_k", "%L"),
	WHEN("down_block_types.%L=SimpleCrossAttnDownBlock2D"), CROSS("down_blocks.%L", "add_k_proj", "%L"),
	WHEN("mid_block_type=UNetMidBlock2DCrossAttn|!mid_block_type !mid_block_type=null" LAYERED("last")),
	CROSS("mid_block", "transformer_blocks.0.attn2.to_k", "last"),
	WHEN("mid_block_type=UNetMidBlock2DSimpleCrossAttn"), CROSS("mid_block", "add_k_proj", "last"),
	{ 0 },
};
/* How many of each a block has. */
static const struct shape_row unet_down[] = { { "down_blocks.%S.resnets.%L.conv1", "? ? 3 3", B }, { 0 } };
static const struct shape_row unet_up[] = { WHEN("!up_block_types.%S=K*"), { "up_blocks.%S.resnets.%L.conv1", "? ? 3 3", B }, { 0 } };
static const struct shape_row unet_transformers[] = {
	WHEN("down_block_types.%S=CrossAttnDownBlock2D !dual_cross_attention=true"), { "down_blocks.%S.attentions.0.transformer_blocks.%L.ff.net.2", "? ?", B },
	{ 0 },
};
static const struct shape_row unet_middle[] = { { "mid_block.attentions.0.transformer_blocks.%L.ff.net.2", "? ?", B }, { 0 } };
static const struct shape_row vae[] = {
	{ "encoder.conv_in", "block_out_channels.0 in_channels=3 3 3", B }, { "decoder.conv_out", "out_channels=3 block_out_channels.0 3 3", B },
	{ "encoder.conv_out", "2*latent_channels=4 block_out_channels.last 3 3", B }, { "decoder.conv_in", "block_out_channels.last latent_channels=4 3 3", B },
	{ "encoder.down_blocks.%L.resnets.0.conv1", "block_out_channels.%L ? 3 3", B }, { "decoder.up_blocks.%L.resnets.0.conv1", "? ? 3 3", B },
	{ "encoder.mid_block.resnets.0.conv1", "block_out_channels.last block_out_channels.last 3 3", B },
	{ "decoder.mid_block.resnets.0.conv1", "block_out_channels.last block_out_channels.last 3 3", B },
	{ 0 },
};
#define N "num_attention_heads*attention_head_dim"
#define STEPS(name, in) { "time_text_embed." name ".linear_1", N " " in, B }, { "time_text_embed." name ".linear_2", N " " N, B }
#define QKV(block, q, k, v) { block q, N " " N, B }, { block k, N " " N, B }, { block v, N " " N, B }
#define NORMS(block, q, k) { block q, "attention_head_dim", 0 }, { block k, "attention_head_dim", 0 }
#define FEED(block) { block ".net.0.proj", "4*" N " " N, B }, { block ".net.2", N " 4*" N, B }

static const struct shape_row flux[] = {
	{ "x_embedder", N " in_channels", B }, { "context_embedder", N " joint_attention_dim", B },
	STEPS("timestep_embedder", "256"), STEPS("text_embedder", "pooled_projection_dim"),
	{ "norm_out.linear", "2*" N " " N, B }, { "proj_out", "patch_size=1*patch_size=1*out_channels|in_channels " N, B },
	{ "transformer_blocks.%L.norm1.linear", "6*" N " " N, B }, { "transformer_blocks.%L.norm1_context.linear", "6*" N " " N, B },
	QKV("transformer_blocks.%L.attn.", "to_q", "to_k", "to_v"), QKV("transformer_blocks.%L.attn.", "add_q_proj", "add_k_proj", "add_v_proj"),
	{ "transformer_blocks.%L.attn.to_out.0", N " " N, B }, { "transformer_blocks.%L.attn.to_add_out", N " " N, B },
	FEED("transformer_blocks.%L.ff"), FEED("transformer_blocks.%L.ff_context"),
	NORMS("transformer_blocks.%L.attn.", "norm_q", "norm_k"), NORMS("transformer_blocks.%L.attn.", "norm_added_q", "norm_added_k"),
	{ "transformer_blocks.%L.attn.to_q", "? ?", SHAPE_BEYOND },
	WHEN("guidance_embeds=true"), STEPS("guidance_embedder", "256"),
	WHEN("!guidance_embeds=true"), { "time_text_embed.guidance_embedder.linear_1", "? ?", SHAPE_BEYOND },
	{ 0 },
};
static const struct shape_row flux_single[] = {
	QKV("single_transformer_blocks.%L.attn.", "to_q", "to_k", "to_v"), { "single_transformer_blocks.%L.norm.linear", "3*" N " " N, B },
	{ "single_transformer_blocks.%L.proj_mlp", "4*" N " " N, B }, { "single_transformer_blocks.%L.proj_out", N " 5*" N, B },
	NORMS("single_transformer_blocks.%L.attn.", "norm_q", "norm_k"), { "single_transformer_blocks.%L.attn.to_q", "? ?", SHAPE_BEYOND },
	{ 0 },
};
/* The text goes no further than the last block's attention. */
static const struct shape_row sd3[] = {
	{ "pos_embed.proj", N " in_channels patch_size patch_size", B }, { "context_embedder", "caption_projection_dim joint_attention_dim", B },
	STEPS("timestep_embedder", "256"), STEPS("text_embedder", "pooled_projection_dim"),
	{ "norm_out.linear", "2*" N " " N, B }, { "proj_out", "patch_size*patch_size*out_channels|in_channels " N, B },
	{ "transformer_blocks.%L.norm1_context.linear", "? " N, B }, { "transformer_blocks.%L.attn.to_q", "? ?", SHAPE_BEYOND },
	QKV("transformer_blocks.%L.attn.", "to_q", "to_k", "to_v"), QKV("transformer_blocks.%L.attn.", "add_q_proj", "add_k_proj", "add_v_proj"),
	{ "transformer_blocks.%L.attn.to_out.0", N " " N, B }, FEED("transformer_blocks.%L.ff"),
	WHEN("%L<>num_layers+-1"), { "transformer_blocks.%L.attn.to_add_out", N " " N, B }, FEED("transformer_blocks.%L.ff_context"),
	WHEN("!dual_attention_layers:%L"), { "transformer_blocks.%L.norm1.linear", "6*" N " " N, B },
	WHEN("dual_attention_layers:%L"), { "transformer_blocks.%L.norm1.linear", "9*" N " " N, B },
	QKV("transformer_blocks.%L.attn2.", "to_q", "to_k", "to_v"), { "transformer_blocks.%L.attn2.to_out.0", N " " N, B },
	WHEN("qk_norm=rms_norm"), NORMS("transformer_blocks.%L.attn.", "norm_q", "norm_k"), NORMS("transformer_blocks.%L.attn.", "norm_added_q", "norm_added_k"),
	WHEN("qk_norm=rms_norm dual_attention_layers:%L"), NORMS("transformer_blocks.%L.attn2.", "norm_q", "norm_k"),
	{ 0 },
};

#define FLAT(key) key "=[0-9]*|!" key
#define LAYERS "transformer_layers_per_block"

const struct shape_kind shape_diffusion[] = {
	{ "UNet2DConditionModel", .rows = unet, .layers = "#block_out_channels", .partial = true },
	{ "UNet2DConditionModel", .rows = unet_down, .stages = "#block_out_channels", .layers = "layers_per_block.%S=2", .partial = true },
	{ "UNet2DConditionModel", .rows = unet_up, .stages = "#block_out_channels", .layers = "1+layers_per_block=2", .when = FLAT("layers_per_block"), .partial = true },
	{ "UNet2DConditionModel", .rows = unet_transformers, .stages = "#block_out_channels", .layers = LAYERS ".%S=1", .partial = true,
		.when = FLAT(LAYERS ".0") " " FLAT(LAYERS ".1") " " FLAT(LAYERS ".2") " " FLAT(LAYERS ".3") " " FLAT(LAYERS ".4") " " FLAT(LAYERS ".5") },
	{ "UNet2DConditionModel", .rows = unet_middle, .layers = LAYERS ".last=1", .partial = true,
		.when = FLAT(LAYERS ".last") " mid_block_type=UNetMidBlock2DCrossAttn|!mid_block_type !mid_block_type=null !dual_cross_attention=true" },
	{ "AutoencoderKL", .rows = vae, .layers = "#block_out_channels", .partial = true },
	{ "FluxTransformer2DModel", .rows = flux, .layers = "num_layers", .partial = true },
	{ "FluxTransformer2DModel", .rows = flux_single, .layers = "num_single_layers", .partial = true },
	{ "SD3Transformer2DModel", .rows = sd3, .layers = "num_layers", .partial = true },
	{ 0 },
};
