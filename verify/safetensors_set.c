/* safetensors_set.c - a checkpoint in one or many .safetensors files, and whether its index tells the truth; see safetensors.h. */
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/safetensors.h"

#define SHARDS_MAX 10000
#define INDEX_SUFFIX ".index.json"

struct opener {
	struct safetensors_set *set;
	int dirfd;
	const char *index;	/* its name, for findings */
	struct report *f;
	struct err *e;
};

/* Findings about the index; reading a shard has named that shard. */
#define REJECT(o, rule, ...) (report_path((o)->f, "%s", (o)->index), report_reject((o)->f, rule, (o)->index, (o)->e, __VA_ARGS__))
#define FLAG(o, rule, ...) (report_path((o)->f, "%s", (o)->index), report_flag((o)->f, rule, __VA_ARGS__))

static int entry_order(const void *a, const void *b)
{
	const struct safetensors_entry *x = a, *y = b;

	return strcmp(x->tensor->name, y->tensor->name);
}

const struct safetensors_entry *safetensors_set_find(const struct safetensors_set *set, const char *name)
{
	struct safetensors_tensor key_tensor = { .name = name };
	struct safetensors_entry key = { .tensor = &key_tensor };

	return set->n_entries ? bsearch(&key, set->entries, set->n_entries, sizeof(key), entry_order) : NULL;
}

static struct safetensors_shard *find_shard(const struct safetensors_set *set, const char *file)
{
	for (size_t i = 0; i < set->n_shards; i++)
		if (strcmp(set->shards[i].file, file) == 0)
			return &set->shards[i];
	return NULL;
}

