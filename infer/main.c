/* main.c - registryd-smoke: inspects or runs one checkpoint in a process that has given up everything else. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/embed.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/inspect.h"
#include "infer/kernel.h"
#include "infer/reference.h"
#include "infer/sandbox.h"
#include "infer/whole.h"

#define TEXT_MAX_BYTES (4u << 20)
#define REFERENCE_MAX_BYTES (16u << 20)
#define TIMEOUT_S      1800
#define SAFE_IN_JSON   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-+/"

#if defined(__SANITIZE_ADDRESS__)
/* Looking for leaks means tracing oneself, which the sandbox refuses. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static const char usage[] =
	"usage: registryd-smoke [OPTION]… DIR|FILE.gguf\n"
	"       registryd-smoke --inspect [--json] FILE|DIR\n"
	"       registryd-smoke --platform [--device D]\n"
	"Runs a text through a checkpoint and says whether it is fit to publish, or (--inspect) only reads its files strictly,\n"
	"or (--platform) says as JSON which device, driver and instruction set a test would run on.\n"
	"  --device auto|cpu|cuda[:N]  where to run it\n"
	"  --device-memory SIZE        what a GPU may hold\n"
	"  --text FILE                 instead of the built-in text\n"
	"  --no-run                    structure and statistics only\n"
	"  --tokens N                  at most so many tokens of it\n"
	"  --perplexity-chunk N        score the text in chunks of N tokens, as llama.cpp's perplexity tool does\n"
	"  --reference FILE            a report of an earlier run to compare with\n"
	"  --threads N                 of the processor (all)\n"
	"  --isa NAME                  scalar, avx2, avx512 or amx (the best)\n"
	"  --memory SIZE               stop when the process is larger than this\n"
	"  --timeout DURATION          stop after this long (30m)\n"
	"  --progress-fd N             tell on this descriptor how far it is, in lines\n"
	"  --json                      pure JSON on stdout\n"
	"Exit status: 0 pass (accept, flag), 6 fail (reject), 5 not run, 1 error, 2 usage, 4 no such file.\n";

struct command {
	struct smoke_options smoke;
	struct smoke_gpu gpu;
	const char *device;		/* "auto", "cpu", "cuda", "cuda:1" */
	uint64_t device_memory;
	struct sandbox sandbox;
	const char *text_file, *reference_files[SMOKE_REFERENCES_MAX], *path;
	size_t n_reference_files;
	json_t *references[SMOKE_REFERENCES_MAX];
	uint32_t tell_fd;
	bool inspect, platform, json;
};

static bool want_json, inspecting;
static struct tell told;	/* the watch over the limits names where they were passed */

/* ---- command line ------------------------------------------------------------------------------------------------- */

