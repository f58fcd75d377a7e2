/*
 * emu_stream.cc - streams: queues of work that run as late, as early, or as mixed as CUDA allows.
 *
 * Work is put into its stream's queue. EMU_ORDER=lazy runs it when something needs it, and then only what that needs; eager at once;
 * random draws, at every call, how much of it runs and from which streams. Host functions run on a thread of their own, as they do
 * with a device.
 */
#include <stdio.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "emu_parts.h"

#define IDLE_MS 20	/* no call for so long: the program itself waits for a host function */

/* One record of an event. Who waits for an event waits for the record that was the latest when it asked. */
struct mark {
	bool done;
	CUstream_st *stream;
	uint64_t clock;
};

struct work {
	uint64_t number;		/* in the order of the calls, over all streams */
	std::function<void()> run;
	std::shared_ptr<mark> wait;	/* must be done first */
	cudaHostFn_t host;
	void *user;
};

struct CUstream_st {
	bool blocking;		/* keeps the order with the legacy default stream */
	bool busy;		/* its first work is a host function that runs */
	bool destroyed;
	std::deque<work> queue;
};

struct CUevent_st {
	bool timing;
	std::shared_ptr<mark> latest;
};

std::condition_variable_any &emu_moved = *new std::condition_variable_any;	/* never destroyed: the thread below waits there at the end */
static CUstream_st &legacy = *new CUstream_st { true, false, false, {} };
static std::vector<CUstream_st *> &streams = *new std::vector<CUstream_st *> { &legacy };
static std::set<CUevent_st *> &events = *new std::set<CUevent_st *>;
static std::deque<CUstream_st *> &jobs = *new std::deque<CUstream_st *>;	/* whose host function is to run */
static uint64_t last_number, clock_now;
static unsigned host_functions;		/* queued or running */

/* ---- what may run ---- */

/* Which stream must advance before the first work of s may run; NULL: none. What it waits for always came earlier: no cycles. */
static CUstream_st *blocker(CUstream_st *s)
{
	const work &first = s->queue.front();

	if (first.wait && !first.wait->done)
		return first.wait->stream;
	if (s != &legacy)
		return s->blocking && !legacy.queue.empty() && legacy.queue.front().number < first.number ? &legacy : NULL;
	for (CUstream_st *other : streams)
		if (other != s && other->blocking && !other->queue.empty() && other->queue.front().number < first.number)
			return other;
	return NULL;
}

static void forget_if_done(CUstream_st *s)
{
	if (!s->destroyed || !s->queue.empty())
		return;
	streams.erase(std::find(streams.begin(), streams.end(), s));
	delete s;
}

static void run_first(CUstream_st *s)
{
	if (s->queue.front().host) {
		s->busy = true;
		jobs.push_back(s);
		emu_moved.notify_all();
		return;
	}
	work w = std::move(s->queue.front());	/* stays in the queue while it runs: its number still holds others back */

	clock_now++;
	if (w.run) {
		emu_device_open();
		w.run();
	}
	s->queue.pop_front();
	forget_if_done(s);
}

static bool is_runnable(CUstream_st *s)
{
	return !s->queue.empty() && !s->busy && !blocker(s);
}

static CUstream_st *any_runnable(bool oldest)
{
	std::vector<CUstream_st *> can;

	std::copy_if(streams.begin(), streams.end(), std::back_inserter(can), is_runnable);
	if (can.empty())
		return NULL;
	if (!oldest)
		return can[emu_random(static_cast<uint32_t>(can.size()))];
	return *std::min_element(can.begin(), can.end(), [](CUstream_st *a, CUstream_st *b) { return a->queue.front().number < b->queue.front().number; });
}

static void wait_for_host_function(void)
{
	emu_device_close();
	emu_moved.wait(emu_lock);
}

/* One step nearer to the end of s: runs its first work, or what holds that back. In random order another stream may come first. */
static void advance(CUstream_st *s, bool may_wait)
{
	CUstream_st *other = emu_set.order == EMU_RANDOM && emu_random(2) ? any_runnable(false) : NULL;

	if (other) {
		run_first(other);
		return;
	}
	while (!s->busy && (other = blocker(s)))
		s = other;
	if (!s->busy)
		run_first(s);
	else if (may_wait)
		wait_for_host_function();
}

void emu_finish(cudaStream_t s)
{
	while (!s->queue.empty())
		advance(s, true);
}

