/* emu_runtime.cc - the calls of the runtime that are neither streams nor events: the device, its errors, memory and copies; settings. */
#include <stdio.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <vector>

#include "emu_parts.h"

#define SHARED_DEFAULT (48u << 10)
#define SHARED_MOST    (227u << 10)

emu_settings emu_set;
std::mutex emu_lock;
uint64_t emu_calls_made;
thread_local bool emu_in_host_function;
static bool configured;
static uint64_t counted_calls;
static uint32_t random_state;
static cudaError_t sticky;
static thread_local cudaError_t last_error;
static thread_local int current_device;
static std::map<const void *, size_t> &shared_limits = *new std::map<const void *, size_t>;

static const struct {
	cudaError_t code;
	bool sticky;		/* the device is lost to this process: every later call fails too */
	const char *name, *text;
} errors[] = {
#define ERROR(code, sticky, text) { code, sticky, #code, text }
	ERROR(cudaSuccess, false, "no error"),
	ERROR(cudaErrorInvalidValue, false, "invalid argument"),
	ERROR(cudaErrorMemoryAllocation, false, "out of memory"),
	ERROR(cudaErrorInitializationError, false, "initialization error"),
	ERROR(cudaErrorInvalidConfiguration, false, "invalid configuration argument"),
	ERROR(cudaErrorInvalidPitchValue, false, "invalid pitch argument"),
	ERROR(cudaErrorInvalidMemcpyDirection, false, "invalid copy direction for memcpy"),
	ERROR(cudaErrorInsufficientDriver, false, "CUDA driver version is insufficient for CUDA runtime version"),
	ERROR(cudaErrorDevicesUnavailable, true, "CUDA-capable device(s) is/are busy or unavailable"),
	ERROR(cudaErrorNoDevice, false, "no CUDA-capable device is detected"),
	ERROR(cudaErrorInvalidDevice, false, "invalid device ordinal"),
	ERROR(cudaErrorNoKernelImageForDevice, false, "no kernel image is available for execution on the device"),
	ERROR(cudaErrorECCUncorrectable, true, "uncorrectable ECC error encountered"),
	ERROR(cudaErrorInvalidResourceHandle, false, "invalid resource handle"),
	ERROR(cudaErrorNotReady, false, "device not ready"),
	ERROR(cudaErrorIllegalAddress, true, "an illegal memory access was encountered"),
	ERROR(cudaErrorLaunchOutOfResources, false, "too many resources requested for launch"),
	ERROR(cudaErrorLaunchTimeout, true, "the launch timed out and was terminated"),
	ERROR(cudaErrorHostMemoryAlreadyRegistered, false, "part or all of the requested memory range is already mapped"),
	ERROR(cudaErrorHostMemoryNotRegistered, false, "pointer does not correspond to a registered memory region"),
	ERROR(cudaErrorLaunchFailure, true, "unspecified launch failure"),
	ERROR(cudaErrorNotPermitted, false, "operation not permitted"),
	ERROR(cudaErrorNotSupported, false, "operation not supported"),
	ERROR(cudaErrorUnknown, true, "unknown error"),
#undef ERROR
};

/* ---- settings ---- */

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	uint64_t n;

	if (!text || !*text)
		return otherwise;
	n = strtoull(text, &end, 10);
	if (*end)
		emu_die("%s=%s is not a number", name, text);
	return n;
}

static emu_order order_of(const char *text)
{
	static const char *const names[] = { "eager", "lazy", "random" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(text, names[i]))
			return static_cast<emu_order>(i);
	emu_die("EMU_ORDER=%s: it is eager, lazy or random", text);
}

static cudaError_t error_of(const char *text)
{
	for (const auto &e : errors)
		if (!strcmp(e.name, text))
			return e.code;
	emu_die("EMU_FAIL_CODE=%s is not the name of an error that is known here, such as cudaErrorMemoryAllocation", text);
}

static void list_leaks(void)
{
	if (emu_leaks()) {
		fflush(NULL);
		_exit(1);
	}
}