enum { OPT_INSPECT = 256, OPT_JSON, OPT_DEVICE, OPT_DEVICE_MEMORY, OPT_TEXT, OPT_TOKENS, OPT_CHUNK, OPT_REFERENCE, OPT_THREADS, OPT_ISA, OPT_MEMORY,
	OPT_TIMEOUT, OPT_TELL, OPT_NO_RUN, OPT_PLATFORM, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
	{ "inspect", no_argument, NULL, OPT_INSPECT }, { "json", no_argument, NULL, OPT_JSON }, { "device", required_argument, NULL, OPT_DEVICE },
	{ "device-memory", required_argument, NULL, OPT_DEVICE_MEMORY }, { "text", required_argument, NULL, OPT_TEXT },
	{ "tokens", required_argument, NULL, OPT_TOKENS }, { "perplexity-chunk", required_argument, NULL, OPT_CHUNK },
	{ "reference", required_argument, NULL, OPT_REFERENCE }, { "threads", required_argument, NULL, OPT_THREADS },
	{ "isa", required_argument, NULL, OPT_ISA }, { "memory", required_argument, NULL, OPT_MEMORY },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT }, { "progress-fd", required_argument, NULL, OPT_TELL }, { "no-run", no_argument, NULL, OPT_NO_RUN },
	{ "platform", no_argument, NULL, OPT_PLATFORM },
	{ "help", no_argument, NULL, OPT_HELP }, { "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static int parse_number(const char *name, const char *s, uint32_t min, uint32_t max, uint32_t *out, struct err *e)
{
	uint64_t v;

	if (str_parse_u64(s, &v, e) < 0 || v < min || v > max)
		return err_set(e, ERR_USAGE, "--%s takes a number between %u and %u, not \"%s\"", name, min, max, s);
	*out = (uint32_t)v;
	return 0;
}

static bool device_known(const char *s)
{
	return !strcmp(s, "auto") || !strcmp(s, "cpu") || !strcmp(s, "cuda") || (str_starts(s, "cuda:") && s[5] && strspn(s + 5, "0123456789") == strlen(s + 5));
}

static int parse_option(struct command *c, int opt, const char *value, struct err *e)
{
	switch (opt) {
	case OPT_INSPECT:
		c->inspect = true;
		return 0;
	case OPT_PLATFORM:
		c->platform = true;
		return 0;
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_DEVICE:
		c->device = value;
		return device_known(value) ? 0 : err_set(e, ERR_USAGE, "--device takes auto, cpu, cuda or cuda:N, not \"%s\"", value);
	case OPT_DEVICE_MEMORY:
		return str_parse_size(value, &c->device_memory, e);
	case OPT_TEXT:
		c->text_file = value;
		return 0;
	case OPT_TOKENS:
		return parse_number("tokens", value, 2, MODEL_TOKENS_MAX / 2, &c->smoke.max_tokens, e);
	case OPT_CHUNK:
		return parse_number("perplexity-chunk", value, 4, MODEL_TOKENS_MAX, &c->smoke.chunk, e);
	case OPT_REFERENCE:
		if (c->n_reference_files == SMOKE_REFERENCES_MAX)
			return err_set(e, ERR_USAGE, "--reference can be given %d times", SMOKE_REFERENCES_MAX);
		c->reference_files[c->n_reference_files++] = value;
		return 0;
	case OPT_THREADS:
		return parse_number("threads", value, 1, 256, &c->smoke.threads, e);
	case OPT_ISA:
		c->smoke.isa = value;
		return kernel_known(value) ? 0 : err_set(e, ERR_USAGE, "--isa takes scalar, avx2, avx512 or amx, not \"%s\"", value);
	case OPT_MEMORY:
		return str_parse_size(value, &c->sandbox.memory_bytes, e);
	case OPT_TIMEOUT:
		return str_parse_duration(value, &c->sandbox.timeout_s, e);
	case OPT_NO_RUN:
		c->smoke.no_run = true;
		return 0;
	case OPT_TELL:
		return parse_number("progress-fd", value, 3, 1023, &c->tell_fd, e);
	}
	return err_set(e, ERR_USAGE, "see registryd-smoke --help");
}

/* Everything that was printed has arrived, or a disk is full. */
static bool printed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	fputs("registryd-smoke: standard output can't be written: is its disk full?\n", stderr);
	return false;
}

static int parse(struct command *c, int argc, char **argv, struct err *e)
{
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int rc;

		if (opt == OPT_HELP || opt == OPT_VERSION) {
			fputs(opt == OPT_HELP ? usage : "registryd-smoke " REGISTRYD_VERSION "\n", stdout);
			exit(printed() ? 0 : 1);
		}
		if (opt == '?')
			return err_set(e, ERR_USAGE, "unknown option or missing value: %s (see --help)", argv[optind - 1]);
		rc = parse_option(c, opt, optarg, e);
		if (rc < 0)
			return rc;
	}
	if (c->platform)
		return argc == optind ? 0 : err_set(e, ERR_USAGE, "--platform takes no file (see --help)");
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "one directory or file is wanted (see --help)");
	c->path = argv[optind];
	return 0;
}

