/* pickle.c - the symbolic machine of pickle.h: one row of `ops` an opcode, its argument read in one place, its effect in one function. */
#include "verify/pickle.h"

#include "base/vec.h"

#define LINE_MAX_BYTES	 ((size_t)65536)	/* of the text opcodes */
#define GLOBALS_MAX	 500			/* different names in one pickle */
#define TUPLE_KEPT_MAX	 6			/* items of a tuple that are remembered: a storage id has five, or six */
#define TUPLE_ITEMS_MAX	 ((size_t)8 << 20)
#define PROBE_OPCODES	 100000

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

#define FAIL(m, rule, ...) report_reject((m)->r, rule, (m)->b->what, NULL, __VA_ARGS__)

void pickle_init(struct pickle *p)
{
	*p = (struct pickle){ 0 };
	arena_init(&p->pool);
}

void pickle_done(struct pickle *p)
{
	free(p->storages);
	free(p->strings);
	arena_done(&p->pool);
}

/* ---- stack, marks, memo ---- */

static int push(struct machine *m, enum kind kind, uint64_t v)
{
	struct val *top;

	if (m->n_stack >= PICKLE_STACK_MAX)
		return FAIL(m, "pickle.depth", "more than %d things on the stack", PICKLE_STACK_MAX);
	top = vec_push(&m->stack, &m->n_stack, &m->cap_stack);
	top->kind = kind;
	top->v = v & (((uint64_t)1 << 56) - 1);
	return 0;
}

/* The stack may not be taken below the last mark. */
static int pop(struct machine *m, struct val *out)
{
	size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;

	if (m->n_stack <= floor)
		return FAIL(m, "pickle.stack", "an opcode at %llu takes more than the stack holds", (unsigned long long)m->pos);
	*out = m->stack[--m->n_stack];
	return 0;
}

static int drop(struct machine *m, size_t n)
{
	struct val v;
	int r = 0;

	while (n-- && r == 0)
		r = pop(m, &v);
	return r;
}

/* Takes the last mark off; *from is where its items begin on the stack. */
static int pop_mark(struct machine *m, size_t *from)
{
	if (m->n_marks == 0)
		return FAIL(m, "pickle.stack", "an opcode at %llu wants a mark and there is none", (unsigned long long)m->pos);
	*from = m->marks[--m->n_marks];
	return 0;
}

static int memo_put(struct machine *m, uint64_t slot, struct val v)
{
	if (slot >= PICKLE_MEMO_MAX || slot > 2 * m->n_memo_set + PICKLE_MEMO_AHEAD)
		return FAIL(m, "pickle.limit", "memo slot %llu with %zu in use", (unsigned long long)slot, m->n_memo_set);
	if (slot >= m->cap_memo) {
		size_t cap = m->cap_memo ? m->cap_memo : 256;

		while (cap <= slot)
			cap *= 2;
		m->memo = realloc(m->memo, cap * sizeof(*m->memo));
		m->memo_set = realloc(m->memo_set, cap);
		if (!m->memo || !m->memo_set)
			abort();	/* bounded by PICKLE_MEMO_MAX */
		memset(m->memo_set + m->cap_memo, 0, cap - m->cap_memo);
		m->cap_memo = cap;
	}
	m->n_memo_set += !m->memo_set[slot];
	m->memo_set[slot] = 1;
	m->memo[slot] = v;
	return 0;
}

/* ---- names and strings ---- */

static int keep(struct machine *m, const char *s, size_t n, const char **out)
{
	if (m->p->pool_bytes + n > PICKLE_POOL_MAX)
		return FAIL(m, "pickle.limit", "more than %zu bytes of strings", PICKLE_POOL_MAX);
	m->p->pool_bytes += n + 1;
	*out = arena_strndup(&m->p->pool, s, n);
	return 0;
}

static int push_string(struct machine *m, const char *text)
{
	struct pickle *p = m->p;

	if (!text)
		return push(m, V_OTHER, 0);
	*vec_push(&p->strings, &p->n_strings, &p->cap_strings) = text;
	return push(m, V_STRING, p->n_strings - 1);
}

