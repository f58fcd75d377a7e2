/* file_answer.h - the bytes of one file of a revision that the door has let through: whole, in part, or not modified; counted as pulled. */
#ifndef REGISTRYD_FILE_ANSWER_H
#define REGISTRYD_FILE_ANSWER_H

#include "registryd/door.h"

/* etag without quotes: what If-None-Match and If-Range are compared with. */
int file_answer(struct request *rq, const struct door *d, const struct model_file *f, const char *etag, const char *type, struct err *e);
/* 503: it was published with this file, and the store has lost it. */
int file_answer_lost(struct request *rq, const struct model_file *f);

#endif