static void configure(void)
{
	static bool at_exit;
	const char *order = getenv("EMU_ORDER"), *code = getenv("EMU_FAIL_CODE");

	configured = true;
	emu_set.order = order_of(order && *order ? order : "lazy");
	emu_set.seed = static_cast<uint32_t>(number_of("EMU_SEED", 0));
	emu_set.memory = number_of("EMU_MEMORY", 8ull << 30);
	emu_set.devices = static_cast<int>(number_of("EMU_DEVICES", 1));
	emu_set.fail_at = number_of("EMU_FAIL_AT", 0);
	emu_set.fail_code = error_of(code && *code ? code : "cudaErrorUnknown");
	random_state = emu_set.seed * 2654435761u + 88172645u;
	random_state += !random_state;
	for (int i = 0; i < 8; i++)	/* neighbouring seeds part */
		emu_random(2);
	if (!at_exit && number_of("EMU_LEAKS", 0))
		atexit(list_leaks);
	at_exit = true;
}

void emu_configure(void)
{
	std::lock_guard<std::mutex> guard(emu_lock);

	emu_finish_all();
	emu_device_close();
	configure();
	counted_calls = 0;
	emu_peak_reset();
	sticky = last_error = cudaSuccess;
}

uint64_t emu_calls(void)
{
	std::lock_guard<std::mutex> guard(emu_lock);

	return counted_calls;
}

unsigned emu_leaks(void)
{
	std::lock_guard<std::mutex> guard(emu_lock);

	if (emu_cublas_handles)
		fprintf(stderr, "cuda_host: %u cuBLAS handles were not destroyed\n", emu_cublas_handles);
	return emu_memory_leaks() + emu_stream_leaks() + emu_cublas_handles;
}

/* xorshift32 */
uint32_t emu_random(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % below;
}

/* ---- errors ---- */

static const auto &error_row(cudaError_t code)
{
	for (const auto &e : errors)
		if (e.code == code)
			return e;
	return errors[sizeof(errors) / sizeof(*errors) - 1];
}

static cudaError_t injected(void)
{
	if (++counted_calls != emu_set.fail_at)
		return cudaSuccess;
	if (error_row(emu_set.fail_code).sticky) {
		sticky = emu_set.fail_code;
		emu_drop_work();
	}
	return emu_set.fail_code;
}

cudaError_t emu_call(const char *name, emu_counted counted, const std::function<cudaError_t()> &f)
{
	if (emu_in_host_function)
		emu_die("%s is called by a host function, which may not call CUDA", name);
	std::lock_guard<std::mutex> guard(emu_lock);
	cudaError_t error = sticky, own;

	if (!configured)
		configure();
	emu_calls_made++;
	if (!error && counted == EMU_COUNTED)
		error = injected();
	own = error && counted == EMU_COUNTED ? error : f();	/* what gives something back does so on a lost device too */
	emu_device_close();
	error = error ? error : own;
	if (error)
		last_error = error;
	return error;
}

cudaError_t cudaPeekAtLastError(void)
{
	std::lock_guard<std::mutex> guard(emu_lock);

	return sticky ? sticky : last_error;
}

cudaError_t cudaGetLastError(void)
{
	cudaError_t error = cudaPeekAtLastError();

	last_error = cudaSuccess;
	return error;
}

const char *cudaGetErrorString(cudaError_t error)
{
	return error_row(error).text;
}

const char *cudaGetErrorName(cudaError_t error)
{
	return error_row(error).name;
}

/* ---- the device ---- */

