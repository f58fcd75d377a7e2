/* shape_diffusion.c - kinds of parts of diffusion pipelines; see shape_table.h. */
#include "infer/shape_table.h"

/* Of what comes in, how long what goes to the blocks is. Positions are as many as the first block's channels; Fourier's features are the network's own. */
#define TIME(width, in) { "time_embedding.linear_1", width " " in, B }, { "time_embedding.linear_2", width " " width, B }

/* Of these pipelines' parts only the ends follow from single numbers of the configuration. */
static const struct shape_row unet[] = {
	{ "conv_in", "block_out_channels.0 in_channels conv_in_kernel=3 conv_in_kernel=3", B },
	{ "conv_out", "out_channels block_out_channels.0 conv_out_kernel=3 conv_out_kernel=3", B }, { "conv_norm_out", "block_out_channels.0", B | O },
	{ "down_blocks.%L.resnets.0.conv1", "block_out_channels.%L ? 3 3", B },
	WHEN("!time_embedding_type=fourier !time_embedding_dim"), TIME("4*block_out_channels.0", "block_out_channels.0"),
	WHEN("!time_embedding_type=fourier time_embedding_dim"), TIME("time_embedding_dim", "block_out_channels.0"),
	WHEN("time_embedding_type=fourier !time_embedding_dim"), TIME("2*block_out_channels.0", "2*block_out_channels.0"),
	{ "time_proj", "block_out_channels.0", 0 },
	WHEN("time_embedding_type=fourier time_embedding_dim"), TIME("time_embedding_dim", "time_embedding_dim"), { "time_proj", "time_embedding_dim/2", 0 },
	WHEN("time_cond_proj_dim"), { "time_embedding.cond_proj", "? time_cond_proj_dim", 0 },
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
	{ "proj_out", "patch_size*patch_size*out_channels|in_channels " N, B },
	{ 0 },
};

const struct shape_kind shape_diffusion[] = {
	{ "UNet2DConditionModel", .rows = unet, .layers = "#block_out_channels", .partial = true },
	{ "AutoencoderKL", .rows = vae, .layers = "#block_out_channels", .partial = true },
	{ "FluxTransformer2DModel", .rows = flux, .layers = "num_layers", .partial = true },
	{ "FluxTransformer2DModel", .rows = flux_single, .layers = "num_single_layers", .partial = true },
	{ "SD3Transformer2DModel", .rows = sd3, .layers = "num_layers", .partial = true },
	{ 0 },
};
