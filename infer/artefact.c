/* artefact.c - see artefact.h. */
#include "infer/artefact.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/str.h"
#include "base/vec.h"

/* Names of the whole in safetensors, the first that is there counts: other files beside it are the same weights in another order. */
static const char *const safetensors_names[] = { "model.safetensors.index.json", "model.safetensors" };

static bool is_gguf(const char *name)
{
	return str_ends(name, ".gguf") && !str_glob("*-0000[2-9]-of-?????.gguf", name) && !str_glob("*-000[1-9]?-of-?????.gguf", name) &&
		!str_glob("*mmproj*", name);	/* later parts belong to the first; projectors are no text model */
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int artefacts_find(struct artefacts *a, int dirfd, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	char *other = NULL;
	size_t first;

	*a = (struct artefacts){ 0 };
	if (!dir)
		return err_errno(e, "list the directory");
	for (size_t i = 0; i < ARRAY_LEN(safetensors_names) && a->n == 0; i++)
		if (faccessat(dirfd, safetensors_names[i], R_OK, 0) == 0)
			*vec_push(&a->files, &a->n, &a->cap) = mem_strdup(safetensors_names[i]);
	first = a->n;
	while ((d = readdir(dir)) && a->n < ARTEFACTS_MAX) {
		if (is_gguf(d->d_name))
			*vec_push(&a->files, &a->n, &a->cap) = mem_strdup(d->d_name);
		else if (!first && (str_ends(d->d_name, ".safetensors.index.json") || (!other && str_ends(d->d_name, ".safetensors")))) {
			free(other);
			other = mem_strdup(d->d_name);
		}
	}
	closedir(dir);
	if (a->n > first)
		qsort(a->files + first, a->n - first, sizeof(*a->files), by_name);
	if (a->n == 0 && other)
		*vec_push(&a->files, &a->n, &a->cap) = take(other);
	free(other);
	return 0;
}

void artefacts_done(struct artefacts *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->files[i]);
	free(a->files);
	*a = (struct artefacts){ 0 };
}
