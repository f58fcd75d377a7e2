/* metrics.h - figures for Prometheus (text exposition format 0.0.4): counted while serving, or read from the catalog when asked. */
#ifndef REGISTRYD_METRICS_H
#define REGISTRYD_METRICS_H

#include "registryd/daemon.h"
#include "registryd/http.h"

/* For http_options.finished. */
void metrics_finished(const struct request *rq, int status, uint64_t bytes, double seconds);
/* All of it into b. Figures of the catalog are left out, with registryd_catalog_up 0, when it can't be read. */
void metrics_write(struct buf *b, struct daemon *d, int64_t now);
/* `value` as the inside of a label: backslash, quote and newline escaped. */
void metrics_escape(struct buf *b, const char *value);

#endif
