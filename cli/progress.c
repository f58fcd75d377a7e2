/* progress.c - see progress.h. */
#include "cli/progress.h"

#include <sys/ioctl.h>

#include "base/vec.h"
#include "cli/text.h"

#define LINE_MAX_BYTES 2048
#define BAR_MIN 10	/* cells */
#define BAR_MAX 40
#define COLUMNS_DEFAULT 80
#define PHASE_MIN 8	/* columns; less is not worth showing */

int64_t progress_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_init(struct progress *p, bool terminal, bool quiet)
{
	*p = (struct progress){ .terminal = terminal, .quiet = quiet };
}

void progress_sample(struct progress *p, int64_t now_ms, int64_t bytes_done)
{
	unsigned n = p->n_samples % PROGRESS_WINDOW;

	if (p->n_samples) {
		unsigned last = (p->n_samples - 1) % PROGRESS_WINDOW;

		if (bytes_done < p->sample[last].bytes)
			n = p->n_samples = 0;	/* another phase counts from the start */
	}
	p->sample[n].at_ms = now_ms;
	p->sample[n].bytes = bytes_done;
	p->n_samples++;
	if (p->n_samples == 2 * PROGRESS_WINDOW)
		p->n_samples -= PROGRESS_WINDOW;	/* the same place in the ring, and it stays known to be full */
}

double progress_rate(const struct progress *p)
{
	unsigned last, first;
	int64_t ms;

	if (p->n_samples < 2)
		return 0;
	last = (p->n_samples - 1) % PROGRESS_WINDOW;
	first = p->n_samples > PROGRESS_WINDOW ? p->n_samples % PROGRESS_WINDOW : 0;
	ms = p->sample[last].at_ms - p->sample[first].at_ms;
	return ms > 0 ? (double)(p->sample[last].bytes - p->sample[first].bytes) * 1000 / (double)ms : 0;
}

static void add_bar(struct buf *out, double part, size_t cells)
{
	size_t full = (size_t)(part * (double)cells + 0.5);

	buf_putc(out, '[');
	for (size_t i = 0; i < cells; i++)
		buf_puts(out, i < full ? "#" : "-");
	buf_puts(out, "] ");
}

/* "1.20 GB of 4.00 GB  310 MB/s  9s left" */
static void add_figures(const struct progress *p, const struct progress_state *s, struct buf *out)
{
	char done[TEXT_SHORT_MAX], total[TEXT_SHORT_MAX], rate[TEXT_SHORT_MAX], left[TEXT_SHORT_MAX];
	double per_s = progress_rate(p);

	text_size(done, s->bytes_done);
	text_size(total, s->bytes_total);
	buf_printf(out, "%s of %s", done, total);
	if (s->files_total > 1)
		buf_printf(out, "  %lld/%lld files", (long long)s->files_done, (long long)s->files_total);
	if (per_s < 1)
		return;
	text_size(rate, (int64_t)per_s);
	text_duration(left, (int64_t)((double)(s->bytes_total - s->bytes_done) / per_s + 0.5));
	buf_printf(out, "  %s/s", rate);
	if (s->bytes_done < s->bytes_total)
		buf_printf(out, "  %s left", left);
}

/* text cut to what is left of the line, when at least a word's worth is. */
static void add_cut(struct buf *out, const char *text, size_t columns)
{
	size_t used = text_width(out->data), n = strlen(text);
	own(mem) char *cut = mem_zalloc(n + 4);

	if (used + PHASE_MIN > columns)
		return;
	memcpy(cut, text, n);
	text_cut(cut, columns - used);
	buf_puts(out, cut);
}

void progress_line(const struct progress *p, const struct progress_state *s, size_t columns, struct buf *out)
{
	own(mem) char *phase = text_clean(s->phase && *s->phase ? s->phase : "waiting");
	own(buf) struct buf line;
	size_t cells = columns / 4;

	buf_init(&line, LINE_MAX_BYTES);
	if (s->bytes_total > 0) {
		double part = (double)s->bytes_done / (double)s->bytes_total;

		part = part > 1 ? 1 : part;
		add_bar(&line, part, cells < BAR_MIN ? BAR_MIN : cells > BAR_MAX ? BAR_MAX : cells);
		buf_printf(&line, "%3d%%  ", (int)(part * 100));
		add_figures(p, s, &line);
		buf_puts(&line, "  ");
	}
	add_cut(&line, phase, columns);
	add_cut(out, line.data, columns);	/* a narrow terminal: better cut than broken over two lines */
}

static size_t stderr_columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : COLUMNS_DEFAULT;
}

/* The first word, which says what is being done; the rest (a file's name) changes too often for plain lines. */
static size_t phase_word(const char *phase)
{
	return strcspn(phase, " ");
}

static void draw(struct progress *p, const struct progress_state *s)
{
	own(buf) struct buf line;

	buf_init(&line, LINE_MAX_BYTES);
	progress_line(p, s, stderr_columns() - 1, &line);
	fprintf(stderr, "\r\033[K%s", line.data);
	p->drawn = true;
}

static void print_phase(const struct progress_state *s, const char *phase)
{
	own(mem) char *clean = text_clean(phase);
	char size[TEXT_SHORT_MAX], files[TEXT_SHORT_MAX];

	text_size(size, s->bytes_total);
	text_count(files, s->files_total, "file");
	/* With many files the one just under way says little. */
	if (s->bytes_total > 0)
		fprintf(stderr, "%.*s (%s, %s)\n", (int)phase_word(clean), clean, size, files);
	else
		fprintf(stderr, "%s\n", clean);
}

void progress_show(struct progress *p, const struct progress_state *s, int64_t now_ms)
{
	const char *phase = s->phase && *s->phase ? s->phase : "waiting";
	bool fresh = strlen(p->phase) == 0 || phase_word(p->phase) != phase_word(phase) || strncmp(p->phase, phase, phase_word(phase)) != 0;

	if (p->quiet || (!p->terminal && !(s->phase && *s->phase)))
		return;
	if (fresh && p->phase[0])
		p->n_samples = 0;
	snprintf(p->phase, sizeof(p->phase), "%s", phase);
	progress_sample(p, now_ms, s->bytes_done);
	if (p->terminal)
		draw(p, s);
	else if (fresh)
		print_phase(s, phase);
	fflush(stderr);
}

void progress_clear(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
