/*
 * http_cache.h - answers kept for the same question asked again at once: each event thread has its own small table, so that
 * nothing is locked. An answer counts only within the second it was made in and as long as nothing has changed (the generation
 * that http_options.generation gives), so it is never older than what asking anew would say.
 * For routes with HTTP_CACHED: their answers must depend on nothing but the address, the Host, and whether a token is known.
 */
#ifndef REGISTRYD_HTTP_CACHE_H
#define REGISTRYD_HTTP_CACHE_H

#include "registryd/http_impl.h"

/* The kept answer, filled into x->answer as shared, or false. Also notes the generation for http_cache_put(). */
bool http_cache_get(struct http_exchange *x);
/* Keeps x's answer when it may be kept; it is shared from then on. Call in the thread that will send it. */
void http_cache_put(struct http_exchange *x);

#endif