static const struct {
	cudaDeviceAttr attr;
	int value;
} attributes[] = {
	{ cudaDevAttrMaxThreadsPerBlock, 1024 },
	{ cudaDevAttrMaxSharedMemoryPerBlock, SHARED_DEFAULT },
	{ cudaDevAttrMaxSharedMemoryPerBlockOptin, SHARED_MOST },
	{ cudaDevAttrWarpSize, 32 },
	{ cudaDevAttrMultiProcessorCount, 4 },
	{ cudaDevAttrIntegrated, 0 },
	{ cudaDevAttrConcurrentKernels, 1 },
	{ cudaDevAttrPciBusId, 1 },
	{ cudaDevAttrPciDeviceId, 0 },
	{ cudaDevAttrPciDomainId, 0 },
	{ cudaDevAttrL2CacheSize, 4 << 20 },
	{ cudaDevAttrAsyncEngineCount, 2 },
	{ cudaDevAttrUnifiedAddressing, 1 },
	{ cudaDevAttrComputeCapabilityMajor, 9 },
	{ cudaDevAttrComputeCapabilityMinor, 0 },
	{ cudaDevAttrPageableMemoryAccess, 0 },
	{ cudaDevAttrHostRegisterSupported, 1 },
	{ cudaDevAttrHostRegisterReadOnlySupported, 1 },
	{ cudaDevAttrMemoryPoolsSupported, 1 },
};

static int attribute(cudaDeviceAttr attr)
{
	for (const auto &a : attributes)
		if (a.attr == attr)
			return a.value;
	emu_die("attribute %d of the device is not known here: add it to emu_runtime.cc", static_cast<int>(attr));
}

cudaError_t cudaGetDeviceCount(int *count)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		*count = emu_set.devices;
		return emu_set.devices ? cudaSuccess : cudaErrorNoDevice;
	});
}

cudaError_t cudaSetDevice(int device)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		if (device < 0 || device >= emu_set.devices)
			return emu_set.devices ? cudaErrorInvalidDevice : cudaErrorNoDevice;
		current_device = device;
		return cudaSuccess;
	});
}

cudaError_t cudaGetDevice(int *device)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		*device = current_device;
		return emu_set.devices ? cudaSuccess : cudaErrorNoDevice;
	});
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int device)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		if (device < 0 || device >= emu_set.devices)
			return cudaErrorInvalidDevice;
		*value = attr == cudaDevAttrPciBusId ? device + 1 : attribute(attr);
		return cudaSuccess;
	});
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int device)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		cudaDeviceProp p = {};

		if (device < 0 || device >= emu_set.devices)
			return cudaErrorInvalidDevice;
		snprintf(p.name, sizeof(p.name), "emulated");
		p.uuid.bytes[15] = static_cast<char>(device + 1);
		p.totalGlobalMem = emu_set.memory;
		p.sharedMemPerBlock = SHARED_DEFAULT;
		p.sharedMemPerBlockOptin = SHARED_MOST;
		p.warpSize = attribute(cudaDevAttrWarpSize);
		p.maxThreadsPerBlock = p.maxThreadsDim[0] = p.maxThreadsDim[1] = attribute(cudaDevAttrMaxThreadsPerBlock);
		p.maxThreadsDim[2] = 64;
		p.maxGridSize[0] = INT32_MAX;
		p.maxGridSize[1] = p.maxGridSize[2] = 65535;
		p.major = attribute(cudaDevAttrComputeCapabilityMajor);
		p.minor = attribute(cudaDevAttrComputeCapabilityMinor);
		p.multiProcessorCount = attribute(cudaDevAttrMultiProcessorCount);
		p.concurrentKernels = attribute(cudaDevAttrConcurrentKernels);
		p.asyncEngineCount = attribute(cudaDevAttrAsyncEngineCount);
		p.unifiedAddressing = attribute(cudaDevAttrUnifiedAddressing);
		p.pciBusID = device + 1;
		p.l2CacheSize = attribute(cudaDevAttrL2CacheSize);
		p.hostRegisterSupported = p.hostRegisterReadOnlySupported = p.memoryPoolsSupported = 1;
		*prop = p;
		return cudaSuccess;
	});
}

static cudaError_t give_version(const char *call, int *version)
{
	return emu_call(call, EMU_COUNTED, [&] {
		*version = CUDART_VERSION;
		return cudaSuccess;
	});
}

cudaError_t cudaDriverGetVersion(int *version)
{
	return give_version(__func__, version);
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
	return give_version(__func__, version);
}

