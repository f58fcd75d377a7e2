/* backend.cu - a GPU as a struct ops: opening and closing, arrays, small arguments, errors. The rest is in the files that parts.h lists. */
#include <stdio.h>

#include "infer/cuda/parts.h"

extern "C" {
#include "base/str.h"
#include "base/vec.h"
#include "infer/cuda/module.h"
#include "infer/ops_check.h"
}

#define RESERVE_BYTES	((uint64_t)512 << 20)	/* of free memory that is left to others, unless a budget is given */
#define BF16_MAJOR	8			/* compute capability from which matrix units take bfloat16 */

/* ---- errors --------------------------------------------------------------------------------------------------------------- */

bool cuda_begin(struct backend *b, const char *op, size_t rows, size_t cols, size_t depth)
{
	if (b->error.code)
		return false;
	b->at.op = op;
	b->at.name = NULL;
	b->at.a = rows;
	b->at.b = cols;
	b->at.c = depth;
	return true;
}

/* Kernels run later than their call: what fails may be an earlier one. */
static void failed(struct backend *b, const char *what)
{
	char sizes[80], layer[32] = "";

	if (b->error.code)
		return;
	snprintf(sizes, sizeof(sizes), b->at.c ? "%zu x %zu x %zu" : b->at.b ? "%zu x %zu" : "%zu", b->at.a, b->at.b, b->at.c);
	if (b->at.layer >= 0)
		snprintf(layer, sizeof(layer), ", layer %ld", b->at.layer);
	err_set(&b->error, ERR_FAILED, "GPU %u (%s): %s, noticed in %s (%s)%s%s%s", b->device.index, b->device.name, what, b->at.op ? b->at.op : "opening", sizes,
		b->at.name ? " of " : "", b->at.name ? b->at.name : "", layer);
}

bool cuda_ok(struct backend *b, cudaError_t rc)
{
	char what[256];

	if (rc == cudaSuccess)
		return b->error.code == 0;
	snprintf(what, sizeof(what), "%s (%s)", cudaGetErrorString(rc), cudaGetErrorName(rc));
	failed(b, what);
	return false;
}

bool cuda_blas_ok(struct backend *b, cublasStatus_t rc)
{
	char what[256];

	if (rc == CUBLAS_STATUS_SUCCESS)
		return b->error.code == 0;
	snprintf(what, sizeof(what), "cuBLAS: %s", cublasGetStatusString(rc));
	failed(b, what);
	return false;
}

/* ---- small arguments -------------------------------------------------------------------------------------------------------- */

static bool args_open(struct backend *b)
{
	size_t bytes = ARGS_SEGMENTS * ARGS_SEGMENT_BYTES;

	b->args.device = static_cast<uint8_t *>(memory_get(b, bytes, "arguments"));
	if (!b->args.device || !cuda_ok(b, cudaHostAlloc(reinterpret_cast<void **>(&b->args.host), bytes, cudaHostAllocDefault)))
		return false;
	for (cudaEvent_t &passed : b->args.passed)
		if (!cuda_ok(b, cudaEventCreateWithFlags(&passed, cudaEventDisableTiming)))
			return false;
	return true;
}

static void args_close(struct backend *b)
{
	for (cudaEvent_t &passed : b->args.passed)
		if (passed)
			cudaEventDestroy(passed);
	if (b->args.host)
		cudaFreeHost(b->args.host);
	memory_free(b, b->args.device, ARGS_SEGMENTS * ARGS_SEGMENT_BYTES);
}

/* Room for bytes <= ARGS_SEGMENT_BYTES: an offset into both buffers; SIZE_MAX when something failed. */
static size_t args_room(struct backend *b, size_t bytes)
{
	struct args *a = &b->args;
	size_t at;

	if (a->used + bytes > ARGS_SEGMENT_BYTES) {
		if (!cuda_ok(b, cudaEventRecord(a->passed[a->segment], b->compute)))
			return SIZE_MAX;
		a->segment = (a->segment + 1) % ARGS_SEGMENTS;
		a->used = 0;
		if (!cuda_ok(b, cudaEventSynchronize(a->passed[a->segment])))
			return SIZE_MAX;
	}
	at = a->segment * ARGS_SEGMENT_BYTES + a->used;
	a->used += (bytes + 255) / 256 * 256;
	return at;
}

const void *cuda_args(struct backend *b, const void *host, size_t bytes)
{
	size_t at;

	if (bytes > ARGS_SEGMENT_BYTES) {
		err_set(&b->error, ERR_LIMIT, "%zu bytes of arguments for %s; the GPU path takes %zu", bytes, b->at.op, ARGS_SEGMENT_BYTES);
		return NULL;
	}
	at = args_room(b, bytes);
	if (at == SIZE_MAX)
		return NULL;
	memcpy(b->args.host + at, host, bytes);
	return cuda_ok(b, cudaMemcpyAsync(b->args.device + at, b->args.host + at, bytes, cudaMemcpyHostToDevice, b->compute)) ? b->args.device + at : NULL;
}