/* ---- before the sandbox: everything that lies outside the checkpoint -------------------------------------------------- */

/* The directory, and the name in it where a file was named. */
static int open_target(const char *path, int *dirfd, char **file, struct err *e)
{
	struct stat st;
	const char *slash = strrchr(path, '/');
	own(mem) char *dir = NULL;

	if (stat(path, &st) < 0 && lstat(path, &st) < 0)	/* a link to nothing is still something to judge */
		return errno == ENOENT || errno == ENOTDIR ? err_set(e, ERR_NOT_FOUND, "%s does not exist", path) : err_errno(e, "%s", path);
	*file = NULL;
	if (S_ISDIR(st.st_mode)) {
		*dirfd = fdio_open_dir(AT_FDCWD, path, e);
		return *dirfd < 0 ? *dirfd : 0;
	}
	dir = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
	*dirfd = fdio_open_dir(AT_FDCWD, dir, e);
	if (*dirfd < 0)
		return *dirfd;
	*file = mem_strdup(slash ? slash + 1 : path);
	return 0;
}

static int read_text(struct command *c, struct buf *text, struct err *e)
{
	int rc = 0;

	if (c->text_file)
		rc = fdio_slurp(AT_FDCWD, c->text_file, text, e);
	else if (smoke_fixed_text[0].name)
		rc = buf_add(text, smoke_fixed_text[0].data, smoke_fixed_text[0].size_bytes);
	if (rc < 0)
		return rc;
	if (!str_utf8_valid(text->data, text->len) || text->len == 0)
		return err_set(e, ERR_USAGE, "%s is empty or not UTF-8 text", c->text_file);
	c->smoke.text = text->data;
	c->smoke.n_text = text->len;
	if (c->text_file && !c->smoke.max_tokens)
		c->smoke.max_tokens = MODEL_TOKENS_MAX / 2;	/* a text of one's own is read whole */
	return 0;
}

static int read_references(struct command *c, struct err *e)
{
	for (size_t i = 0; i < c->n_reference_files; i++) {
		struct buf text own(buf);
		int rc;

		buf_init(&text, REFERENCE_MAX_BYTES);
		rc = fdio_slurp(AT_FDCWD, c->reference_files[i], &text, e);
		if (rc < 0)
			return rc;
		c->references[i] = json_parse(text.data, text.len, c->reference_files[i], e);
		if (!c->references[i] || reference_read(&c->smoke.references[i], c->references[i], e) < 0)
			return ERR_USAGE;
		c->smoke.n_references++;
	}
	return 0;
}

/* ---- after it --------------------------------------------------------------------------------------------------------- */

/* Takes the reference; NULL when it can't be written. */
static char *text_of(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));

	json_decref(o);
	return text;
}

static void print_json(json_t *o)
{
	own(mem) char *text = text_of(o);

	puts(text ? text : "{\"verdict\":\"error\",\"reasons\":[\"the report can't be written\"]}");
	fflush(stdout);
}

/* The files one by one, behind all else. What can't be written (a name that is not UTF-8) is left out, and so counts as not inspected. */
static void print_inspection(const struct inspect *x, json_t *o)
{
	own(mem) char *head = text_of(o);
	const char *between = "";

	if (!head) {
		puts("{}");	/* no verdict: whoever reads it holds what it is about */
		return;
	}
	printf("%.*s,\"files\":[", (int)strlen(head) - 1, head);
	for (size_t i = 0; i < x->n_files; i++) {
		own(mem) char *text = text_of(inspect_file_json(&x->files[i]));

		if (!text)
			continue;
		printf("%s%s", between, text);
		between = ",";
	}
	puts("]}");
	fflush(stdout);
}

