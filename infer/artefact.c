/* artefact.c - see artefact.h. */
#include "infer/artefact.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/str.h"
#include "base/vec.h"

/* How well a name stands for the whole in safetensors; 0: not at all. Other files beside the best are the same weights in another order. */
static int rank_of(const char *name)
{
	static const char *const best_last[] = { "*.safetensors", "*.safetensors.index.json", "model.safetensors", "model.safetensors.index.json" };

	for (int i = (int)ARRAY_LEN(best_last); i > 0; i--)
		if (str_glob(best_last[i - 1], name))
			return i;
	return 0;
}

static bool is_gguf(const char *name)
{
	return str_ends(name, ".gguf") && !str_glob("*-0000[2-9]-of-?????.gguf", name) && !str_glob("*-000[1-9]?-of-?????.gguf", name) &&
		!str_glob("*mmproj*", name);	/* later parts belong to the first; projectors are no text model */
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Is a the better choice of two? Among equals the first by name, so that the order of the directory does not matter. */
static bool better(const char *a, const char *b)
{
	return !b || rank_of(a) > rank_of(b) || (rank_of(a) == rank_of(b) && strcmp(a, b) < 0);
}

int artefacts_find(struct artefacts *a, int dirfd, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	own(mem) char *whole = NULL;

	*a = (struct artefacts){ 0 };
	if (!dir)
		return err_errno(e, "list the directory");
	while ((d = readdir(dir)) && a->n + 1 < ARTEFACTS_MAX) {
		if (is_gguf(d->d_name))
			*vec_push(&a->files, &a->n, &a->cap) = mem_strdup(d->d_name);
		if (rank_of(d->d_name) && better(d->d_name, whole)) {
			free(whole);
			whole = mem_strdup(d->d_name);
		}
	}
	closedir(dir);
	if (a->n)
		qsort(a->files, a->n, sizeof(*a->files), by_name);
	if (whole) {
		vec_push(&a->files, &a->n, &a->cap);
		memmove(a->files + 1, a->files, (a->n - 1) * sizeof(*a->files));
		a->files[0] = take(whole);
	}
	return 0;
}

void artefacts_done(struct artefacts *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->files[i]);
	free(a->files);
	*a = (struct artefacts){ 0 };
}
