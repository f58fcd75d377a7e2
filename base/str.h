/*
 * str.h - small questions about text: numbers with units, dates, hex, percent escapes, globs, near names.
 * Sizes: "20GB" (1000^3), "1.5GiB" (1024^3), "500M", "4096" (bytes). Durations: "90d", "6h", "30m", "15s" (seconds).
 * Dates: "2027-06-30" (00:00:00 UTC) or RFC 3339 "2027-06-30T12:00:00Z". Times are unix seconds throughout.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STR_TIME_MAX 40	/* room for any formatted time below */
#define STR_SIZE_MAX 24

int str_parse_u64(const char *s, uint64_t *out, struct err *e);		/* decimal digits only */
int str_parse_size(const char *s, uint64_t *bytes, struct err *e);
int str_parse_duration(const char *s, int64_t *seconds, struct err *e);
int str_parse_time(const char *s, int64_t *at, struct err *e);
void str_format_duration(char out[STR_SIZE_MAX], int64_t seconds);	/* "90d", "36h": the largest unit that leaves no rest */

void str_format_size(char out[STR_SIZE_MAX], uint64_t bytes);		/* "1.50 GB", decimal units */
void str_format_iso(char out[STR_TIME_MAX], int64_t at);		/* 2026-11-20T12:00:00Z */
void str_format_iso_ms(char out[STR_TIME_MAX], int64_t at);		/* 2026-11-20T12:00:00.000Z, the Hub's form */
void str_format_http_date(char out[STR_TIME_MAX], int64_t at);		/* Fri, 20 Nov 2026 12:00:00 GMT */

bool str_is_hex(const char *s, size_t n);				/* n lower-case hex digits and then the end */
void str_hex(char *out, const void *p, size_t n);			/* 2n digits and a NUL */
int str_unhex(void *out, size_t n, const char *hex);			/* exactly 2n digits then the end; 0 or ERR_INPUT */

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Shell glob where `*` also matches '/', `?` one byte, `[a-z]` a set: what --include and policies use (fnmatch without FNM_PATHNAME). */
bool str_glob(const char *pattern, const char *text);
bool str_glob_nocase(const char *pattern, const char *text);	/* for names of repositories, authors, licences: their case says nothing */
/* The entry of names[0..n) nearest to s by edit distance, or NULL when none is near (more than a third of s to change). */
const char *str_nearest(const char *s, const char *const *names, size_t n);

bool str_utf8_valid(const char *s, size_t n);
/* Does it have a letter or a digit, of whatever script? Blanks, marks and what nobody sees say nothing. */
bool str_has_word(const char *s);
/* Percent-decodes s in place. False when an escape is malformed or yields a NUL byte. '+' stays. */
bool str_percent_decode(char *s);
/* Percent-encodes all but unreserved characters and those in `keep` ("/" for paths). Caller frees. */
char *str_percent_encode(const char *s, const char *keep);
/* In place: a character that was cut off at the end goes, and any other byte that is no UTF-8 becomes '?'. JSON takes nothing else. */
char *str_mend_utf8(char *s);
/* The same, and control characters become '?' too, so that foreign text can stand on one log or header line. */
char *str_printable(char *s);

#endif