/* A limit was passed: what there is to say is said, then the process ends (sandbox.h). */
static void over(const char *why)
{
	const char *file = told.file && strspn(told.file, SAFE_IN_JSON) == strlen(told.file) && strlen(told.file) < 256 ? told.file : "";
	char line[1024];
	int n;

	if (want_json && inspecting)	/* reading needs little of either: the file is made to eat them */
		n = snprintf(line, sizeof(line), "{\"verdict\":\"reject\",\"findings\":[{\"path\":\"%s\",\"rule\":\"inspect.limit\",\"severity\":\"reject\","
			"\"message\":\"inspector %s\"}],\"files\":[]}\n", file, why);
	else if (want_json)
		n = snprintf(line, sizeof(line), "{\"verdict\":\"error\",\"reasons\":[\"%s%s%s\"],\"findings\":[]}\n", why, *file ? " at " : "", file);
	else
		n = snprintf(line, sizeof(line), "error: %s%s%s\n", why, *file ? " at " : "", file);
	if (write(want_json ? 1 : 2, line, (size_t)n) < 0)
		return;
}

static void print_findings(const struct report *r)
{
	for (size_t i = 0; i < r->n; i++)
		printf("%s: %s: %s (%s)\n", report_severity_name(r->v[i].severity), r->v[i].path, r->v[i].message, r->v[i].rule);
}

static int run_inspect(const struct command *c, int dirfd, const char *file)
{
	struct inspect x own(inspect) = { 0 };
	struct report r own(report) = { 0 };
	struct err e = ERR_NONE;
	int rc = inspect_run(&x, dirfd, file, &told, &r, &e);

	if (rc < 0 && r.verdict != REPORT_REJECT) {
		fprintf(stderr, "registryd-smoke: %s\n", e.msg);
		return 1;
	}
	if (c->json) {
		json_t *o = inspect_json(&x, &r);

		json_object_set_new(o, "sandbox", sandbox_json(&c->sandbox));
		print_inspection(&x, o);
	} else {
		print_findings(&r);
		printf("%s: %zu files inspected\n", report_severity_name(r.verdict), x.n_files);
	}
	return r.verdict == REPORT_REJECT ? 6 : 0;
}

/* path: what was asked about, for a verdict that is about no file in it. */
static void print_smoke(const struct smoke *s, const char *path)
{
	printf("%s: %s", s->file[0] ? s->file : path, smoke_verdict_name(s->verdict));
	if (s->prompt_tokens)
		printf(", %.3f bits a byte (%.4f nats a token, perplexity %.4f) over %u tokens, %.0f tokens/s on %s (%s)", s->bits_per_byte, s->loss,
			s->perplexity, s->prompt_tokens, s->tokens_per_s, s->device, s->isa);
	putchar('\n');
	for (size_t i = 0; i < s->n_reasons; i++)
		printf("  %s\n", s->reasons[i]);
	if (s->greedy_text)
		printf("  \"%s\"\n", s->greedy_text);
}

static int exit_status(enum smoke_verdict v)
{
	static const int status[] = { [SMOKE_PASS] = 0, [SMOKE_NOT_RUN] = 5, [SMOKE_FAIL] = 6, [SMOKE_ERROR] = 1 };

	return status[v];
}

static int run_smoke(const struct command *c, int dirfd, const char *file)
{
	struct whole w own(whole) = { 0 };
	struct report r own(report) = { 0 };
	struct err e = ERR_NONE;

	if (whole_run(&w, dirfd, file, &c->smoke, &r, &e) < 0) {
		fprintf(stderr, "registryd-smoke: %s\n", e.msg);
		return 1;
	}
	if (c->json) {
		json_t *o = whole_json(&w, &r);

		json_object_set_new(o, "sandbox", sandbox_json(&c->sandbox));
		print_json(o);
	} else {
		print_findings(&r);
		for (size_t i = 0; i < w.n; i++)
			print_smoke(&w.all[i], c->path);
	}
	return exit_status(w.worst->verdict);
}

