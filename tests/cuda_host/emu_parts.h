/*
 * emu_parts.h - what the parts of the emulated device know of each other.
 *
 *	emu_block.cc	one kernel: its blocks, their threads as fibers, barriers and warps
 *	emu_memory.cc	device memory with its guards, and pinned ranges
 *	emu_stream.cc	queues of work, events, and the order in which they advance
 *	emu_runtime.cc	the calls of the runtime: arguments, errors, injected faults
 *	emu_cublas.cc	matrix products
 *
 * One lock guards everything; what "the device" does is done by whichever thread of the host holds it.
 */
#ifndef CUDA_HOST_EMU_PARTS_H
#define CUDA_HOST_EMU_PARTS_H

#include <condition_variable>
#include <mutex>

#include "cuda_runtime.h"

enum emu_order { EMU_EAGER, EMU_LAZY, EMU_RANDOM };

struct emu_settings {
	emu_order order;
	uint32_t seed;		/* 0: threads, blocks and streams in their natural order */
	uint64_t memory;
	int devices;
	uint64_t fail_at;	/* 0: never */
	cudaError_t fail_code;
};
extern emu_settings emu_set;
extern std::mutex emu_lock;
extern std::condition_variable_any &emu_moved;	/* a host function has ended */

/* Prints the sentence, with the kernel's name and thread where one runs, and aborts: a test must not be able to overlook it. */
[[noreturn]] void emu_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint32_t emu_random(uint32_t below);

/* emu_block.cc */
void emu_run_kernel(const char *name, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body);
size_t emu_where(char *to, size_t size);	/* "kernel …, block …, thread …: ", or "" */

/* emu_memory.cc. Device memory can be touched only between open and close: a host that follows a device pointer faults. */
enum emu_side { EMU_HOST, EMU_PINNED, EMU_DEVICE_SIDE };
void *emu_device_alloc(size_t size);		/* NULL: past EMU_MEMORY */
void emu_device_free(void *p, const char *call);
void emu_device_open(void);
void emu_device_close(void);
void emu_device_check(const char *after);	/* dies where a guard was written */
uint64_t emu_device_used(void);
emu_side emu_side_of(const void *p);
void emu_need_device(const char *call, const char *what, const void *p, uint64_t size);
emu_side emu_need_host(const char *call, const char *what, const void *p, uint64_t size);	/* EMU_HOST or EMU_PINNED */
cudaError_t emu_pin(void *p, size_t size, bool owned);
cudaError_t emu_unpin(void *p, bool owned);
void emu_memory_reset(void);
unsigned emu_memory_leaks(void);
void emu_peak_reset(void);

/* emu_stream.cc */
cudaStream_t emu_stream(cudaStream_t stream, const char *call);		/* dies on what is no stream */
void emu_put(cudaStream_t stream, std::function<void()> run);
void emu_finish(cudaStream_t stream);	/* runs what was put there, and what that waits for */
void emu_finish_all(void);
void emu_drop_work(void);		/* the device is lost: nothing more runs */
void emu_stream_reset(void);
unsigned emu_stream_leaks(void);

/* emu_runtime.cc: every call goes through here. A counted one can be made to fail. */
enum emu_counted { EMU_COUNTED, EMU_UNCOUNTED };
extern thread_local bool emu_in_host_function;
cudaError_t emu_call(const char *name, emu_counted counted, const std::function<cudaError_t()> &f);

extern uint64_t emu_calls_made;		/* of any kind */

/* emu_cublas.cc */
extern unsigned emu_cublas_handles;

#endif
