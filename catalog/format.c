/* format.c - see format.h. */
#include "catalog/format.h"

#include "base/err.h"
#include "base/str.h"

static const char *const names[FORMAT_N + 1] = {
	"none", "safetensors", "gguf", "pickle", "onnx", "keras", "tensorflow", "flax", "numpy", "other", NULL,
};

static const struct {
	const char *alias;
	enum format format;
} aliases[] = {
	{ "pytorch", FORMAT_PICKLE }, { "torch", FORMAT_PICKLE }, { "tf", FORMAT_TENSORFLOW }, { "npz", FORMAT_NUMPY }, { "npy", FORMAT_NUMPY },
	{ "h5", FORMAT_KERAS },	      { "jax", FORMAT_FLAX },
};

/* By ending; the first that fits counts. Globs are matched against the lower-cased base name. */
static const struct {
	const char *glob;
	enum format format;
} patterns[] = {
	{ "*.json", FORMAT_NONE },	/* pytorch_model.bin.index.json is an index */
	{ "*.txt", FORMAT_NONE },
	{ "*.md", FORMAT_NONE },
	{ "*.safetensors", FORMAT_SAFETENSORS },
	{ "*.gguf", FORMAT_GGUF },
	{ "*.ggml", FORMAT_OTHER },
	{ "*.bin", FORMAT_PICKLE },
	{ "*.bin.*", FORMAT_PICKLE },	/* pytorch_model.bin.0: cut by hand */
	{ "*.pt", FORMAT_PICKLE },
	{ "*.pt2", FORMAT_OTHER },
	{ "*.pth", FORMAT_PICKLE },
	{ "*.pth.tar", FORMAT_PICKLE },
	{ "*.pkl", FORMAT_PICKLE },
	{ "*.pickle", FORMAT_PICKLE },
	{ "*.ckpt", FORMAT_PICKLE },
	{ "*.joblib", FORMAT_PICKLE },
	{ "*.dill", FORMAT_PICKLE },
	{ "*.cpkl", FORMAT_PICKLE },
	{ "*.th", FORMAT_PICKLE },
	{ "*.t7", FORMAT_OTHER },
	{ "*.dat", FORMAT_PICKLE },
	{ "*.skops", FORMAT_OTHER },
	{ "*.onnx", FORMAT_ONNX },
	{ "*.onnx_data*", FORMAT_ONNX },
	{ "*.onnx.data", FORMAT_ONNX },
	{ "*.ort", FORMAT_ONNX },
	{ "*.keras", FORMAT_KERAS },
	{ "*.h5", FORMAT_KERAS },
	{ "*.hdf5", FORMAT_KERAS },
	{ "*.pb", FORMAT_TENSORFLOW },
	{ "*.pbtxt", FORMAT_TENSORFLOW },
	{ "variables.data-*", FORMAT_TENSORFLOW },
	{ "variables.index", FORMAT_TENSORFLOW },
	{ "*.ckpt-*", FORMAT_TENSORFLOW },
	{ "*.ckpt.*", FORMAT_TENSORFLOW },
	{ "*.msgpack", FORMAT_FLAX },
	{ "*.npy", FORMAT_NUMPY },
	{ "*.npz", FORMAT_NUMPY },
	{ "*.tflite", FORMAT_OTHER },
	{ "*.mlmodel", FORMAT_OTHER },
	{ "*.mlpackage", FORMAT_OTHER },
	{ "*.mlmodelc", FORMAT_OTHER },
	{ "*.engine", FORMAT_OTHER },
	{ "*.plan", FORMAT_OTHER },
	{ "*.trt", FORMAT_OTHER },
	{ "*.nemo", FORMAT_OTHER },
	{ "*.llamafile", FORMAT_OTHER },
	{ "*.task", FORMAT_OTHER },
	{ "*.pte", FORMAT_OTHER },
	{ "*.mar", FORMAT_OTHER },
	{ "*.zip", FORMAT_OTHER },
	{ "*.tar", FORMAT_OTHER },
	{ "*.tar.gz", FORMAT_OTHER },
	{ "*.tgz", FORMAT_OTHER },
	{ "*.7z", FORMAT_OTHER },
	{ "*.rar", FORMAT_OTHER },
	{ "*.so", FORMAT_OTHER },
	{ "*.dll", FORMAT_OTHER },
	{ "*.exe", FORMAT_OTHER },
	{ "*.whl", FORMAT_OTHER },
};

static const char *const training_state[] = {
	"optimizer.pt", "optimizer.bin", "scheduler.pt",   "scheduler.bin",  "training_args.bin", "rng_state*.pth", "random_states_*.pkl",
	"scaler.pt",	"trainer_state.*", "*_optim_states.pt",
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void lower(char *out, size_t n, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 1 < n; i++)
		out[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
	out[i] = 0;
}

enum format format_of_path(const char *path)
{
	char name[256];

	lower(name, sizeof(name), base_name(path));
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
		if (str_glob(patterns[i].glob, name))
			return patterns[i].format;
	return FORMAT_NONE;
}

const char *format_name(enum format f)
{
	return f < FORMAT_N ? names[f] : "none";
}

enum format format_parse(const char *name)
{
	for (int f = FORMAT_SAFETENSORS; f < FORMAT_N; f++)
		if (!strcmp(names[f], name))
			return (enum format)f;
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (!strcmp(aliases[i].alias, name))
			return aliases[i].format;
	return FORMAT_NONE;
}

const char *const *format_names(void)
{
	return names + FORMAT_SAFETENSORS;
}

bool format_is_training_state(const char *path)
{
	char name[256];

	lower(name, sizeof(name), base_name(path));
	for (size_t i = 0; i < ARRAY_LEN(training_state); i++)
		if (str_glob(training_state[i], name))
			return true;
	return false;
}