/*
 * Opens the GPU that is wanted: a driver starts threads and opens devices, which the cage would not allow. "auto" takes one where there is
 * one that works, else the processor. A GPU that was asked for by name and can't be had is an error of the test, said in its report.
 */
static void open_gpu(struct command *c)
{
	struct ops_cuda_options o = { .index = -1, .memory_bytes = c->device_memory, .threads = c->smoke.threads };
	const char *device = c->device ? c->device : "auto";
	bool is_auto = !strcmp(device, "auto");
	uint64_t index = 0;
	struct err e = ERR_NONE;
	int rc;

	if (!strcmp(device, "cpu") || (is_auto && !ops_cuda_driver()))
		return;
	if (str_starts(device, "cuda:"))
		o.index = str_parse_u64(device + 5, &index, &e) < 0 || index > INT_MAX ? INT_MAX : (int)index;
	e = ERR_NONE;
	rc = ops_cuda_open(&c->gpu.op, &c->gpu.be, &o, &c->gpu.device, &e);
	if (rc == 0)
		c->smoke.gpu = &c->gpu;
	else if (!is_auto)
		err_set(&c->smoke.device_error, ERR_FAILED, "device %s: %s", device, e.msg);
	else if (rc != ERR_UNSUPPORTED)
		fprintf(stderr, "registryd-smoke: on the processor, since the GPU can't be used: %s\n", e.msg);
}

/* Reads nothing of anybody's, and so needs no cage. */
static int run_platform(struct command *c)
{
	struct smoke s own(smoke) = { 0 };
	struct err e = ERR_NONE;

	open_gpu(c);
	if (smoke_look(&s, &c->smoke, &e) < 0) {
		fprintf(stderr, "registryd-smoke: %s\n", e.msg);
		return 1;
	}
	print_json(smoke_platform_json(&s));
	return 0;
}

static int prepare(struct command *c, struct buf *text, int *dirfd, char **file, struct err *e)
{
	int rc = c->inspect ? 0 : read_text(c, text, e);

	if (c->tell_fd)
		tell_open(&told, (int)c->tell_fd);
	c->smoke.tell = &told;
	c->sandbox.tell_fd = told.fd;
	if (rc == 0)
		rc = read_references(c, e);
	if (rc == 0)
		rc = open_target(c->path, dirfd, file, e);
	if (rc == 0 && !c->inspect)
		open_gpu(c);
	if (rc == 0)
		rc = sandbox_enter(&c->sandbox, c->smoke.gpu ? SANDBOX_GPU : SANDBOX_CPU, *dirfd, e);
	return rc < 0 ? rc : sandbox_watch(&c->sandbox, over, e);
}

int main(int argc, char **argv)
{
	struct command c = { .sandbox = { .timeout_s = TIMEOUT_S } };
	struct err e = ERR_NONE;
	struct buf text own(buf);
	own(mem) char *file = NULL;
	own(fd) int dirfd = -1;
	int status;

	buf_init(&text, TEXT_MAX_BYTES);
	if (parse(&c, argc, argv, &e) < 0) {
		fprintf(stderr, "registryd-smoke: %s\n", e.msg);
		return 2;
	}
	want_json = c.json;
	inspecting = c.inspect;
	if (!c.platform && prepare(&c, &text, &dirfd, &file, &e) < 0) {
		fprintf(stderr, "registryd-smoke: %s\n", e.msg);
		return e.code == ERR_USAGE ? 2 : e.code == ERR_NOT_FOUND ? 4 : 1;
	}
	status = c.platform ? run_platform(&c) : c.inspect ? run_inspect(&c, dirfd, file) : run_smoke(&c, dirfd, file);
	if (!printed())
		status = 1;
	for (size_t i = 0; i < c.n_reference_files; i++)
		json_decref(c.references[i]);
	if (c.gpu.be)
		c.gpu.op->close(c.gpu.be);
	return status;
}