static void judge(struct machine *m, struct global *g)
{
	g->verdict = pickle_judge(g->module, g->name, m->proto);
	if (m->proto >= 4 && strchr(g->name, '.'))
		FAIL(m, "pickle.dotted", "it loads %.200s.%.200s, a name that walks from one object to another", g->module, g->name);
	else if (g->verdict == PICKLE_DANGEROUS)
		FAIL(m, "pickle.dangerous", "it loads %.200s.%.200s", g->module, g->name);
	else if (g->verdict == PICKLE_UNLISTED)
		report_flag(m->r, "pickle.global", "it loads %.200s.%.200s, which is not on the list of harmless names", g->module, g->name);
	m->p->unlisted += g->verdict != PICKLE_ALLOWED;
}

static int push_global(struct machine *m, const char *module, const char *name)
{
	struct global *g;

	if (!module || !name)
		return FAIL(m, "pickle.name", "a name of more than %d bytes is loaded", PICKLE_NAME_MAX);
	for (size_t i = 0; i < m->n_globals; i++)
		if (!strcmp(m->globals[i].module, module) && !strcmp(m->globals[i].name, name))
			return push(m, V_GLOBAL, i);
	if (m->n_globals >= GLOBALS_MAX)
		return FAIL(m, "pickle.limit", "more than %d different names are loaded", GLOBALS_MAX);
	g = vec_push(&m->globals, &m->n_globals, &m->cap_globals);
	g->module = module;
	g->name = name;
	judge(m, g);
	return push(m, V_GLOBAL, m->n_globals - 1);
}

/* Something is called. A class or function known by name has been judged when it was loaded. */
static void called(struct machine *m, struct val callee)
{
	m->p->calls++;
	if (callee.kind != V_GLOBAL)
		FAIL(m, "pickle.computed_name", "at %llu it calls what it computed, not a name", (unsigned long long)m->pos);
}

/* ---- opcodes ---- */

static int op_proto(struct machine *m, const struct arg *a)
{
	if (a->n > 5)
		return FAIL(m, "pickle.proto", "protocol %llu does not exist", (unsigned long long)a->n);
	m->proto = (int)a->n;
	return 0;
}

static int op_frame(struct machine *m, const struct arg *a)
{
	if (a->n > m->b->size - m->pos)
		return FAIL(m, "pickle.frame", "a frame of %llu bytes where %llu are left", (unsigned long long)a->n, (unsigned long long)(m->b->size - m->pos));
	return 0;
}

static int op_stop(struct machine *m, const struct arg *a)
{
	(void)a;
	m->stopped = true;
	return drop(m, 1);
}

static int op_mark(struct machine *m, const struct arg *a)
{
	(void)a;
	if (m->n_marks >= PICKLE_MARKS_MAX)
		return FAIL(m, "pickle.depth", "more than %d marks are open", PICKLE_MARKS_MAX);
	*vec_push(&m->marks, &m->n_marks, &m->cap_marks) = (uint32_t)m->n_stack;
	return 0;
}

static int op_pop(struct machine *m, const struct arg *a)
{
	(void)a;
	if (m->n_marks && m->n_stack == m->marks[m->n_marks - 1]) {	/* POP takes a mark off when that is on top */
		m->n_marks--;
		return 0;
	}
	return drop(m, 1);
}

static int op_pop_mark(struct machine *m, const struct arg *a)
{
	size_t from = 0;
	int r = pop_mark(m, &from);

	(void)a;
	if (r == 0)
		m->n_stack = from;
	return r;
}

static int op_dup(struct machine *m, const struct arg *a)
{
	struct val v;
	int r = pop(m, &v);

	(void)a;
	if (r == 0)
		r = push(m, V_OTHER, 0);
	if (r == 0)
		m->stack[m->n_stack - 1] = v;
	if (r == 0)
		r = push(m, V_OTHER, 0);
	if (r == 0)
		m->stack[m->n_stack - 1] = v;
	return r;
}

static int op_other(struct machine *m, const struct arg *a)
{
	(void)a;
	return push(m, V_OTHER, 0);
}

static int op_int(struct machine *m, const struct arg *a)
{
	return a->n >> 55 ? push(m, V_OTHER, 0) : push(m, V_INT, a->n);
}

static int op_string(struct machine *m, const struct arg *a)
{
	return push_string(m, a->text);
}