/* Opens one more shard and reads its header. ERR_NOT_FOUND when it is not there. */
static int add_shard(struct opener *o, const char *file)
{
	struct safetensors st = { 0 };
	struct safetensors_shard *s;
	own(fd) int fd = fdio_open_beneath(o->dirfd, file, O_RDONLY | O_CLOEXEC, o->e);
	int rc;

	if (fd < 0)
		return fd;
	if (o->set->n_shards == SHARDS_MAX)
		return err_set(o->e, ERR_LIMIT, "%s: more than %d shards", o->index, SHARDS_MAX);
	rc = safetensors_open(&st, fd, file, o->f, o->e);
	if (rc < 0)
		return rc;
	s = vec_push(&o->set->shards, &o->set->n_shards, &o->set->cap_shards);
	*s = (struct safetensors_shard){ .file = mem_strdup(file), .fd = take_fd(&fd), .st = st };
	return 0;
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The map's shards in the order of their names, so that nothing depends on the order of JSON keys. */
static int add_mapped_shards(struct opener *o, const json_t *map)
{
	own(mem) const char **files = mem_zalloc((json_object_size(map) + 1) * sizeof(*files));
	const char *tensor, *last = "";
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)map, tensor, value) {
		const char *file = json_string_value(value);

		if (!file || !str_ends(file, ".safetensors") || fdio_check_relative(file, NULL) < 0)
			return REJECT(o, "idx.format", "tensor \"%s\" is said to be in %s, which is not a plain .safetensors file name", tensor,
				file ? file : "something that is not a string");
		files[n++] = file;
	}
	if (n)
		qsort(files, n, sizeof(*files), name_order);
	for (size_t i = 0; i < n; i++) {
		int rc;

		if (strcmp(files[i], last) == 0)
			continue;
		last = files[i];
		rc = add_shard(o, last);
		if (rc == ERR_NOT_FOUND)
			return REJECT(o, "idx.missing_shard", "the index names %s, which is not there", last);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Is file PREFIX-00002-of-00005.safetensors? Then the length of PREFIX and the 5. */
static bool numbered(const char *file, size_t *prefix, unsigned *total)
{
	size_t n = strlen(file);
	const char *tail;
	unsigned no;

	if (n < strlen("-00001-of-00001.safetensors"))
		return false;
	tail = file + n - strlen("-00001-of-00001.safetensors");
	*prefix = (size_t)(tail - file);
	return sscanf(tail, "-%5u-of-%5u.safetensors", &no, total) == 2;
}

/* A shard that belongs to the numbered series but not to the map: what does it hold? */
static int check_stray_shard(struct opener *o, const char *file)
{
	struct safetensors st own(safetensors) = { 0 };
	own(fd) int fd = fdio_open_beneath(o->dirfd, file, O_RDONLY | O_CLOEXEC, NULL);
	int rc;

	FLAG(o, "idx.numbering", "%s is not in the index though its numbering asks for it", file);
	if (fd < 0)
		return 0;
	rc = safetensors_open(&st, fd, file, o->f, o->e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < st.n_tensors; i++) {
		if (safetensors_set_find(o->set, st.tensors[i].name))
			FLAG(o, "idx.duplicate", "tensor \"%s\" is also in %s, which the index does not name", st.tensors[i].name, file);
		else
			FLAG(o, "idx.unlisted", "tensor \"%s\" of %s is not in the index", st.tensors[i].name, file);
	}
	return 0;
}

static int check_numbering(struct opener *o)
{
	const char *first = o->set->n_shards ? o->set->shards[0].file : "";
	own(mem) char *file = mem_zalloc(strlen(first) + 64);
	size_t prefix;
	unsigned total;

	if (!numbered(first, &prefix, &total) || total > SHARDS_MAX)
		return 0;
	for (unsigned i = 1; i <= total; i++) {
		int rc;

		snprintf(file, strlen(first) + 64, "%.*s-%05u-of-%05u.safetensors", (int)prefix, first, i, total);
		if (find_shard(o->set, file))
			continue;
		rc = check_stray_shard(o, file);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Every tensor of the shards into one table by name; one that is in two shards stays once, with a flag. */
static uint64_t collect(struct opener *o)
{
	struct safetensors_set *set = o->set;
	uint64_t bytes = 0;
	size_t kept = 0;

	for (size_t s = 0; s < set->n_shards; s++) {
		const struct safetensors *st = &set->shards[s].st;

		for (size_t i = 0; i < st->n_tensors; i++) {
			*vec_push(&set->entries, &set->n_entries, &set->cap_entries) = (struct safetensors_entry){ .tensor = &st->tensors[i], .shard = (uint32_t)s };
			bytes += st->tensors[i].end - st->tensors[i].begin;
		}
	}
	if (set->n_entries)
		qsort(set->entries, set->n_entries, sizeof(*set->entries), entry_order);
	for (size_t i = 0; i < set->n_entries; i++) {
		const char *name = set->entries[i].tensor->name;

		if (kept && strcmp(set->entries[kept - 1].tensor->name, name) == 0)
			FLAG(o, "idx.duplicate", "tensor \"%s\" is in two shards", name);
		else
			set->entries[kept++] = set->entries[i];
	}
	set->n_entries = kept;
	return bytes;
}

/* Index and shards must agree in both directions. */
static int check_map(struct opener *o, const json_t *map)
{
	struct safetensors_set *set = o->set;
	const char *tensor;
	json_t *value;

	json_object_foreach((json_t *)map, tensor, value) {
		const struct safetensors_shard *shard = find_shard(set, json_string_value(value));

		if (!safetensors_find(&shard->st, tensor))
			return REJECT(o, "idx.missing_tensor", "the index says that \"%s\" is in %s, but it is not", tensor, shard->file);
	}
	for (size_t i = 0; i < set->n_entries; i++) {
		struct safetensors_entry *entry = &set->entries[i];

		entry->unlisted = !json_object_get(map, entry->tensor->name);
		if (entry->unlisted)
			FLAG(o, "idx.unlisted", "tensor \"%s\" of %s is not in the index", entry->tensor->name, set->shards[entry->shard].file);
	}
	return 0;
}

static void check_total(struct opener *o, const json_t *index, uint64_t bytes)
{
	int64_t total = json_get_int(json_object_get(index, "metadata"), "total_size", -1);

	if (total >= 0 && (uint64_t)total != bytes)
		FLAG(o, "idx.total_size", "the index says %lld bytes of tensors; the shards hold %llu", (long long)total, (unsigned long long)bytes);
}

static int open_sharded(struct opener *o)
{
	struct buf text own(buf);
	json_t *index own(json) = NULL;
	const json_t *map;
	struct err je = ERR_NONE;
	uint64_t bytes;
	int rc;

	buf_init(&text, SAFETENSORS_INDEX_MAX);
	rc = fdio_slurp(o->dirfd, o->index, &text, o->e);
	if (rc < 0)
		return rc;
	index = json_parse(text.data, text.len, o->index, &je);
	if (!index)
		return REJECT(o, strstr(je.msg, "duplicate") ? "json.duplicate" : "idx.json", "%s", je.msg);
	map = json_object_get(index, "weight_map");
	if (!json_is_object(map))
		return REJECT(o, "idx.format", "the index has no weight_map object");
	rc = add_mapped_shards(o, map);
	if (rc < 0)
		return rc;
	bytes = collect(o);
	rc = check_map(o, map);
	if (rc < 0)
		return rc;
	check_total(o, index, bytes);
	return check_numbering(o);
}

int safetensors_set_open(struct safetensors_set *out, int dirfd, const char *file, struct report *f, struct err *e)
{
	struct safetensors_set set = { 0 };
	struct opener o = { .set = &set, .dirfd = dirfd, .index = file, .f = f, .e = e };
	int rc;

	if (str_ends(file, INDEX_SUFFIX) || str_glob("*.safetensors.index.*.json", file)) {	/* the second: of a variant, such as fp16 */
		rc = open_sharded(&o);
	} else {
		rc = add_shard(&o, file);
		if (rc == 0)
			collect(&o);
	}
	if (rc < 0) {
		safetensors_set_close(&set);
		return rc;
	}
	*out = set;
	return 0;
}

void safetensors_set_close(struct safetensors_set *set)
{
	for (size_t i = 0; i < set->n_shards; i++) {
		free(set->shards[i].file);
		close(set->shards[i].fd);
		safetensors_close(&set->shards[i].st);
	}
	free(set->shards);
	free(set->entries);
	*set = (struct safetensors_set){ 0 };
}
