/*
 * sandbox.h - what this process gives up before it looks at anybody's file: new privileges, the network, other programs, writing,
 * every file outside the checkpoint (Landlock, where the kernel has it), more memory and time than it was given. Enter it before
 * any thread starts, or right after a GPU was opened; it can't be left. A hostile file can then at worst end this process.
 */
#ifndef INFER_SANDBOX_H
#define INFER_SANDBOX_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum sandbox_mode {
	SANDBOX_CPU,	/* strict: system calls that arithmetic over files needs */
	/*
	 * What a driver asks of the kernel is unknown: all but the network, programs, other processes, new files and new privileges is allowed. Files
	 * are the checkpoint's, NVIDIA's devices, and what libraries may still load (/usr, /lib, /proc, /sys), the latter for reading. The driver's
	 * own threads, which are there already, are bound by the system calls refused but not by Landlock.
	 */
	SANDBOX_GPU,
};

struct sandbox {
	bool no_new_privs, landlock, seccomp;
	int landlock_abi;
	uint64_t memory_bytes;	/* 0: no limit */
	int64_t timeout_s;	/* 0: no limit */
	int tell_fd;		/* tell.h's; 0: none */
};

/* dirfd: the checkpoint's directory. s->memory_bytes, timeout_s and tell_fd are the caller's, the rest says what was applied. */
int sandbox_enter(struct sandbox *s, enum sandbox_mode mode, int dirfd, struct err *e);
/*
 * Starts the watch over memory and time. When either limit is passed it calls `over` with a sentence and ends the process with
 * status 1. `over` runs in the watch's own thread.
 */
int sandbox_watch(const struct sandbox *s, void (*over)(const char *why), struct err *e);
uint64_t sandbox_rss_peak(void);	/* bytes */
json_t *sandbox_json(const struct sandbox *s);

#endif
