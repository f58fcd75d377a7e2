/* pickle_parts.h - the machine of pickle.c, between its parts: arguments (pickle_arg.c) and opcodes (pickle_op.c); nobody else includes it. */
#ifndef VERIFY_PICKLE_PARTS_H
#define VERIFY_PICKLE_PARTS_H

#include "verify/pickle.h"

enum kind {
	V_OTHER,	/* something that is neither called nor used as a name */
	V_MADE,		/* what a call, a persistent id or an extension gave: not known */
	V_STRING,	/* v: index into strings */
	V_INT,		/* v: not negative */
	V_GLOBAL,	/* v: index into globals */
	V_TUPLE,	/* v: index into items; n of them */
};

struct val {
	uint64_t kind : 4, n : 4, v : 56;
};

struct global {
	const char *module, *name;
	enum pickle_verdict verdict;
};

struct machine {
	struct pickle *p;
	struct bytes *b;
	struct report *r;
	uint64_t pos;
	int proto;
	bool stopped;
	bool probing;	/* is it a pickle at all? */
	bool forgot;	/* a memo slot that was too far ahead */
	bool limited;	/* it ended at a limit of ours: an unpickler would have gone on */
	struct val *stack, *memo, *items;
	uint8_t *memo_set;
	uint32_t *marks;
	struct global *globals;
	size_t n_stack, cap_stack, n_memo, cap_memo, n_memo_set, n_items, cap_items, n_marks, cap_marks, n_globals, cap_globals;
};

/* An opcode's argument. text is NULL for a string that is too long to matter. */
struct arg {
	uint64_t n;
	const char *text, *second;
};

#define NO_NUMBER  UINT64_MAX	/* of an argument that should be one */
#define FAR_NUMBER (UINT64_MAX - 1)	/* larger than any that matters, or not read */

#define FAIL(m, rule, ...)  report_reject((m)->r, rule, (m)->b->what, NULL, __VA_ARGS__)
#define LIMIT(m, rule, ...) ((m)->limited = true, FAIL(m, rule, __VA_ARGS__))

/* Where an opcode's argument stands and what it is. */
enum form {
	A_NONE,
	A_U1,
	A_U2,
	A_U4,
	A_I4,		/* negative ones count as huge */
	A_U8,
	A_SKIP8,	/* a float */
	A_LINE,		/* text up to a newline */
	A_NUMBER,	/* such a line, a decimal number; else NO_NUMBER */
	A_QUOTED,	/* such a line, a Python string literal */
	A_ESCAPED,	/* such a line, with \u escapes */
	A_LINES,	/* two of them */
	A_TEXT1,	/* length and bytes, which may be a name */
	A_TEXT4,
	A_TEXT8,
	A_BYTES1,	/* length and bytes, which can't */
	A_BYTES4,
	A_BYTES8,
	A_IS1,		/* none; the value is 1, 2, 3 */
	A_IS2,
	A_IS3,
};

struct op {
	enum form form;
	int (*run)(struct machine *m, const struct arg *a);
};

extern const struct op pickle_ops[256];		/* run is NULL for a byte that is no opcode */

/* Reads the argument at m->pos, which is moved behind it. 0, or a negative code and a finding. */
int pickle_arg_read(struct machine *m, enum form form, struct arg *a);

#endif