static int op_global(struct machine *m, const struct arg *a)
{
	return push_global(m, a->text, a->second);
}

static int op_stack_global(struct machine *m, const struct arg *a)
{
	struct val name, module;
	int r = pop(m, &name);

	(void)a;
	if (r == 0)
		r = pop(m, &module);
	if (r < 0)
		return r;
	if (name.kind != V_STRING || module.kind != V_STRING) {
		FAIL(m, "pickle.computed_name", "at %llu it loads a name that it computed", (unsigned long long)m->pos);
		return push(m, V_MADE, 0);
	}
	return push_global(m, m->p->strings[module.v], m->p->strings[name.v]);
}

static int op_ext(struct machine *m, const struct arg *a)
{
	FAIL(m, "pickle.ext", "it loads extension code %llu, which can't be resolved", (unsigned long long)a->n);
	return push(m, V_MADE, 0);
}

static int op_reduce(struct machine *m, const struct arg *a)
{
	struct val args, callee;
	int r = pop(m, &args);

	(void)a;
	if (r == 0)
		r = pop(m, &callee);
	if (r < 0)
		return r;
	called(m, callee);
	return push(m, V_MADE, 0);
}

/* NEWOBJ_EX: class, args, kwargs */
static int op_newobj_ex(struct machine *m, const struct arg *a)
{
	int r = drop(m, 1);

	return r < 0 ? r : op_reduce(m, a);
}

static int op_inst(struct machine *m, const struct arg *a)
{
	size_t from = 0;
	int r = pop_mark(m, &from);

	if (r < 0)
		return r;
	m->n_stack = from;
	r = push_global(m, a->text, a->second);
	if (r < 0)
		return r;
	called(m, m->stack[m->n_stack - 1]);
	m->stack[m->n_stack - 1] = (struct val){ .kind = V_MADE };
	return 0;
}

static int op_obj(struct machine *m, const struct arg *a)
{
	size_t from = 0;
	int r = pop_mark(m, &from);

	(void)a;
	if (r < 0)
		return r;
	if (m->n_stack == from)
		return FAIL(m, "pickle.stack", "OBJ without a class");
	called(m, m->stack[from]);
	m->n_stack = from;
	return push(m, V_MADE, 0);
}

static int op_build(struct machine *m, const struct arg *a)
{
	struct val state, object;
	int r = pop(m, &state);

	(void)a;
	if (r == 0)
		r = pop(m, &object);
	if (r < 0)
		return r;
	m->p->calls++;
	if (object.kind == V_GLOBAL)	/* sets attributes of a class or module, for all the program */
		FAIL(m, "pickle.dangerous", "at %llu it changes %.200s.%.200s", (unsigned long long)m->pos, m->globals[object.v].module, m->globals[object.v].name);
	return push(m, V_MADE, 0);
}

static int op_persid(struct machine *m, const struct arg *a)
{
	FAIL(m, "pickle.persid", "it asks for the persistent object '%.100s'", a->text ? a->text : "");
	return push(m, V_MADE, 0);
}

static struct val item(const struct machine *m, struct val tuple, size_t i)
{
	return tuple.kind == V_TUPLE && i < tuple.n ? m->items[tuple.v + i] : (struct val){ .kind = V_OTHER };
}

static const char *string_of(const struct machine *m, struct val v)
{
	return v.kind == V_STRING ? m->p->strings[v.v] : NULL;
}

/* ("storage", class, key, location, numel) */
static int op_binpersid(struct machine *m, const struct arg *a)
{
	struct pickle_storage *s;
	struct val id, class;
	const char *word, *key;
	int r = pop(m, &id);

	(void)a;
	if (r < 0)
		return r;
	if (!m->p->torch || (id.kind != V_TUPLE && id.kind != V_INT)) {
		FAIL(m, "pickle.persid", "at %llu it asks for a persistent object", (unsigned long long)m->pos);
		return push(m, V_MADE, 0);
	}
	word = string_of(m, item(m, id, 0));
	key = string_of(m, item(m, id, 2));
	class = item(m, id, 1);
	if (id.kind == V_TUPLE && (!word || strcmp(word, "storage") || !key || class.kind != V_GLOBAL || item(m, id, 4).kind != V_INT)) {
		FAIL(m, "pickle.persid", "at %llu it asks for a persistent object that is no storage", (unsigned long long)m->pos);
		return push(m, V_MADE, 0);
	}
	if (id.kind == V_TUPLE && m->p->n_storages < PICKLE_STORAGES_MAX) {
		s = vec_push(&m->p->storages, &m->p->n_storages, &m->p->cap_storages);
		s->key = key;
		s->item_bytes = pickle_storage_bytes(m->globals[class.v].name);
		s->numel = item(m, id, 4).v;
	}
	return push(m, V_MADE, 0);
}

