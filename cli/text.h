/*
 * text.h - foreign text on a terminal: what it is made of, how wide it is, how it is cut. Text comes from upstream cards and file
 * names, so nothing is printed that could move a cursor or turn the writing direction.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* s with control characters, C1 controls, bidirectional marks and malformed UTF-8 replaced by '?'; caller frees. NULL gives "". */
char *text_clean(const char *s);
/* Columns that clean text takes: 0 for combining marks, 2 for East Asian wide characters and emoji, else 1. */
size_t text_width(const char *s);
/* Cuts s in place to at most `columns`, ending in '…' when something was cut. The buffer must have 3 bytes to spare. */
void text_cut(char *s, size_t columns);

#define TEXT_SHORT_MAX 32
void text_size(char out[TEXT_SHORT_MAX], int64_t bytes);	/* "1.50 GB"; "-" when negative (unknown) */
void text_params(char out[TEXT_SHORT_MAX], int64_t params);	/* "7.24B", "494M", "260K"; "-" when not known: 0 or less */
void text_duration(char out[TEXT_SHORT_MAX], int64_t seconds);	/* "45s", "3m20s", "2h05m", "4d07h" */
/* "2 files", "1 file": the plural is regular in everything counted here. */
void text_count(char out[TEXT_SHORT_MAX], int64_t n, const char *noun);

#endif