void emu_finish_all(void)
{
	for (;;) {
		auto it = std::find_if(streams.begin(), streams.end(), [](CUstream_st *s) { return !s->queue.empty(); });

		if (it == streams.end())
			return;
		advance(*it, true);
	}
}

/* What the device does by itself when it has been given something. */
static void go_on(void)
{
	CUstream_st *s;

	if (emu_set.order == EMU_EAGER)
		while ((s = any_runnable(true)))
			run_first(s);
	else if (emu_set.order == EMU_RANDOM)
		for (uint32_t n = emu_random(2) * (1 + emu_random(3)); n && (s = any_runnable(false)); n--)
			run_first(s);
}

static void put(CUstream_st *s, work w)
{
	w.number = ++last_number;
	s->queue.push_back(std::move(w));
	go_on();
}

void emu_put(cudaStream_t s, std::function<void()> run)
{
	put(s, { 0, std::move(run), nullptr, NULL, NULL });
}

/* The device is lost: nothing that was enqueued runs any more. A host function that runs already comes to its end. */
void emu_drop_work(void)
{
	for (size_t i = streams.size(); i-- > 0;) {
		CUstream_st *s = streams[i];

		while (s->queue.size() > (s->busy ? 1 : 0)) {
			work &w = s->queue.back();

			host_functions -= w.host ? 1 : 0;
			if (w.wait)
				w.wait->done = true;
			s->queue.pop_back();
		}
		forget_if_done(s);
	}
	for (CUevent_st *e : events)
		if (e->latest)
			e->latest->done = true;
}

/* ---- host functions ---- */

static void run_job(void)
{
	CUstream_st *s = jobs.front();
	work w = s->queue.front();

	jobs.pop_front();
	emu_device_close();
	emu_lock.unlock();
	emu_in_host_function = true;
	w.host(w.user);
	emu_in_host_function = false;
	emu_lock.lock();
	s->busy = false;
	s->queue.pop_front();
	forget_if_done(s);
	host_functions--;
	go_on();
	emu_device_close();
	emu_moved.notify_all();
}

/* A device comes to a host function by itself, and the program may wait for what that one does without calling the runtime. */
static void advance_to_host_function(void)
{
	for (CUstream_st *s : streams) {
		if (std::none_of(s->queue.begin(), s->queue.end(), [](const work &w) { return w.host; }))
			continue;
		advance(s, false);
		emu_device_close();
		return;
	}
}

static void host_thread(void)
{
	std::lock_guard<std::mutex> guard(emu_lock);

	for (;;) {
		uint64_t calls = emu_calls_made;

		if (!jobs.empty())
			run_job();
		else if (!host_functions)
			emu_moved.wait(emu_lock);
		else if (emu_moved.wait_for(emu_lock, std::chrono::milliseconds(IDLE_MS)) == std::cv_status::timeout)
			while (jobs.empty() && host_functions && emu_calls_made == calls)
				advance_to_host_function();
	}
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *user)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		static bool started;

		if (!fn)
			return cudaErrorInvalidValue;
		if (!started)
			std::thread(host_thread).detach();
		started = true;
		host_functions++;
		put(emu_stream(stream, "cudaLaunchHostFunc"), { 0, nullptr, nullptr, fn, user });
		emu_moved.notify_all();
		return cudaSuccess;
	});
}

/* ---- kernels ---- */

static cudaError_t check_launch(dim3 grid, dim3 block, size_t shared_bytes, size_t allowed)
{
	uint64_t threads = static_cast<uint64_t>(block.x) * block.y * block.z;

	if (!threads || threads > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64)
		return cudaErrorInvalidConfiguration;
	if (!grid.x || !grid.y || !grid.z || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535)
		return cudaErrorInvalidConfiguration;
	return shared_bytes > allowed ? cudaErrorInvalidConfiguration : cudaSuccess;
}

size_t emu_shared_allowed(const void *kernel);

void emu_enqueue(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, std::function<void()> body)
{
	emu_call(name, EMU_COUNTED, [&] {
		cudaError_t error = check_launch(grid, block, shared_bytes, emu_shared_allowed(kernel));

		if (error)
			return error;
		emu_put(emu_stream(stream, name), [=] {
			emu_run_kernel(name, grid, block, shared_bytes, body);
			emu_device_check(name);
		});
		return cudaSuccess;
	});
}

/* ---- streams ---- */

