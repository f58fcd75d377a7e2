/*
 * emu.h - what a test asks of the emulated device; the sources under test know nothing of it. The environment sets how it behaves
 * (README.md), read at the first call of the CUDA runtime and again by emu_configure(). Plain C, for tests in either language.
 */
#ifndef CUDA_HOST_EMU_H
#define CUDA_HOST_EMU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void emu_configure(void);	/* reads the environment again; the count of calls and the peak begin anew, a sticky error is forgotten */
uint64_t emu_peak_bytes(void);	/* the most device memory held at one time */
uint64_t emu_calls(void);	/* runtime and cuBLAS calls so far that EMU_FAIL_AT can reach */
unsigned emu_leaks(void);	/* allocations, pinned ranges, streams, events and handles still held; a line to stderr for each */

#ifdef __cplusplus
}
#endif
#endif
