/*
 * shape_table.h - words that the tables of kinds (shape_text.c, shape_vision.c, shape_speech.c, shape_diffusion.c) share.
 * A new kind is a table of its tensors, and a row at the end of its file. What a key of the configuration
 * decides stands under its condition; optional is only what none decides.
 */
#ifndef INFER_SHAPE_TABLE_H
#define INFER_SHAPE_TABLE_H

#include "infer/shape.h"

#define B SHAPE_BIAS
#define O SHAPE_OPTIONAL
#define LATER SHAPE_LATER
#define BESIDE SHAPE_BESIDE
#define WHEN(condition) { "?", condition, 0 }
#define ALWAYS WHEN("")
#define H "hidden_size"
#define I "intermediate_size"
#define E "embedding_size|hidden_size"
#define D "d_model"
/* The heads share the width among them; of a class that is said nothing of them takes its own number. entry: of lists, ".%S". */
#define HEADS(width, key, entry) WHEN(key), { "/" entry, width " " key entry, 0 }
#define VIT_HEADS WHEN("num_attention_heads !head_dim"), { "/", H " num_attention_heads", 0 }
#define BATCH_NORM(name, dim) { name, dim, B }, { name ".running_mean!", dim, 0 }, { name ".running_var!", dim, 0 }

extern const struct shape_kind shape_text[], shape_vision[], shape_speech[], shape_diffusion[];
/* The layers of BART and what was made of it; Whisper's keys are the only ones without a bias. */
extern const struct shape_row shape_encoder_layers[], shape_decoder_layers[], shape_encoder_key_bias[], shape_decoder_key_bias[];
/* The layers of ViT and what was made of it. */
extern const struct shape_row shape_vit_layers[], shape_vit_bias[], shape_head[];

#endif
