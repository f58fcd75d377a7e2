/* cuda_load.c - finds and opens registryd-cuda.so; see ops.h. Nothing else of the program knows CUDA's libraries. */
#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/cuda/module.h"

#define MODULE "registryd-cuda.so"

/* Where it may lie, from the program's own directory: a build tree, an installed package. */
static const char *const places[] = { "%s/" MODULE, "%s/../lib/registryd/" MODULE };

static int own_directory(char *dir, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", dir, size - 1);
	char *slash;

	if (n <= 0)
		return -1;
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

static void *load(const char *dir, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		own(mem) char *path = NULL;
		void *module;

		if (asprintf(&path, places[i], dir) < 0)
			abort();
		if (access(path, F_OK) < 0)
			continue;
		module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!module)
			err_set(e, ERR_UNSUPPORTED, "the CUDA backend does not load: %s", dlerror());
		return module;
	}
	err_set(e, ERR_UNSUPPORTED, "this installation of registryd-smoke has no CUDA backend (" MODULE ")");
	return NULL;
}

bool ops_cuda_driver(void)
{
	void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);

	if (driver)
		dlclose(driver);
	return driver;
}

/* The module stays loaded until the process ends: its threads may outlive a backend. */
int ops_cuda_open(const struct ops **ops, struct backend **b, const struct ops_cuda_options *o, struct ops_device *device, struct err *e)
{
	int (*open)(const struct ops **, struct backend **, const struct ops_cuda_options *, struct ops_device *, struct err *);
	const char *version;
	char dir[PATH_MAX];
	void *module;

	if (own_directory(dir, sizeof(dir)) < 0)
		return err_set(e, ERR_UNSUPPORTED, "the CUDA backend is not found: /proc is not there");
	module = load(dir, e);
	if (!module)
		return e->code;
	version = dlsym(module, "cuda_module_version");
	*(void **)&open = dlsym(module, "cuda_module_open");
	if (!version || !open || strcmp(version, REGISTRYD_VERSION) != 0)
		return err_set(e, ERR_UNSUPPORTED, "the CUDA backend (" MODULE ") belongs to another version of registryd-smoke: %s", version ? version : "unknown");
	return open(ops, b, o, device, e);
}
