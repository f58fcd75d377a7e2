/* log.c - see log.h. A line is written with one write(2), so lines of several threads do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>

#include "base/err.h"

#define LINE_MAX_BYTES 4096

static _Atomic int max_level = LOG_INFO;

void log_set_level(int level)
{
	max_level = level;
}

void log_event(int level, const char *name, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	size_t n = 0;
	va_list ap;

	if (level > max_level)
		return;
	if (getenv("JOURNAL_STREAM"))
		n = (size_t)snprintf(line, sizeof(line), "<%d>", level);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s ", name);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;		/* nowhere left to say it */
}

const char *log_quote(char out[LOG_QUOTE_MAX], const char *text)
{
	size_t n = 0;

	out[n++] = '"';
	for (; *text && n < LOG_QUOTE_MAX - 8; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, 3, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	out[n++] = '"';
	out[n] = 0;
	return out;
}