/* ---- arrays ------------------------------------------------------------------------------------------------------------------ */

/* Through pinned memory, so that the call can return while earlier operations still run. */
void cuda_put(struct backend *b, float *to, const float *host, size_t n)
{
	size_t bytes = n * sizeof(*host);

	if (!cuda_begin(b, "put", n, 0, 0))
		return;
	if (bytes <= ARGS_SEGMENT_BYTES / 4) {
		size_t at = args_room(b, bytes);

		if (at == SIZE_MAX)
			return;
		memcpy(b->args.host + at, host, bytes);
		cuda_ok(b, cudaMemcpyAsync(to, b->args.host + at, bytes, cudaMemcpyHostToDevice, b->compute));
		return;
	}
	for (size_t at = 0; at < bytes; at += FEED_SLOT_BYTES) {
		size_t part = bytes - at < FEED_SLOT_BYTES ? bytes - at : FEED_SLOT_BYTES;
		uint8_t *pinned = feed_pinned(b);

		if (!pinned)
			return;
		memcpy(pinned, reinterpret_cast<const uint8_t *>(host) + at, part);
		if (!cuda_ok(b, cudaMemcpyAsync(reinterpret_cast<uint8_t *>(to) + at, pinned, part, cudaMemcpyHostToDevice, b->compute)))
			return;
		feed_copied(b);
	}
}

static void cuda_get(struct backend *b, float *host, const float *from, size_t n)
{
	if (cuda_begin(b, "get", n, 0, 0) && cuda_ok(b, cudaMemcpyAsync(host, from, n * sizeof(*host), cudaMemcpyDeviceToHost, b->compute)))
		cuda_ok(b, cudaStreamSynchronize(b->compute));
}

/* ---- the course of things ------------------------------------------------------------------------------------------------------ */

static void cuda_layer(struct backend *b, uint32_t layer)
{
	b->at.layer = layer;
}

static int cuda_status(struct backend *b, struct err *e)
{
	return b->error.code ? err_set(e, b->error.code, "%s", b->error.msg) : 0;
}

static int cuda_finish(struct backend *b, struct err *e)
{
	int rc;

	if (b->error.code == 0)
		cuda_ok(b, cudaStreamSynchronize(b->copy));
	if (b->error.code == 0)
		cuda_ok(b, cudaStreamSynchronize(b->compute));
	stats_collect(b);
	b->at.layer = -1;
	rc = cuda_status(b, e);
	b->error = {};
	return rc;
}

static bool cuda_resident(struct backend *b)
{
	return !b->streamed;
}

static void cuda_forget(struct backend *b)
{
	b->stats.n = 0;
	memory_forget(b);
}

static uint64_t cuda_peak_bytes(struct backend *b)
{
	return b->peak;
}

static void cuda_close(struct backend *b)
{
	if (!b)
		return;
	if (b->compute)
		cudaStreamSynchronize(b->compute);
	if (b->copy)
		cudaStreamSynchronize(b->copy);
	feed_close(b);
	args_close(b);
	memory_free(b, b->stats.partial, STATS_BLOCKS * sizeof(struct seen));
	memory_free(b, b->stats.seen, STATS_SLOTS * sizeof(struct seen));
	for (struct room *r : { &b->tile, &b->split, &b->raw })
		memory_free(b, r->p, r->bytes);
	if (b->raw.used)
		cudaEventDestroy(b->raw.used);
	memory_free(b, b->workspace, WORKSPACE_BYTES);
	memory_close(b);
	if (b->blas)
		cublasDestroy(b->blas);
	if (b->compute)
		cudaStreamDestroy(b->compute);
	if (b->copy)
		cudaStreamDestroy(b->copy);
	pool_close(b->pool);
	free(b);
}

static struct ops table()
{
	struct ops t = {};