/* A tuple of the items from `from` up. Small ones are remembered. */
static int make_tuple(struct machine *m, size_t from)
{
	size_t n = m->n_stack - from, at = m->n_items;
	int r;

	if (n > TUPLE_KEPT_MAX || at + n > TUPLE_ITEMS_MAX) {
		m->n_stack = from;
		return push(m, V_OTHER, 0);
	}
	for (size_t i = 0; i < n; i++)
		*vec_push(&m->items, &m->n_items, &m->cap_items) = m->stack[from + i];
	m->n_stack = from;
	r = push(m, V_TUPLE, at);
	if (r == 0)
		m->stack[m->n_stack - 1].n = n & 15;
	return r;
}

static int op_tuple(struct machine *m, const struct arg *a)
{
	size_t from = 0;
	int r = pop_mark(m, &from);

	(void)a;
	return r < 0 ? r : make_tuple(m, from);
}

static int op_tuple_n(struct machine *m, const struct arg *a)
{
	size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;

	if (m->n_stack - floor < a->n)
		return FAIL(m, "pickle.stack", "a tuple of more than the stack holds");
	return make_tuple(m, m->n_stack - a->n);
}

/* LIST, DICT, FROZENSET: what stands above the mark becomes one thing. */
static int op_collect(struct machine *m, const struct arg *a)
{
	int r = op_pop_mark(m, a);

	return r < 0 ? r : push(m, V_OTHER, 0);
}

/* APPENDS, SETITEMS, ADDITEMS: what stands above the mark goes into the thing below it. */
static int op_extend(struct machine *m, const struct arg *a)
{
	int r = op_pop_mark(m, a);

	if (r < 0)
		return r;
	if (m->n_stack == (m->n_marks ? m->marks[m->n_marks - 1] : 0))
		return FAIL(m, "pickle.stack", "items are added to nothing");
	return 0;
}

static int op_append(struct machine *m, const struct arg *a)
{
	struct val v;
	int r = drop(m, a->n);

	if (r == 0)
		r = pop(m, &v);
	if (r == 0) {
		r = push(m, V_OTHER, 0);
		m->stack[m->n_stack - 1] = v;
	}
	return r;
}

static int op_get(struct machine *m, const struct arg *a)
{
	int r;

	if (a->n >= m->cap_memo || !m->memo_set[a->n])
		return FAIL(m, "pickle.stack", "memo slot %llu was never written", (unsigned long long)a->n);
	r = push(m, V_OTHER, 0);
	if (r == 0)
		m->stack[m->n_stack - 1] = m->memo[a->n];
	return r;
}

static int op_put(struct machine *m, const struct arg *a)
{
	struct val v;
	int r = pop(m, &v);

	if (r < 0)
		return r;
	m->n_stack++;	/* it stays */
	return memo_put(m, a->n, v);
}

static int op_memoize(struct machine *m, const struct arg *a)
{
	struct arg slot = { .n = m->n_memo_set };

	(void)a;
	return op_put(m, &slot);
}

static int op_nothing(struct machine *m, const struct arg *a)
{
	(void)m;
	(void)a;
	return 0;
}

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
	A_NUMBER,	/* such a line, a decimal number */
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

