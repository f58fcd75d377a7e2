/*
 * vec.h - growing arrays of any type, as three plain members of whatever struct holds them:
 *	struct file *files; size_t n_files, cap_files;
 *	*vec_push(&v->files, &v->n_files, &v->cap_files) = file;
 * The caller bounds n by a named limit where it comes from input; running out of memory aborts.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

/* Grows *p (elements of `size` bytes) so that it can hold *n + 1; zeroes the new one and counts it. Returns its address. */
void *vec_push_raw(void **p, size_t *n, size_t *cap, size_t size);

#define vec_push(p, n, cap) ((__typeof__(*(p)))vec_push_raw((void **)(p), (n), (cap), sizeof(**(p))))

/* calloc and strdup that abort instead of returning NULL: for small things of our own. */
void *mem_zalloc(size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

#endif
