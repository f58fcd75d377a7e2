/*
 * emu_block.cc - runs a kernel: one block after another, the threads of a block as fibers that switch where they wait for each other.
 *
 * Between two such places a thread runs undisturbed. With a seed, who runs next is drawn among all that can: a thread may be at its
 * end before another has begun, which is what a missing barrier must be tested with.
 */
#include <stdio.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "emu_parts.h"

#ifdef EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#define FIBER_STACK_BYTES (512u << 10)	/* red zones make frames large */
#define SHARED_GUARD_BYTES 0		/* it has its own */
#else
#define FIBER_STACK_BYTES (128u << 10)
#define SHARED_GUARD_BYTES 256
#endif
#define GUARD_BYTES 4096u
#define GUARD '\xa5'
#define WARP 32u

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

struct fiber {
	void *sp;
	const void *stack;
	size_t stack_bytes;
	void *fake_stack;	/* AddressSanitizer's */
	unsigned thread;	/* the one that it runs, or is to run */
};

enum thread_state { FRESH, RUNNABLE, IN_BARRIER, IN_WARP, ENDED };

struct thread {
	thread_state state;
	struct fiber *fiber;
	const char *op, *file;		/* where it waits */
	int line;
	unsigned mask, source;		/* IN_WARP; source: a lane, or EMU_VOTE */
	uint64_t value;			/* given, then received */
};

/* The block that runs. Like the fibers it is never destroyed: a device may be used until the very end. */
struct running {
	const char *name;
	const std::function<void()> *body;
	unsigned n, live, in_barrier, current;
	std::vector<struct thread> threads;
	std::vector<unsigned> ready;	/* a queue from ready[next_ready]; with a seed, a bag */
	size_t next_ready;
	const struct thread *first_in_barrier;
	unsigned ended[1024 / WARP], in_warp[1024 / WARP];	/* a bit a lane */
	char *shared;
};
static struct running &now = *new running();

static struct fiber host;		/* the stack that started the block */
static struct fiber *current = &host, *previous;
static std::vector<struct fiber *> &idle = *new std::vector<struct fiber *>;

/* ---- stacks ---- */

/* Saves the callee's registers and stack in *from and goes on where `to` was left. */
extern "C" void emu_switch(void **from, void *to);
#if defined(__x86_64__)
__asm__(".text\n.globl emu_switch\n.type emu_switch,@function\nemu_switch:\n"
	"	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	pushq %r15\n"
	"	movq %rsp, (%rdi)\n	movq %rsi, %rsp\n"
	"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %rbx\n	popq %rbp\n	ret\n"
	".size emu_switch,.-emu_switch\n");
enum { ENTRY_WORD = 6, FRAME_WORDS = 8 };	/* registers, where to return to, and that one's own return address: none */
#elif defined(__aarch64__)
__asm__(".text\n.globl emu_switch\n.type emu_switch,%function\nemu_switch:\n"
	"	sub sp, sp, #160\n	stp x19, x20, [sp]\n	stp x21, x22, [sp, #16]\n	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n	stp x27, x28, [sp, #64]\n	stp x29, x30, [sp, #80]\n	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n	stp d12, d13, [sp, #128]\n	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n	str x9, [x0]\n	mov sp, x1\n"
	"	ldp x19, x20, [sp]\n	ldp x21, x22, [sp, #16]\n	ldp x23, x24, [sp, #32]\n	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n	ldp x29, x30, [sp, #80]\n	ldp d8, d9, [sp, #96]\n	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n	ldp d14, d15, [sp, #144]\n	add sp, sp, #160\n	ret\n"
	".size emu_switch,.-emu_switch\n");
enum { ENTRY_WORD = 11, FRAME_WORDS = 20 };	/* x30 is where to return to */
#else
#error "tests/cuda_host/emu_block.cc: write emu_switch for this processor"
#endif


/* First thing on a stack that was switched to. */
static void arrived(struct fiber *self)
{
	(void)self;
#ifdef EMU_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
	if (previous == &host) {
		host.stack = bottom;
		host.stack_bytes = size;
	}
#endif
}

static void switch_to(struct fiber *to)
{
	struct fiber *from = current;

	previous = from;
	current = to;
#ifdef EMU_ASAN
	__sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
	emu_switch(&from->sp, to->sp);
	arrived(from);
}

static void fiber_main(void);