static const struct op ops[256] = {
	['('] = { A_NONE, op_mark },	    ['.'] = { A_NONE, op_stop },	['0'] = { A_NONE, op_pop },	      ['1'] = { A_NONE, op_pop_mark },
	['2'] = { A_NONE, op_dup },	    ['F'] = { A_LINE, op_other },	['I'] = { A_NUMBER, op_int },	      ['J'] = { A_I4, op_int },
	['K'] = { A_U1, op_int },	    ['L'] = { A_NUMBER, op_int },	['M'] = { A_U2, op_int },	      ['N'] = { A_NONE, op_other },
	['P'] = { A_LINE, op_persid },	    ['Q'] = { A_NONE, op_binpersid },	['R'] = { A_NONE, op_reduce },	      ['S'] = { A_QUOTED, op_string },
	['T'] = { A_TEXT4, op_string },	    ['U'] = { A_TEXT1, op_string },	['V'] = { A_ESCAPED, op_string },     ['X'] = { A_TEXT4, op_string },
	['a'] = { A_IS1, op_append },	    ['b'] = { A_NONE, op_build },	['c'] = { A_LINES, op_global },	      ['d'] = { A_NONE, op_collect },
	['}'] = { A_NONE, op_other },	    ['e'] = { A_NONE, op_extend },	['g'] = { A_NUMBER, op_get },	      ['h'] = { A_U1, op_get },
	['i'] = { A_LINES, op_inst },	    ['j'] = { A_U4, op_get },		['l'] = { A_NONE, op_collect },	      [']'] = { A_NONE, op_other },
	['o'] = { A_NONE, op_obj },	    ['p'] = { A_NUMBER, op_put },	['q'] = { A_U1, op_put },	      ['r'] = { A_U4, op_put },
	['s'] = { A_IS2, op_append },	    ['t'] = { A_NONE, op_tuple },	[')'] = { A_NONE, op_other },	      ['u'] = { A_NONE, op_extend },
	['G'] = { A_SKIP8, op_other },	    [0x80] = { A_U1, op_proto },	[0x81] = { A_NONE, op_reduce },	      [0x82] = { A_U1, op_ext },
	[0x83] = { A_U2, op_ext },	    [0x84] = { A_U4, op_ext },		[0x85] = { A_IS1, op_tuple_n },	      [0x86] = { A_IS2, op_tuple_n },
	[0x87] = { A_IS3, op_tuple_n },	    [0x88] = { A_NONE, op_other },	[0x89] = { A_NONE, op_other },	      [0x8a] = { A_BYTES1, op_other },
	[0x8b] = { A_BYTES4, op_other },    ['B'] = { A_BYTES4, op_other },	['C'] = { A_BYTES1, op_other },	      [0x8c] = { A_TEXT1, op_string },
	[0x8d] = { A_TEXT8, op_string },    [0x8e] = { A_BYTES8, op_other },	[0x8f] = { A_NONE, op_other },	      [0x90] = { A_NONE, op_extend },
	[0x91] = { A_NONE, op_collect },    [0x92] = { A_NONE, op_newobj_ex },	[0x93] = { A_NONE, op_stack_global }, [0x94] = { A_NONE, op_memoize },
	[0x95] = { A_U8, op_frame },	    [0x96] = { A_BYTES8, op_other },	[0x97] = { A_NONE, op_other },	      [0x98] = { A_NONE, op_nothing },
};

/* ---- arguments ---- */

static int truncated(struct machine *m)
{
	return FAIL(m, "pickle.truncated", "it ends at %llu inside an opcode", (unsigned long long)m->b->size);
}

static int read_uint(struct machine *m, size_t n, uint64_t *out)
{
	const uint8_t *p = bytes_at(m->b, m->pos, n);

	if (!p)
		return truncated(m);
	*out = 0;
	for (size_t i = 0; i < n; i++)
		*out |= (uint64_t)p[i] << (8 * i);
	m->pos += n;
	return 0;
}

/* A line without its newline; *line is valid until the next read. */
static int read_line(struct machine *m, const char **line, size_t *n)
{
	uint64_t left = m->b->size - m->pos;
	size_t look = left < LINE_MAX_BYTES ? (size_t)left : LINE_MAX_BYTES;
	const uint8_t *p = bytes_at(m->b, m->pos, look), *end = p ? memchr(p, '\n', look) : NULL;

	if (!end)
		return look < LINE_MAX_BYTES ? truncated(m) : FAIL(m, "pickle.length", "a line of more than %zu bytes", LINE_MAX_BYTES);
	*line = (const char *)p;
	*n = (size_t)(end - p);
	m->pos += *n + 1;
	return 0;
}