cudaError_t cudaDeviceSynchronize(void)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		emu_finish_all();
		return cudaSuccess;
	});
}

/* Takes back all that the process holds; a lost device is as new. */
cudaError_t cudaDeviceReset(void)
{
	return emu_call(__func__, EMU_UNCOUNTED, [&] {
		emu_stream_reset();
		emu_memory_reset();
		shared_limits.clear();
		sticky = cudaSuccess;
		return cudaSuccess;
	});
}

size_t emu_shared_allowed(const void *kernel)
{
	auto it = shared_limits.find(kernel);

	return it == shared_limits.end() ? SHARED_DEFAULT : it->second;
}

cudaError_t emu_func_attribute(const void *kernel, cudaFuncAttribute attr, int value)
{
	return emu_call("cudaFuncSetAttribute", EMU_COUNTED, [&] {
		if (attr == cudaFuncAttributePreferredSharedMemoryCarveout)
			return cudaSuccess;
		if (attr != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value > static_cast<int>(SHARED_MOST))
			return cudaErrorInvalidValue;
		shared_limits[kernel] = static_cast<size_t>(value);
		return cudaSuccess;
	});
}

/* ---- memory ---- */

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		*total = emu_set.memory;
		*free_bytes = emu_set.memory > emu_device_used() ? emu_set.memory - emu_device_used() : 0;
		return cudaSuccess;
	});
}

static cudaError_t allocate(const char *call, void **p, size_t size)
{
	return emu_call(call, EMU_COUNTED, [&] {
		void *got = size ? emu_device_alloc(size) : NULL;

		if (size && !got) {	/* what waits to be freed in a stream counts until it is */
			emu_finish_all();
			got = emu_device_alloc(size);
		}
		if (size && !got)
			return cudaErrorMemoryAllocation;
		*p = got;
		return cudaSuccess;
	});
}

cudaError_t cudaMalloc(void **p, size_t size)
{
	return allocate(__func__, p, size);
}

cudaError_t cudaMallocAsync(void **p, size_t size, cudaStream_t stream)
{
	(void)stream;	/* the address is given at once; who uses it before its turn in the stream is not found out */
	return allocate(__func__, p, size);
}

cudaError_t cudaFree(void *p)
{
	return emu_call(__func__, EMU_UNCOUNTED, [&] {
		emu_finish_all();
		if (p) {
			emu_device_open();
			emu_device_check("cudaFree");
			emu_device_free(p, "cudaFree");
		}
		return cudaSuccess;
	});
}

cudaError_t cudaFreeAsync(void *p, cudaStream_t stream)
{
	return emu_call(__func__, EMU_UNCOUNTED, [&] {
		emu_need_device("cudaFreeAsync", "the pointer", p, 1);
		emu_put(emu_stream(stream, "cudaFreeAsync"), [p] { emu_device_free(p, "cudaFreeAsync"); });
		return cudaSuccess;
	});
}

cudaError_t cudaHostAlloc(void **p, size_t size, unsigned int flags)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		void *got = NULL;

		if (flags & ~7u)
			return cudaErrorInvalidValue;
		if (size && posix_memalign(&got, 4096, size))
			return cudaErrorMemoryAllocation;
		if (got) {
			memset(got, 0xff, size);
			emu_pin(got, size, true);
		}
		*p = got;
		return cudaSuccess;
	});
}

cudaError_t cudaFreeHost(void *p)
{
	return emu_call(__func__, EMU_UNCOUNTED, [&] {
		emu_finish_all();
		return p ? emu_unpin(p, true) : cudaSuccess;
	});
}

cudaError_t cudaHostRegister(void *p, size_t size, unsigned int flags)
{
	return emu_call(__func__, EMU_COUNTED, [&] { return !p || !size || flags & ~15u ? cudaErrorInvalidValue : emu_pin(p, size, false); });
}

cudaError_t cudaHostUnregister(void *p)
{
	return emu_call(__func__, EMU_UNCOUNTED, [&] {
		emu_finish_all();
		return emu_unpin(p, false);
	});
}

