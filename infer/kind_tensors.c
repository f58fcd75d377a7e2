/*
 * kind_tensors.c - what files are that no configuration speaks of, by the names of their tensors; see kind.h. Only names that programs for one thing
 * alone write count.
 */
#include "infer/kind.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"

#define FILES_MAX 1000		/* of one folder; what has more is no one thing */

static bool is_any_of(const char *name, const char *const *globs)
{
	for (size_t i = 0; globs[i]; i++)
		if (str_glob(globs[i], name))
			return true;
	return false;
}

static bool has_any_of(const struct weights *w, const char *const *globs)
{
	for (size_t i = 0; i < w->n; i++)
		if (is_any_of(w->tensors[i].name, globs))
			return true;
	return false;
}

/* As Kohya's scripts call the modules that they adapt, in whatever way (LoRA, LoHa, LoKr); as diffusers, PEFT and they call what is in low-rank pairs. */
static bool is_adapter(const struct weights *w)
{
	static const char *const modules[] = { "lora_unet_*", "lora_te_*", "lora_te1_*", "lora_te2_*", NULL };
	static const char *const down[] = { "*lora_A.weight", "*lora_down.weight", "*lora.down.weight", NULL };
	static const char *const up[] = { "*lora_B.weight", "*lora_up.weight", "*lora.up.weight", NULL };
	static const char *const others[] = { "*.alpha", "*.dora_scale", "*.lora_mid.weight", "*.lora_magnitude_vector*", "*lora_B.bias", NULL };

	bool all_modules = w->n;

	for (size_t i = 0; i < w->n; i++) {
		const char *name = w->tensors[i].name;
		bool module = is_any_of(name, modules);

		all_modules &= module;
		if (!module && !is_any_of(name, down) && !is_any_of(name, up) && !is_any_of(name, others))
			return false;
	}
	return all_modules || (has_any_of(w, down) && has_any_of(w, up));
}

/* All of Stable Diffusion in one file. Another number of channels goes in where more than the text says what to draw. */
static bool is_stable_diffusion(const struct weights *w)
{
	static const char *const texts[] = { "cond_stage_model.transformer.text_model.*", "cond_stage_model.model.transformer.*",
		"conditioner.embedders.0.transformer.text_model.*", "conditioner.embedders.0.model.transformer.*", NULL };
	static const char *const pictures[] = { "first_stage_model.*", NULL };
	const struct tensor *in = weights_find(w, "model.diffusion_model.input_blocks.0.0.weight");

	return in && in->rank == 4 && in->shape[1] == 4 && has_any_of(w, texts) && has_any_of(w, pictures);
}

const char *kind_by_tensors(int dirfd, const char *file)
{
	struct weights w own(weights) = { 0 };

	if (weights_open_safetensors(&w, dirfd, file, NULL, NULL) < 0)
		return NULL;
	return is_adapter(&w) ? "adapter" : is_stable_diffusion(&w) ? "text-to-image" : NULL;
}

const char *kind_by_files(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const char *task = NULL, *other;
	const struct dirent *x;
	size_t n = 0;

	while (d && (x = readdir(d))) {
		if (!str_ends(x->d_name, ".safetensors") && !str_ends(x->d_name, ".gguf"))
			continue;
		other = str_ends(x->d_name, ".gguf") || n == FILES_MAX ? NULL : kind_by_tensors(dirfd, x->d_name);
		if (!other || (n++ && strcmp(task, other) != 0)) {
			task = NULL;
			break;
		}
		task = other;
	}
	if (d)
		closedir(d);
	return task;
}