static int hex(const char *s, size_t n, size_t digits, uint32_t *out)
{
	*out = 0;
	if (n < digits)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		const char *at = s[i] ? strchr("0123456789abcdef0123456789ABCDEF", s[i]) : NULL;

		if (!at)
			return -1;
		*out = *out << 4 | ((uint32_t)(at - "0123456789abcdef0123456789ABCDEF") & 15);
	}
	return 0;
}

/* One escape at s[0] == '\\'. Bytes used; the character in *c. Only what can spell a name matters: others stay as they are. */
static size_t escape(const char *s, size_t n, bool quoted, uint32_t *c)
{
	static const char plain[] = "\\'\"abfnrtv", means[] = "\\'\"\a\b\f\n\r\t\v";
	const char *at;

	*c = '\\';
	if (n < 2)
		return 1;
	if (s[1] == 'x' && quoted && hex(s + 2, n - 2, 2, c) == 0)
		return 4;
	if (s[1] == 'u' && !quoted && hex(s + 2, n - 2, 4, c) == 0)
		return 6;
	if (s[1] == 'U' && !quoted && hex(s + 2, n - 2, 8, c) == 0)
		return 10;
	if (!quoted)
		return 1;
	if (s[1] >= '0' && s[1] <= '7') {
		size_t i = 1;

		for (*c = 0; i < n && i < 4 && s[i] >= '0' && s[i] <= '7'; i++)
			*c = *c << 3 | (uint32_t)(s[i] - '0');
		return i;
	}
	at = strchr(plain, s[1]);
	if (at && s[1]) {
		*c = (unsigned char)means[at - plain];
		return 2;
	}
	return 1;
}

/* Names are ASCII: a character beyond it becomes '?', which is no part of any allowed name. */
static int unescape(struct machine *m, const char *s, size_t n, bool quoted, const char **out)
{
	char text[PICKLE_NAME_MAX];
	size_t len = 0;

	while (n) {
		uint32_t c = (unsigned char)*s;
		size_t used = c == '\\' ? escape(s, n, quoted, &c) : 1;

		if (len >= sizeof(text)) {
			*out = NULL;
			return 0;
		}
		text[len++] = c > 0 && c < 128 ? (char)c : '?';
		s += used;
		n -= used;
	}
	return keep(m, text, len, out);
}

static int read_text_line(struct machine *m, enum form form, struct arg *a)
{
	const char *line;
	size_t n;
	int r = read_line(m, &line, &n);

	if (r < 0)
		return r;
	if (form == A_QUOTED) {
		if (n < 2 || (line[0] != '\'' && line[0] != '"') || line[n - 1] != line[0])
			return FAIL(m, "pickle.opcode", "a string without its quotes");
		return unescape(m, line + 1, n - 2, true, &a->text);
	}
	if (form == A_ESCAPED)
		return unescape(m, line, n, false, &a->text);
	if (n > PICKLE_NAME_MAX)
		return 0;
	return keep(m, line, n, &a->text);
}

static int read_number_line(struct machine *m, struct arg *a)
{
	const char *line;
	size_t n;
	int r = read_line(m, &line, &n);

	if (r < 0)
		return r;
	if (n && line[n - 1] == 'L')
		n--;
	a->n = 0;
	if (n == 0 || n > 17)
		a->n = UINT64_MAX;
	for (size_t i = 0; i < n && a->n != UINT64_MAX; i++)
		a->n = line[i] >= '0' && line[i] <= '9' ? a->n * 10 + (uint64_t)(line[i] - '0') : UINT64_MAX;
	return 0;
}

static int read_counted(struct machine *m, size_t width, bool text, struct arg *a)
{
	int r = read_uint(m, width, &a->n);

	if (r < 0)
		return r;
	if (a->n > m->b->size - m->pos)
		return FAIL(m, "pickle.length", "a string of %llu bytes where %llu are left", (unsigned long long)a->n, (unsigned long long)(m->b->size - m->pos));
	if (text && a->n <= PICKLE_NAME_MAX) {
		const uint8_t *p = bytes_at(m->b, m->pos, a->n);

		if (!p)
			return truncated(m);
		r = keep(m, (const char *)p, a->n, &a->text);
		if (r == 0 && memchr(a->text, 0, a->n))
			a->text = NULL;	/* cut short it would look like another name */
	}
	m->pos += a->n;
	return r;
}

