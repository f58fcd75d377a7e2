/*
 * emu_memory.cc - device memory, and what is known of the host's.
 *
 * Device memory lies in one reserved stretch of address space. Addresses are never given out twice, so that what was freed stays
 * freed; each allocation ends where a page ends that is followed by one that can't be touched; the few bytes between are filled with a
 * pattern that is checked after each kernel (AddressSanitizer watches them too). While the device does nothing, its memory can't be
 * touched: a host that follows a device pointer faults, as it would with a device. Where the processor has protection keys, opening and
 * closing is writing a register of the thread; elsewhere pages are opened and closed, for allocations of up to CLOSED_MOST.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

#include "emu_parts.h"

#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_BYTES (8ull << 40)
#define PAGE 4096u
#define ALIGN 256u	/* what cudaMalloc promises */
#define PATTERN '\xa5'
#define CLOSED_MOST (256u << 10)	/* without keys, opening and closing costs by the page: larger allocations stay open */

struct allocation {
	char *pages;
	size_t pages_bytes, size;
};

struct pinned {
	size_t size;
	bool owned;	/* by cudaHostAlloc, else registered */
};

static char *arena, *arena_top;
static std::map<char *, allocation> &allocations = *new std::map<char *, allocation>;	/* never destroyed: used until the very end */
static std::map<char *, pinned> &pins = *new std::map<char *, pinned>;
static uint64_t used, peak;
static int key = -1;			/* of device memory; -1: there are no protection keys here */
static thread_local bool is_open;	/* a key opens it for its thread only */

[[noreturn]] void emu_die(const char *format, ...)
{
	char text[1024];
	size_t n = static_cast<size_t>(snprintf(text, sizeof(text), "cuda_host: "));
	va_list ap;

	n += emu_where(text + n, sizeof(text) - n);
	va_start(ap, format);
	if (n < sizeof(text))
		vsnprintf(text + n, sizeof(text) - n, format, ap);
	va_end(ap);
	fprintf(stderr, "%s\n", text);
	abort();
}

/* ---- faults ---- */

static struct sigaction old_segv;

/* The last allocation that begins at or before p. */
static std::map<char *, allocation>::iterator at_or_before(const char *p)
{
	auto it = allocations.upper_bound(const_cast<char *>(p));

	return it == allocations.begin() ? allocations.end() : --it;
}

/* Says whose memory it was, and aborts. What is no memory of ours is the old handler's, or the default action's, when the access is tried again. */
static void on_segv(int sig, siginfo_t *info, void *context)
{
	char *p = static_cast<char *>(info->si_addr), text[512];
	size_t n;

	(void)context;
	if (arena && p >= arena && p < arena_top) {
		auto it = at_or_before(p);

		n = static_cast<size_t>(snprintf(text, sizeof(text), "cuda_host: "));
		n += emu_where(text + n, sizeof(text) - n);
		if (it == allocations.end())
			n += static_cast<size_t>(snprintf(text + n, sizeof(text) - n, "device memory at %p is touched, which is not allocated", static_cast<void *>(p)));
		else
			n += static_cast<size_t>(snprintf(text + n, sizeof(text) - n, "device memory is touched %td bytes into an allocation of %zu%s", p - it->first,
				it->second.size, is_open ? "" : ", by the host"));
		text[n++] = '\n';
		n = static_cast<size_t>(write(STDERR_FILENO, text, n));
		abort();
	}
	sigaction(sig, &old_segv, NULL);
}

/* Again at each allocation: test frameworks install handlers of their own, and take them back. */
static void catch_faults(void)
{
	struct sigaction sa = {}, old;

	sa.sa_sigaction = on_segv;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigaction(SIGSEGV, &sa, &old);
	if (!(old.sa_flags & SA_SIGINFO) || old.sa_sigaction != on_segv)
		old_segv = old;
}

/* ---- device memory ---- */