cudaStream_t emu_stream(cudaStream_t stream, const char *call)
{
	if (!stream || stream == cudaStreamLegacy)
		return &legacy;
	auto it = std::find(streams.begin(), streams.end(), stream);
	if (it == streams.end() || (*it)->destroyed)
		emu_die("%s: %p is not a stream, or was destroyed", call, static_cast<void *>(stream));
	return stream;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		if (flags & ~static_cast<unsigned>(cudaStreamNonBlocking))
			return cudaErrorInvalidValue;
		*stream = new CUstream_st { !(flags & cudaStreamNonBlocking), false, false, {} };
		streams.push_back(*stream);
		return cudaSuccess;
	});
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
	return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

/* Returns at once: what the stream still holds runs when its time comes. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
	return emu_call(__func__, EMU_UNCOUNTED, [&] {
		if (!stream || stream == cudaStreamLegacy)
			return cudaErrorInvalidResourceHandle;
		emu_stream(stream, "cudaStreamDestroy")->destroyed = true;
		forget_if_done(stream);
		return cudaSuccess;
	});
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		emu_finish(emu_stream(stream, "cudaStreamSynchronize"));
		return cudaSuccess;
	});
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		cudaStream_t s = emu_stream(stream, "cudaStreamQuery");

		if (!s->queue.empty())
			advance(s, false);	/* who asks again and again must get there */
		return s->queue.empty() ? cudaSuccess : cudaErrorNotReady;
	});
}

/* ---- events ---- */

static cudaEvent_t checked(cudaEvent_t event, const char *call)
{
	if (!events.count(event))
		emu_die("%s: %p is not an event, or was destroyed", call, static_cast<void *>(event));
	return event;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		if (flags & ~static_cast<unsigned>(cudaEventBlockingSync | cudaEventDisableTiming))
			return cudaErrorInvalidValue;
		*event = new CUevent_st { !(flags & cudaEventDisableTiming), nullptr };
		events.insert(*event);
		return cudaSuccess;
	});
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
	return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
	return emu_call(__func__, EMU_UNCOUNTED, [&] {
		events.erase(checked(event, "cudaEventDestroy"));
		delete event;
		return cudaSuccess;
	});
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		cudaStream_t s = emu_stream(stream, "cudaEventRecord");
		std::shared_ptr<mark> m(new mark { false, s, 0 });

		checked(event, "cudaEventRecord")->latest = m;
		emu_put(s, [m] {
			m->done = true;
			m->clock = clock_now;
		});
		return cudaSuccess;
	});
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		cudaStream_t s = emu_stream(stream, "cudaStreamWaitEvent");

		if (flags)
			return cudaErrorInvalidValue;
		if (checked(event, "cudaStreamWaitEvent")->latest)	/* never recorded: nothing to wait for */
			put(s, { 0, nullptr, event->latest, NULL, NULL });
		return cudaSuccess;
	});
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		std::shared_ptr<mark> m = checked(event, "cudaEventSynchronize")->latest;

		while (m && !m->done)
			advance(m->stream, true);
		return cudaSuccess;
	});
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		std::shared_ptr<mark> m = checked(event, "cudaEventQuery")->latest;

		if (m && !m->done)
			advance(m->stream, false);
		return !m || m->done ? cudaSuccess : cudaErrorNotReady;
	});
}

/* Time here is a count: each piece of work takes a microsecond. */
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
	return emu_call(__func__, EMU_COUNTED, [&] {
		std::shared_ptr<mark> a = checked(start, "cudaEventElapsedTime")->latest, b = checked(end, "cudaEventElapsedTime")->latest;

		if (!start->timing || !end->timing || !a || !b)
			return cudaErrorInvalidResourceHandle;
		if (!a->done || !b->done)
			return cudaErrorNotReady;
		*ms = (static_cast<float>(b->clock) - static_cast<float>(a->clock)) / 1000;
		return cudaSuccess;
	});
}

void emu_stream_reset(void)
{
	emu_drop_work();
	for (size_t i = streams.size(); i-- > 1;) {
		streams[i]->destroyed = true;
		forget_if_done(streams[i]);
	}
	for (CUevent_st *e : events)
		delete e;
	events.clear();
}

unsigned emu_stream_leaks(void)
{
	unsigned n = 0;

	for (CUstream_st *s : streams)
		n += s != &legacy && !s->destroyed;
	if (n)
		fprintf(stderr, "cuda_host: %u streams were not destroyed\n", n);
	if (!events.empty())
		fprintf(stderr, "cuda_host: %zu events were not destroyed\n", events.size());
	return n + static_cast<unsigned>(events.size());
}