static int read_lines(struct machine *m, struct arg *a)
{
	int r = read_text_line(m, A_LINE, a);
	struct arg second = { 0 };

	if (r == 0)
		r = read_text_line(m, A_LINE, &second);
	a->second = second.text;
	return r;
}

static int read_arg(struct machine *m, enum form form, struct arg *a)
{
	int r;

	switch (form) {
	case A_NONE:
		return 0;
	case A_U1:
		return read_uint(m, 1, &a->n);
	case A_U2:
		return read_uint(m, 2, &a->n);
	case A_U4:
		return read_uint(m, 4, &a->n);
	case A_I4:
		r = read_uint(m, 4, &a->n);
		a->n = (uint64_t)(int64_t)(int32_t)a->n;
		return r;
	case A_U8:
	case A_SKIP8:
		return read_uint(m, 8, &a->n);
	case A_LINE:
	case A_QUOTED:
	case A_ESCAPED:
		return read_text_line(m, form, a);
	case A_NUMBER:
		return read_number_line(m, a);
	case A_LINES:
		return read_lines(m, a);
	case A_TEXT1:
	case A_BYTES1:
		return read_counted(m, 1, form == A_TEXT1, a);
	case A_TEXT4:
	case A_BYTES4:
		return read_counted(m, 4, form == A_TEXT4, a);
	case A_TEXT8:
	case A_BYTES8:
		return read_counted(m, 8, form == A_TEXT8, a);
	case A_IS1:
	case A_IS2:
	case A_IS3:
		a->n = 1 + (uint64_t)(form - A_IS1);
		return 0;
	}
	return 0;
}

static int step(struct machine *m)
{
	const uint8_t *p = bytes_at(m->b, m->pos, 1);
	struct arg a = { 0 };
	const struct op *op;
	int r;

	if (!p)
		return FAIL(m, "pickle.truncated", "it ends at %llu without STOP", (unsigned long long)m->b->size);
	op = &ops[*p];
	if (!op->run)
		return FAIL(m, "pickle.opcode", "byte 0x%02x at %llu is no opcode", *p, (unsigned long long)m->pos);
	m->pos++;
	r = read_arg(m, op->form, &a);
	return r < 0 ? r : op->run(m, &a);
}

static int run(struct machine *m, uint64_t most)
{
	int r = 0;

	m->p->n_strings = 0;
	for (uint64_t n = 0; r == 0 && !m->stopped; n++)
		r = n < most ? step(m) : FAIL(m, "pickle.limit", "more than %llu opcodes", (unsigned long long)most);
	free(m->stack);
	free(m->memo);
	free(m->memo_set);
	free(m->items);
	free(m->marks);
	free(m->globals);
	return r;
}

int pickle_run(struct pickle *p, struct bytes *b, uint64_t pos, uint64_t *end, struct report *r)
{
	struct machine m = { .p = p, .b = b, .r = r, .pos = pos };
	int code = run(&m, PICKLE_OPCODES_MAX);

	*end = m.pos;
	return code;
}

void pickle_inspect(struct bytes *b, struct report *r)
{
	own(pickle) struct pickle p;
	uint64_t pos = 0;

	pickle_init(&p);
	while (pos < b->size)
		if (pickle_run(&p, b, pos, &pos, r) < 0)
			return;
}

/*
 * Text and data of other kinds may run for a few opcodes by chance; a STOP that the file or another pickle follows, or a call of a name
 * that a pickle would call, does not happen by chance.
 */
bool pickle_is(struct bytes *b)
{
	const uint8_t *p = bytes_at(b, 0, 2);
	own(pickle) struct pickle machine;
	own(report) struct report nobody;
	struct machine m = { .p = &machine, .b = b, .r = &nobody };

	pickle_init(&machine);
	report_init(&nobody);
	if (p && p[0] == 0x80 && p[1] <= 5)
		return true;
	if (b->size < 2)
		return false;
	if (run(&m, PROBE_OPCODES) == 0)
		return m.pos == b->size || machine.calls > 0;
	return machine.calls > 0 && (machine.unlisted > 0 || report_has(&nobody, "pickle.dangerous"));
}