static void reserve_arena(void)
{
	arena = static_cast<char *>(mmap(NULL, ARENA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	if (arena == MAP_FAILED)
		emu_die("can't reserve %llu bytes of address space for the device's memory", ARENA_BYTES);
	arena_top = arena + PAGE;
	key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
}

static void protect(const allocation &a, int prot)
{
	if (mprotect(a.pages, a.pages_bytes, prot) < 0)
		emu_die("can't change the protection of device memory: too many allocations for vm.max_map_count");
}

static void protect_all(int prot)
{
	if (key >= 0) {
		pkey_set(key, prot == PROT_NONE ? PKEY_DISABLE_ACCESS : 0);
		return;
	}
	for (auto &it : allocations)
		if (it.second.pages_bytes <= CLOSED_MOST)
			protect(it.second, prot);
}

void emu_device_open(void)
{
	if (!is_open)
		protect_all(PROT_READ | PROT_WRITE);
	is_open = true;
}

void emu_device_close(void)
{
	if (is_open)
		protect_all(PROT_NONE);
	is_open = false;
}

/* NULL past the limit. The memory reads as NaN: nobody may rely on zeros. */
void *emu_device_alloc(size_t size)
{
	size_t rounded = (size + ALIGN - 1) / ALIGN * ALIGN, bytes = (rounded + PAGE - 1) / PAGE * PAGE;
	allocation a;
	char *p;

	if (rounded < size || bytes < rounded || used > emu_set.memory || rounded > emu_set.memory - used)
		return NULL;
	if (!arena)
		reserve_arena();
	catch_faults();
	if (bytes + PAGE > static_cast<size_t>(arena + ARENA_BYTES - arena_top))
		emu_die("the device's address space is used up: addresses are never given out twice");
	a = { arena_top, bytes, size };
	arena_top += bytes + PAGE;
	p = a.pages + bytes - rounded;
	protect(a, PROT_READ | PROT_WRITE);
	memset(a.pages, PATTERN, bytes);
	memset(p, 0xff, size);
	ASAN_POISON_MEMORY_REGION(a.pages, bytes - rounded);
	ASAN_POISON_MEMORY_REGION(p + size, rounded - size);
	if (key >= 0 && pkey_mprotect(a.pages, a.pages_bytes, PROT_READ | PROT_WRITE, key) < 0)
		emu_die("can't give device memory its protection key");
	if (key < 0 && !is_open && bytes <= CLOSED_MOST)
		protect(a, PROT_NONE);
	allocations[p] = a;
	used += rounded;
	if (used > peak)
		peak = used;
	return p;
}

__attribute__((no_sanitize("address"))) static bool is_pattern(const char *p, const char *end)
{
	uint64_t word, want, wrong = 0;

	memset(&want, PATTERN, sizeof(want));
	for (; end - p >= 8; p += 8) {		/* by words: after each kernel there are pages of it */
		memcpy(&word, p, sizeof(word));
		wrong |= word ^ want;
	}
	while (p < end && *p == PATTERN)
		p++;
	return p == end && !wrong;
}

static void check_guards(const char *p, const allocation &a, const char *after)
{
	if (!is_pattern(a.pages, p))
		emu_die("%s: memory before an allocation of %zu bytes was written", after, a.size);
	if (!is_pattern(p + a.size, a.pages + a.pages_bytes))
		emu_die("%s: memory behind an allocation of %zu bytes was written", after, a.size);
}

void emu_device_check(const char *after)
{
	for (auto &it : allocations)
		check_guards(it.first, it.second, after);
}

void emu_device_free(void *p, const char *call)
{
	auto it = allocations.find(static_cast<char *>(p));

	if (it == allocations.end())
		emu_die("%s: %p is not an allocation of the device, or was freed already", call, p);
	used -= (it->second.size + ALIGN - 1) / ALIGN * ALIGN;
	madvise(it->second.pages, it->second.pages_bytes, MADV_DONTNEED);
	protect(it->second, PROT_NONE);
	allocations.erase(it);
}

uint64_t emu_device_used(void)
{
	return used;
}

uint64_t emu_peak_bytes(void)
{
	std::lock_guard<std::mutex> guard(emu_lock);

	return peak;
}

void emu_peak_reset(void)
{
	peak = used;
}

/* ---- whose memory is it ---- */

emu_side emu_side_of(const void *address)
{
	char *p = static_cast<char *>(const_cast<void *>(address));
	auto it = pins.upper_bound(p);

	if (arena && p >= arena && p < arena + ARENA_BYTES)
		return EMU_DEVICE_SIDE;
	if (it != pins.begin() && p < (--it)->first + it->second.size)
		return EMU_PINNED;
	return EMU_HOST;
}

void emu_need_device(const char *call, const char *what, const void *address, uint64_t size)
{
	const char *p = static_cast<const char *>(address);
	auto it = at_or_before(p);
	uint64_t at;

	if (emu_side_of(p) != EMU_DEVICE_SIDE)
		emu_die("%s: %s (%p) is not device memory", call, what, address);
	if (it == allocations.end() || p >= it->first + it->second.size)
		emu_die("%s: %s (%p) is not in an allocation, or that was freed", call, what, address);
	at = static_cast<uint64_t>(p - it->first);
	if (size > it->second.size - at)
		emu_die("%s: %s takes %llu bytes from byte %llu of an allocation of %zu", call, what, static_cast<unsigned long long>(size), static_cast<unsigned long long>(at), it->second.size);
}

emu_side emu_need_host(const char *call, const char *what, const void *address, uint64_t size)
{
	emu_side side = emu_side_of(address);
	char *p = static_cast<char *>(const_cast<void *>(address));

	if (side == EMU_DEVICE_SIDE)
		emu_die("%s: %s (%p) is device memory, and must be the host's", call, what, address);
	if (side == EMU_PINNED && emu_side_of(p + size - 1) != EMU_PINNED)
		emu_die("%s: %s begins in a pinned range and its %llu bytes reach past it", call, what, static_cast<unsigned long long>(size));
	return side;
}

/* ---- pinned memory ---- */

cudaError_t emu_pin(void *address, size_t size, bool owned)
{
	char *p = static_cast<char *>(address);
	auto next = pins.lower_bound(p);

	if (emu_side_of(p) != EMU_HOST || (next != pins.end() && next->first < p + size))
		return emu_side_of(p) == EMU_DEVICE_SIDE ? cudaErrorInvalidValue : cudaErrorHostMemoryAlreadyRegistered;
	pins[p] = { size, owned };
	return cudaSuccess;
}

cudaError_t emu_unpin(void *address, bool owned)
{
	auto it = pins.find(static_cast<char *>(address));

	if (it == pins.end() || it->second.owned != owned)
		return owned ? cudaErrorInvalidValue : cudaErrorHostMemoryNotRegistered;
	if (owned)
		free(it->first);
	pins.erase(it);
	return cudaSuccess;
}

void emu_memory_reset(void)
{
	while (!allocations.empty())
		emu_device_free(allocations.begin()->first, "cudaDeviceReset");
	while (!pins.empty())
		emu_unpin(pins.begin()->first, pins.begin()->second.owned);
}

unsigned emu_memory_leaks(void)
{
	for (auto &it : allocations)
		fprintf(stderr, "cuda_host: %zu bytes of device memory were not freed\n", it.second.size);
	for (auto &it : pins)
		fprintf(stderr, "cuda_host: %zu bytes of host memory are still %s\n", it.second.size, it.second.owned ? "allocated as pinned" : "registered");
	return static_cast<unsigned>(allocations.size() + pins.size());
}
