/*
 * log.h - one event a line on stderr: `event.name key=value …`, with <N> priorities when journald reads us
 * ($JOURNAL_STREAM). Only registryd/, cli/ and infer/main.c log; libraries return errors.
 *	log_event(LOG_INFO, "sync.done", "repo=%s bytes=%llu", repo, bytes);
 * A value that may hold spaces goes through log_quote().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <syslog.h>	/* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

#define LOG_QUOTE_MAX 1600

void log_set_level(int level);	/* events above it (LOG_DEBUG is the highest) are left out; LOG_INFO at first */
void log_event(int level, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "text" in quotes, with quotes, backslashes and control characters escaped, cut to fit; returns out. */
const char *log_quote(char out[LOG_QUOTE_MAX], const char *text);

#endif