static struct fiber *new_fiber(void)
{
	char *p = static_cast<char *>(mmap(NULL, GUARD_BYTES + FIBER_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	struct fiber *f = new fiber();
	static unsigned n_fibers;
	size_t colour = n_fibers++ % 61 * 192;	/* equal addresses modulo a page would push each other out of the cache */
	void **frame;

	if (p == MAP_FAILED || mprotect(p, GUARD_BYTES, PROT_NONE) < 0)
		emu_die("no memory for the stack of one more thread");
	f->stack = p + GUARD_BYTES;
	f->stack_bytes = FIBER_STACK_BYTES;
	frame = reinterpret_cast<void **>(p + GUARD_BYTES + FIBER_STACK_BYTES - colour) - FRAME_WORDS;	/* the rest is zero: backtraces end there */
	frame[ENTRY_WORD] = reinterpret_cast<void *>(fiber_main);
	f->sp = frame;
	return f;
}

/* ---- threads ---- */

static uint3 index_of(unsigned t)
{
	return { t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y };
}

static void become(unsigned t)
{
	now.current = t;
	threadIdx = index_of(t);
}

size_t emu_where(char *to, size_t size)
{
	uint3 t = threadIdx, b = blockIdx;

	if (!now.name)
		return static_cast<size_t>(snprintf(to, size, "%s", ""));
	return static_cast<size_t>(snprintf(to, size, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u): ", now.name, b.x, b.y, b.z, t.x, t.y, t.z));
}

/* Nobody can run, and somebody waits: says who waits for whom. */
[[noreturn]] static void stuck(void)
{
	unsigned waits = 0, missing = 0;

	while (now.threads[waits].state == ENDED)
		waits++;
	const struct thread &w = now.threads[waits];
	unsigned first = w.state == IN_WARP ? waits / WARP * WARP : 0;
	unsigned end = w.state == IN_WARP && first + WARP < now.n ? first + WARP : now.n;
	for (missing = first; missing + 1 < end; missing++) {
		const struct thread &m = now.threads[missing];
		bool named = w.state == IN_BARRIER || w.mask >> missing % WARP & 1;

		if (named && m.state != ENDED && (m.state != w.state || (w.state == IN_WARP && (m.mask != w.mask || strcmp(m.op, w.op)))))
			break;
	}
	const struct thread &m = now.threads[missing];
	uint3 at = index_of(missing);
	become(waits);
	emu_die("waits in %s (%s:%d, mask %08x), where thread (%u,%u,%u) never arrives: that one waits in %s (%s:%d, mask %08x)",
		w.op, w.file, w.line, w.mask, at.x, at.y, at.z, m.op, m.file, m.line, m.mask);
}

/* Takes the thread that runs next. */
static unsigned pick(void)
{
	unsigned t;

	if (now.next_ready == now.ready.size())
		stuck();
	if (!emu_set.seed)
		return now.ready[now.next_ready++];
	std::swap(now.ready[emu_random(static_cast<uint32_t>(now.ready.size()))], now.ready.back());
	t = now.ready.back();
	now.ready.pop_back();
	return t;
}

static void make_ready(unsigned t)
{
	if (now.threads[t].state != FRESH)
		now.threads[t].state = RUNNABLE;
	if (now.next_ready > 4096) {	/* keep the queue short */
		now.ready.erase(now.ready.begin(), now.ready.begin() + static_cast<ptrdiff_t>(now.next_ready));
		now.next_ready = 0;
	}
	now.ready.push_back(t);
}

static void resume(unsigned t)
{
	struct thread &to = now.threads[t];

	if (to.state == FRESH) {
		if (idle.empty())
			idle.push_back(new_fiber());
		to.fiber = idle.back();
		to.fiber->thread = t;
		idle.pop_back();
		to.state = RUNNABLE;
	}
	become(t);
	switch_to(to.fiber);
}

/* The thread that runs has said what it waits for (or that it would let others go first). */
static void give_way(void)
{
	unsigned self = now.current, next = pick();

	if (next != self)
		resume(next);
}

void emu_yield(void)
{
	make_ready(now.current);
	give_way();
}

[[noreturn]] void emu_trap(const char *file, int line)
{
	emu_die("__trap (%s:%d)", file, line);
}

/* ---- barriers ---- */

static void release_barrier(void)
{
	if (!now.in_barrier || now.in_barrier < now.live)
		return;
	now.in_barrier = 0;
	for (unsigned t = 0; t < now.n; t++)
		if (now.threads[t].state == IN_BARRIER)
			make_ready(t);
}

void emu_barrier(const char *file, int line)
{
	struct thread &self = now.threads[now.current];
	const struct thread *first = now.first_in_barrier;

	self.op = "__syncthreads";
	self.mask = ~0u;
	self.file = file;
	self.line = line;
	if (!now.in_barrier++)
		now.first_in_barrier = &self;
	else if (line != first->line || (file != first->file && strcmp(file, first->file)))
		emu_die("arrives at __syncthreads in %s:%d while others wait at the one in %s:%d", file, line, first->file, first->line);
	self.state = IN_BARRIER;
	release_barrier();
	give_way();
}

/* ---- warps ---- */

/* If all lanes that thread t waits for have come with the same operation and mask, hands out the values and lets them go on. */
static void release_warp(unsigned t)
{
	const struct thread &self = now.threads[t];
	struct thread *lanes = &now.threads[t / WARP * WARP];
	unsigned w = t / WARP, mask = self.mask & ~now.ended[w], votes = 0;
	uint64_t given[WARP] = { 0 };

	if ((now.in_warp[w] & mask) != mask)
		return;
	for (unsigned i = 0; i < WARP; i++) {
		if (!(mask >> i & 1))
			continue;
		if (lanes[i].mask != self.mask || (lanes[i].op != self.op && strcmp(lanes[i].op, self.op)))
			return;
		given[i] = lanes[i].value;
		votes |= given[i] ? 1u << i : 0;
	}
	now.in_warp[w] &= ~mask;
	for (unsigned i = 0; i < WARP; i++) {
		if (!(mask >> i & 1))
			continue;
		if (lanes[i].source != EMU_VOTE && !(mask >> lanes[i].source % WARP & 1)) {
			become(w * WARP + i);
			emu_die("%s (%s:%d, mask %08x) reads lane %u, which has ended, does not exist or is not in the mask: its value is undefined",
				lanes[i].op, lanes[i].file, lanes[i].line, lanes[i].mask, lanes[i].source);
		}
		lanes[i].value = lanes[i].source == EMU_VOTE ? votes : given[lanes[i].source % WARP];
		make_ready(w * WARP + i);
	}
}

uint64_t emu_warp(const char *op, unsigned mask, uint64_t value, unsigned source, const char *file, int line)
{
	struct thread &self = now.threads[now.current];
	unsigned t = now.current;

	if (!(mask >> t % WARP & 1))
		emu_die("%s (%s:%d) is called with mask %08x, which leaves out the lane that calls", op, file, line, mask);
	self.op = op;
	self.file = file;
	self.line = line;
	self.mask = mask;
	self.value = value;
	self.source = source;
	self.state = IN_WARP;
	now.in_warp[t / WARP] |= 1u << t % WARP;
	release_warp(t);
	give_way();
	return self.value;
}

unsigned emu_lane(void)
{
	return now.current % WARP;
}

/* ---- a thread's end, and a block's ---- */

/* Those that have ended are waited for no longer, as on the device. */
static void end_thread(unsigned t)
{
	unsigned w = t / WARP;

	now.threads[t].state = ENDED;
	now.ended[w] |= 1u << t % WARP;
	now.live--;
	release_barrier();
	for (unsigned i = 0; i < WARP && now.in_warp[w]; i++)
		if (now.in_warp[w] >> i & 1)
			release_warp(w * WARP + i);
}

/* A fiber runs one thread after another: as long as none of them waits, a block needs one fiber. */
static void fiber_main(void)
{
	struct fiber *self = current;
	unsigned next;

	arrived(self);
	for (;;) {
		(*now.body)();
		end_thread(self->thread);
		idle.push_back(self);
		if (!now.live) {
			switch_to(&host);
			continue;
		}
		next = pick();
		if (now.threads[next].state == FRESH) {		/* resume() would hand it to this fiber: the last in idle */
			idle.pop_back();
			now.threads[next].fiber = self;
			now.threads[next].state = RUNNABLE;
			self->thread = next;
			become(next);
		} else {
			resume(next);
		}
	}
}

extern "C" char __start_emu_shared[] __attribute__((weak)), __stop_emu_shared[] __attribute__((weak));

static void run_block(size_t shared_bytes)
{
	now.live = now.n;
	now.in_barrier = 0;
	now.ready.clear();
	now.next_ready = 0;
	now.threads.assign(now.n, thread());
	memset(now.in_warp, 0, sizeof(now.in_warp));
	memset(now.ended, 0, sizeof(now.ended));
	if (now.n % WARP)
		now.ended[now.n / WARP] = ~0u << now.n % WARP;	/* lanes that the block does not have */
	memset(now.shared, 0xff, shared_bytes);
	if (__start_emu_shared)
		memset(__start_emu_shared, 0xff, static_cast<size_t>(__stop_emu_shared - __start_emu_shared));
	for (unsigned t = 0; t < now.n; t++)
		make_ready(t);
	resume(pick());
}

void *emu_shared_dynamic(void)
{
	return now.shared;
}

/* Blocks come in no order that may be relied on: with a seed, i -> i * step + first for a step that meets each block once. */
void emu_run_kernel(const char *name, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body)
{
	uint64_t n = static_cast<uint64_t>(grid.x) * grid.y * grid.z, step = 1, first = 0;

	if (emu_set.seed) {
		static const uint64_t primes[] = { 1, 7919, 104729, 1299709, 15485863 };

		step = primes[emu_random(5)];
		step = n % step ? step : 1;
		first = emu_random(static_cast<uint32_t>(n < UINT32_MAX ? n : UINT32_MAX));
	}
	gridDim = grid;
	blockDim = block;
	now.name = name;
	now.body = &body;
	now.n = block.x * block.y * block.z;
	now.shared = static_cast<char *>(malloc(shared_bytes + SHARED_GUARD_BYTES));
	std::fill_n(now.shared + shared_bytes, SHARED_GUARD_BYTES, GUARD);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t b = (i * step + first) % n;

		blockIdx = { static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y), static_cast<unsigned>(b / grid.x / grid.y) };
		run_block(shared_bytes);
	}
	if (std::count(now.shared + shared_bytes, now.shared + shared_bytes + SHARED_GUARD_BYTES, GUARD) != SHARED_GUARD_BYTES)
		emu_die("some thread wrote past the end of its %zu bytes of dynamic shared memory", shared_bytes);
	free(now.shared);
	now.name = NULL;
}
