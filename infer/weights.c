/* weights.c - tensors of safetensors and GGUF files in one table; see weights.h. Reading rows is in weight.c. */
#include "infer/weights.h"

#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"

static int tensor_order(const void *a, const void *b)
{
	return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

struct tensor *weights_find(const struct weights *w, const char *name)
{
	struct tensor key = { .name = name };

	return w->n ? bsearch(&key, w->tensors, w->n, sizeof(key), tensor_order) : NULL;
}

uint64_t tensor_elements(const struct tensor *t)
{
	uint64_t n = 1;

	for (int i = 0; i < t->rank; i++)
		n *= t->shape[i];	/* the readers have checked that it does not overflow */
	return n;
}

static void add_safetensors(struct weights *w)
{
	for (size_t i = 0; i < w->set.n_entries; i++) {
		const struct safetensors_tensor *from = w->set.entries[i].tensor;
		const struct safetensors_shard *shard = &w->set.shards[w->set.entries[i].shard];
		struct tensor *t = vec_push(&w->tensors, &w->n, &w->cap);

		*t = (struct tensor){ .name = from->name, .file = shard->file, .type_name = safetensors_dtype_name(from->dtype),
			.rank = from->rank, .at = shard->st.data_start + from->begin, .bytes = from->end - from->begin, .fd = shard->fd,
			.unlisted = w->set.entries[i].unlisted };
		t->type = quant_type(t->type_name);
		memcpy(t->shape, from->shape, sizeof(from->shape));
	}
}

int weights_open_safetensors(struct weights *w, int dirfd, const char *file, struct report *r, struct err *e)
{
	int rc;

	*w = (struct weights){ 0 };
	rc = safetensors_set_open(&w->set, dirfd, file, r, e);
	if (rc < 0)
		return rc;
	add_safetensors(w);	/* the set's entries are in name order already */
	return 0;
}

/* The tensors of one GGUF part. A name may be there once in all parts. */
static int add_gguf(struct weights *w, const struct weights_part *part)
{
	for (size_t i = 0; i < gguf_n_tensors(part->gguf); i++) {
		const struct gguf_tensor *from = gguf_tensor_at(part->gguf, i);
		const struct gguf_dtype_info *info = gguf_dtype_info(from->type);
		struct tensor *t = vec_push(&w->tensors, &w->n, &w->cap);

		*t = (struct tensor){ .name = from->name, .file = part->file, .type_name = info->name, .rank = (uint8_t)from->rank,
			.at = gguf_data_start(part->gguf) + from->offset, .bytes = from->size_bytes, .fd = part->fd };
		t->type = quant_type(t->type_name);
		for (uint32_t d = 0; d < from->rank; d++)
			t->shape[d] = from->dims[from->rank - 1 - d];
	}
	return 0;
}

static int open_part(struct weights *w, int dirfd, const char *file, struct report *r, struct err *e)
{
	own(fd) int fd = fdio_open_beneath(dirfd, file, O_RDONLY | O_CLOEXEC, e);
	struct weights_part *part;
	struct gguf *g = NULL;
	int rc;

	if (fd < 0)
		return fd;
	report_path(r, "%s", file);
	rc = gguf_open_report(&g, fd, file, r, e);
	if (rc < 0)
		return rc;
	part = vec_push(&w->parts, &w->n_parts, &w->cap_parts);
	*part = (struct weights_part){ .fd = take_fd(&fd), .file = mem_strdup(file), .gguf = g };
	return add_gguf(w, part);
}

/* Of how many parts NAME-00001-of-0000N.gguf is the first, by its name; 1 for any other. */
static unsigned parts_by_name(const char *file)
{
	const size_t tail = strlen("-00001-of-00001.gguf");
	unsigned no, count;

	if (strlen(file) <= tail || sscanf(file + strlen(file) - tail, "-%5u-of-%5u.gguf", &no, &count) != 2 || no != 1)
		return 1;
	return count;
}

bool weights_is_part(const struct gguf *g, const char *file)
{
	uint64_t no, count;

	return parts_by_name(file) > 1 || (gguf_split(g, &no, &count) && count > 1);
}

/* The part says of itself that it stands in this place. */
static int check_part(const struct weights *w, uint64_t i, uint64_t count, struct report *r, struct err *e)
{
	const struct weights_part *part = &w->parts[i];
	uint64_t no = 0, its_count = 0;

	if (!gguf_split(part->gguf, &no, &its_count))
		return report_reject(r, "gguf.split", part->file, e, "it is called part %llu of %llu, and says nothing of parts", (unsigned long long)i + 1,
			(unsigned long long)count);
	if (no == i && its_count == count)
		return 0;
	return report_reject(r, "gguf.split", part->file, e, "it is called part %llu of %llu, and says that it is part %llu of %llu", (unsigned long long)i + 1,
		(unsigned long long)count, (unsigned long long)no + 1, (unsigned long long)its_count);
}

static int check_total(const struct weights *w, struct report *r, struct err *e)
{
	const char *file = w->parts[0].file;
	int64_t total;

	report_path(r, "%s", file);
	if (!gguf_i64(w->parts[0].gguf, "split.tensors.count", &total) || (uint64_t)total == w->n)
		return 0;
	return report_reject(r, "gguf.split", file, e, "it says that all parts hold %lld tensors, and they hold %zu", (long long)total, w->n);
}

/* NAME-00001-of-0000N.gguf: the rest of the series. */
static int open_split(struct weights *w, int dirfd, const char *file, struct report *r, struct err *e)
{
	const size_t tail = strlen("-00001-of-00001.gguf");
	uint64_t no = 0, count = 1, named = parts_by_name(file);
	own(mem) char *name = mem_zalloc(strlen(file) + 64);
	bool says = gguf_split(w->parts[0].gguf, &no, &count);
	int rc;

	if (named > 1)
		rc = check_part(w, 0, count = named, r, e);
	else if (says && count > 1 && no == 0)
		rc = report_reject(r, "gguf.split", file, e, "it is part 1 of %llu of a split model and not called so (NAME-00001-of-%05llu.gguf): programs can't find the others",
			(unsigned long long)count, (unsigned long long)count);
	else if (says && count > 1)
		rc = report_reject(r, "gguf.split", file, e, "it is part %llu of %llu of a split model; the first part is wanted", (unsigned long long)no + 1,
			(unsigned long long)count);
	else
		return 0;
	for (uint64_t i = 1; rc == 0 && i < count; i++) {
		snprintf(name, strlen(file) + 64, "%.*s-%05u-of-%05u.gguf", (int)(strlen(file) - tail), file, (unsigned)i + 1, (unsigned)count);
		rc = open_part(w, dirfd, name, r, e);
		if (rc == ERR_NOT_FOUND)
			return report_reject(r, "gguf.split", file, e, "part %s of the split model is not there", name);
		rc = rc < 0 ? rc : check_part(w, i, count, r, e);
	}
	return rc < 0 ? rc : check_total(w, r, e);
}

int weights_open_gguf(struct weights *w, int dirfd, const char *file, struct report *r, struct err *e)
{
	int rc;

	*w = (struct weights){ 0 };
	rc = open_part(w, dirfd, file, r, e);
	if (rc == 0)
		rc = open_split(w, dirfd, file, r, e);
	if (rc < 0) {
		weights_close(w);
		return rc;
	}
	if (w->n)
		qsort(w->tensors, w->n, sizeof(*w->tensors), tensor_order);
	for (size_t i = 1; i < w->n; i++) {
		if (strcmp(w->tensors[i - 1].name, w->tensors[i].name) == 0) {
			rc = report_reject(r, "gguf.dup_tensor", file, e, "tensor \"%s\" is in two parts", w->tensors[i].name);
			weights_close(w);
			return rc;
		}
	}
	return 0;
}

void weights_close(struct weights *w)
{
	for (size_t i = 0; i < w->n_parts; i++) {
		gguf_close(w->parts[i].gguf);
		free(w->parts[i].file);
		close(w->parts[i].fd);
	}
	free(w->parts);
	free(w->tensors);
	safetensors_set_close(&w->set);
	*w = (struct weights){ 0 };
}