	t.name = "cuda";
	t.alloc = memory_array, t.free = memory_array_free, t.put = cuda_put, t.get = cuda_get;
	t.matmul = cuda_matmul, t.norm = cuda_norm, t.zero = cuda_zero, t.add = cuda_add, t.add_row = cuda_add_row, t.scale = cuda_scale;
	t.scale_rows = cuda_scale_rows, t.softcap = cuda_softcap, t.rope = cuda_rope, t.attend = cuda_attend, t.join_heads = cuda_join_heads;
	t.act = cuda_act, t.gather = cuda_gather, t.scatter_add = cuda_scatter_add, t.gate_rows = cuda_gate_rows, t.tally = cuda_tally;
	t.measure = stats_measure, t.layer = cuda_layer, t.status = cuda_status, t.finish = cuda_finish, t.resident = cuda_resident;
	t.forget = cuda_forget, t.peak_bytes = cuda_peak_bytes, t.close = cuda_close;
	return t;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------------- */

/* "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  …": the third field from what has dots in it; "" where it can't be read. */
static void driver_version(char *out, size_t size)
{
	char text[256] = "", *save = NULL;
	FILE *f = fopen("/proc/driver/nvidia/version", "r");

	out[0] = '\0';
	if (!f)
		return;
	if (fgets(text, sizeof(text), f))
		for (char *word = strtok_r(text, " \t\n", &save); word && !out[0]; word = strtok_r(NULL, " \t\n", &save))
			if (word[0] >= '0' && word[0] <= '9' && strchr(word, '.'))
				snprintf(out, size, "%s", word);
	fclose(f);
}

static int describe(struct ops_device *d, int index, struct err *e)
{
	struct cudaDeviceProp p;
	cudaError_t rc = cudaGetDeviceProperties(&p, index);

	if (rc != cudaSuccess)
		return err_set(e, ERR_FAILED, "GPU %d: %s", index, cudaGetErrorString(rc));
	snprintf(d->name, sizeof(d->name), "%.*s", (int)sizeof(d->name) - 1, p.name);
	d->index = (unsigned)index;
	d->major = (unsigned)p.major;
	d->minor = (unsigned)p.minor;
	d->total_bytes = p.totalGlobalMem;
	cudaDriverGetVersion(&d->cuda_driver);
	cudaRuntimeGetVersion(&d->cuda_runtime);
	driver_version(d->driver, sizeof(d->driver));
	return 0;
}

static int choose_device(const struct ops_cuda_options *o, struct ops_device *d, struct err *e)
{
	int count = 0, index = o->index < 0 ? 0 : o->index;
	cudaError_t rc = cudaGetDeviceCount(&count);

	if (rc == cudaErrorInsufficientDriver || rc == cudaErrorNoDevice || (rc == cudaSuccess && count == 0))
		return err_set(e, ERR_UNSUPPORTED, "no GPU that CUDA can use: %s", rc == cudaSuccess ? "none is there" : cudaGetErrorString(rc));
	if (rc != cudaSuccess)
		return err_set(e, ERR_FAILED, "CUDA does not start: %s", cudaGetErrorString(rc));
	if (index >= count)
		return err_set(e, ERR_UNSUPPORTED, "no GPU %d: CUDA shows %d, counted from 0", index, count);
	rc = cudaSetDevice(index);
	return rc == cudaSuccess ? describe(d, index, e) : err_set(e, ERR_FAILED, "GPU %d can't be used: %s", index, cudaGetErrorString(rc));
}

static void set_budget(struct backend *b, const struct ops_cuda_options *o)
{
	size_t free_bytes = 0, total = 0;

	if (!cuda_ok(b, cudaMemGetInfo(&free_bytes, &total)))
		return;
	b->budget = o->memory_bytes ? o->memory_bytes : free_bytes > RESERVE_BYTES ? free_bytes - RESERVE_BYTES : 0;
	b->device.budget_bytes = b->budget;
}

static bool open_blas(struct backend *b)
{
	b->workspace = memory_get(b, WORKSPACE_BYTES, "the workspace of products");
	return b->workspace && cuda_blas_ok(b, cublasCreate(&b->blas)) && cuda_blas_ok(b, cublasSetStream(b->blas, b->compute)) &&
	       cuda_blas_ok(b, cublasSetMathMode(b->blas, CUBLAS_DEFAULT_MATH)) &&	/* TF32 only where it is asked for */
	       cuda_blas_ok(b, cublasSetWorkspace(b->blas, b->workspace, WORKSPACE_BYTES));
}

static void open_parts(struct backend *b, const struct ops_cuda_options *o)
{
	set_budget(b, o);
	if (!cuda_ok(b, cudaStreamCreateWithFlags(&b->compute, cudaStreamNonBlocking)) || !cuda_ok(b, cudaStreamCreateWithFlags(&b->copy, cudaStreamNonBlocking)) ||
	    !cuda_ok(b, cudaEventCreateWithFlags(&b->raw.used, cudaEventDisableTiming)))
		return;
	if (feed_open(b) && args_open(b) && stats_open(b) && open_blas(b))
		decode_open(b);
}

extern "C" int cuda_module_open(const struct ops **ops, struct backend **out, const struct ops_cuda_options *o, struct ops_device *device, struct err *e)
{
	static const struct ops cuda_ops = table();
	struct backend *b = static_cast<struct backend *>(mem_zalloc(sizeof(*b)));
	int rc = choose_device(o, &b->device, e);

	b->at.layer = -1;
	b->arrays = static_cast<struct array *>(mem_zalloc(CUDA_ARRAYS_MAX * sizeof(*b->arrays)));
	b->bf16 = b->device.major >= BF16_MAJOR;
	if (rc == 0)
		rc = pool_open(&b->pool, o->threads, e);
	if (rc == 0) {
		open_parts(b, o);
		rc = cuda_finish(b, e);
	}
	if (rc == 0)
		rc = ops_check(&cuda_ops, b, OPS_CHECK_QUICK, e);
	if (rc < 0) {
		cuda_close(b);
		return rc;
	}
	cuda_forget(b);
	b->peak = b->bytes;
	*ops = &cuda_ops;
	*out = b;
	*device = b->device;
	return 0;
}
