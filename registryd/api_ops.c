/* api_ops.c - what a supervisor asks: is the process alive, can it serve. */
#include "registryd/api_ops.h"

static int healthy(struct request *rq, struct err *e)
{
	(void)e;
	return http_answer_text(rq, 200, "text/plain; charset=utf-8", "ok\n");
}

const struct http_route api_ops_routes[] = {
	{ "GET", "/-/healthy", HTTP_OPEN, 0, healthy, NULL, NULL },
	{ 0 },
};
