/* http_impl.h - what http.c, http_request.c and http_answer.c share and nobody else includes. */
#ifndef REGISTRYD_HTTP_IMPL_H
#define REGISTRYD_HTTP_IMPL_H

#include <microhttpd.h>

#include "registryd/http.h"

enum http_stage {
	HTTP_NEW,	/* only the request line is known */
	HTTP_READING,	/* admitted or refused; the body arrives */
	HTTP_RUNNING,	/* on a helper thread, the connection sleeps */
	HTTP_DONE,	/* the answer stands in rq->answer */
};

struct http_answer {
	int status;
	struct MHD_Response *response;	/* NULL until answered */
	uint64_t bytes;			/* UINT64_MAX when not known */
	bool streamed;			/* made while it is sent: can be sent once only */
	bool shared;			/* the cache's: not to be destroyed with the exchange */
	struct http_pair headers[HTTP_HEADERS_MAX];
	size_t n_headers;
};

struct http_exchange {
	struct request rq;
	struct http_answer answer;
	struct http_server *server;
	struct MHD_Connection *connection;
	enum http_stage stage;
	uint64_t body_seen;		/* bytes of the body so far, also discarded ones */
	double started;			/* monotonic seconds */
	uint64_t (*generation_of)(void *app);	/* NULL: nothing is kept */
	uint64_t generation;		/* what the answer rests on: see http_cache.h */
	struct http_exchange *next;	/* in the helpers' queue */
};

/* Splits the query off and fills rq->path and rq->queries. */
int http_request_parse(struct request *rq, struct err *e);
/* Lets the application show an error as a page; non-zero when it does not. */
int http_error_page(struct request *rq, int status, const struct err *e);

#endif
