/* api_ops.h - routes for operators: liveness, readiness, metrics. */
#ifndef REGISTRYD_API_OPS_H
#define REGISTRYD_API_OPS_H

#include "registryd/http.h"

extern const struct http_route api_ops_routes[];

#endif
