/*
 * page.h - web pages for people: written by the server, without scripts and without anything from elsewhere, so that the
 * Content-Security-Policy can forbid both. Every text that is not ours goes through page_text() or page_url().
 */
#ifndef REGISTRYD_PAGE_H
#define REGISTRYD_PAGE_H

#include "registryd/door.h"

#define PAGE_MAX_BYTES (32 << 20)
#define PAGE_ROWS 50

extern const struct http_route page_routes[];

int page_models(struct request *rq, struct err *e);	/* / */
int page_model(struct request *rq, struct err *e);	/* /{repo} */
int page_lifecycle(struct request *rq, struct err *e);	/* /-/lifecycle */
/* For http_options.error_page. */
int page_error(struct request *rq, int status, const struct err *e);

/* --- what the pages are written with ------------------------------------------------------------------------------------------------ */

void page_begin(struct buf *b, const char *title);	/* b is initialised here */
int page_answer(struct request *rq, int status, struct buf *b);	/* ends the page and answers */
void page_text(struct buf *b, const char *s);		/* escaped for text and attributes; NULL gives nothing */
void page_url(struct buf *b, const char *s, const char *keep);	/* percent-encoded and escaped */
void page_size(struct buf *b, uint64_t bytes);
void page_count(struct buf *b, int64_t n);		/* 1.24 B, 135 M; a dash for 0 */
void page_day(struct buf *b, int64_t at);		/* 2026-11-20; a dash for 0 */
void page_link_model(struct buf *b, const char *repo);

#endif