/* ---- copies ---- */

struct copy {
	char *to;
	size_t to_pitch;
	const char *from;
	size_t from_pitch, width, height;
};

static void run_copy(const struct copy &c)
{
	for (size_t i = 0; i < c.height; i++)
		memcpy(c.to + i * c.to_pitch, c.from + i * c.from_pitch, c.width);
}

static uint64_t extent(const struct copy &c, size_t pitch)
{
	return (c.height - 1) * pitch + c.width;
}

/* The bytes as they are now. */
static std::function<void()> staged(const struct copy &c)
{
	std::shared_ptr<std::vector<char>> bytes(new std::vector<char>(c.width * c.height));
	struct copy in = { bytes->data(), c.width, c.from, c.from_pitch, c.width, c.height };
	struct copy out = { c.to, c.to_pitch, bytes->data(), c.width, c.width, c.height };

	run_copy(in);
	return [bytes, out] { run_copy(out); };
}

static cudaMemcpyKind kind_of(const void *to, const void *from)
{
	bool to_device = emu_side_of(to) == EMU_DEVICE_SIDE, from_device = emu_side_of(from) == EMU_DEVICE_SIDE;

	return to_device ? from_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice : from_device ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
}

/*
 * Pinned memory is read and written when the copy runs. Pageable memory is read now, through a staging buffer, and a copy to it has
 * ended when the call returns.
 */
static cudaError_t put_copy(const char *call, struct copy c, cudaMemcpyKind kind, cudaStream_t stream)
{
	cudaStream_t s = emu_stream(stream, call);
	emu_side from = EMU_DEVICE_SIDE, to = EMU_DEVICE_SIDE;

	if (!c.width || !c.height)
		return cudaSuccess;
	if (c.to_pitch < c.width || c.from_pitch < c.width)
		return cudaErrorInvalidPitchValue;
	if (kind == cudaMemcpyDefault)
		kind = kind_of(c.to, c.from);
	if (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost)
		to = emu_need_host(call, "the destination", c.to, extent(c, c.to_pitch));
	else
		emu_need_device(call, "the destination", c.to, extent(c, c.to_pitch));
	if (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost)
		from = emu_need_host(call, "the source", c.from, extent(c, c.from_pitch));
	else
		emu_need_device(call, "the source", c.from, extent(c, c.from_pitch));
	emu_put(s, from == EMU_HOST ? staged(c) : [c] { run_copy(c); });
	if (to == EMU_HOST)
		emu_finish(s);
	return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t stream)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		return put_copy("cudaMemcpyAsync", { static_cast<char *>(to), n, static_cast<const char *>(from), n, n, 1 }, kind, stream);
	});
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		return put_copy("cudaMemcpy2DAsync", { static_cast<char *>(to), to_pitch, static_cast<const char *>(from), from_pitch, width, height }, kind, stream);
	});
}

/* Waits, unless nothing of the host's is concerned. */
cudaError_t cudaMemcpy(void *to, const void *from, size_t n, cudaMemcpyKind kind)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		cudaError_t error = put_copy("cudaMemcpy", { static_cast<char *>(to), n, static_cast<const char *>(from), n, n, 1 }, kind, NULL);

		if (!error && n && kind_of(to, from) != cudaMemcpyDeviceToDevice)
			emu_finish(emu_stream(NULL, "cudaMemcpy"));
		return error;
	});
}

cudaError_t cudaMemsetAsync(void *p, int byte, size_t n, cudaStream_t stream)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		cudaStream_t s = emu_stream(stream, "cudaMemsetAsync");

		if (n) {
			emu_need_device("cudaMemsetAsync", "the destination", p, n);
			emu_put(s, [=] { memset(p, byte, n); });
		}
		return cudaSuccess;
	});
}

cudaError_t cudaMemset(void *p, int byte, size_t n)
{
	return cudaMemsetAsync(p, byte, n, NULL);
}
