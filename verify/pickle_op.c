/* pickle_op.c - what each opcode does to the machine of pickle_parts.h: its stack, marks and memo, and the names that it loads and calls. */
#include "base/vec.h"
#include "verify/pickle_parts.h"

#define GLOBALS_MAX	500			/* different names in one pickle */
#define TUPLE_KEPT_MAX	6			/* items of a tuple that are remembered: a storage id has five, or six */
#define TUPLE_ITEMS_MAX ((size_t)8 << 20)

/* ---- stack, marks, memo ---- */

static int push(struct machine *m, enum kind kind, uint64_t v)
{
	struct val *top;

	if (m->n_stack >= PICKLE_STACK_MAX)
		return LIMIT(m, "pickle.depth", "more than %d things on the stack", PICKLE_STACK_MAX);
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

/* What goes to a slot far ahead is forgotten, and nothing that is taken out from then on is known for sure. */
static int memo_put(struct machine *m, uint64_t slot, struct val v)
{
	if (slot >= PICKLE_MEMO_MAX || slot > 2 * m->n_memo_set + PICKLE_MEMO_AHEAD) {
		if (!m->forgot)
			FAIL(m, "pickle.limit", "memo slot %llu with %zu in use", (unsigned long long)slot, m->n_memo_set);
		m->forgot = true;
		return 0;
	}
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

/* Lines of a text that look like one hold blanks: no module is called so. */
static bool is_module(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name <= ' ')
			return false;
	return true;
}

static int push_global(struct machine *m, const char *module, const char *name)
{
	struct global *g;

	if (module && !name && m->proto >= 4)	/* it may walk from object to object for as long as it likes */
		return LIMIT(m, "pickle.name", "a name of more than %d bytes is loaded", PICKLE_NAME_MAX);
	if (!module || !name)
		return FAIL(m, "pickle.name", "a name of more than %d bytes is loaded", PICKLE_NAME_MAX);
	if (m->probing && !is_module(module))
		return FAIL(m, "pickle.name", "'%.200s' is no name of a module", module);
	for (size_t i = 0; i < m->n_globals; i++)
		if (!strcmp(m->globals[i].module, module) && !strcmp(m->globals[i].name, name))
			return push(m, V_GLOBAL, i);
	if (m->n_globals >= GLOBALS_MAX)
		return LIMIT(m, "pickle.limit", "more than %d different names are loaded", GLOBALS_MAX);
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
	m->p->unlisted += callee.kind == V_MADE;
	if (callee.kind != V_GLOBAL)
		FAIL(m, "pickle.computed_name", "at %llu it calls what it computed, not a name", (unsigned long long)m->pos);
}

/* Attributes or items of a class, function or module are set, for all the program. */
static void changed(struct machine *m, struct val object)
{
	if (object.kind != V_GLOBAL)
		return;
	m->p->calls++;
	FAIL(m, "pickle.dangerous", "at %llu it changes %.200s.%.200s", (unsigned long long)m->pos, m->globals[object.v].module, m->globals[object.v].name);
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
	if (a->n > m->b->size - m->pos)	/* Python's own unpickler takes what is left */
		FAIL(m, "pickle.frame", "a frame of %llu bytes where %llu are left", (unsigned long long)a->n, (unsigned long long)(m->b->size - m->pos));
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
		return LIMIT(m, "pickle.depth", "more than %d marks are open", PICKLE_MARKS_MAX);
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
	changed(m, object);
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
	changed(m, m->stack[m->n_stack - 1]);
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
		changed(m, v);
	}
	return r;
}

static int op_get(struct machine *m, const struct arg *a)
{
	int r;

	if (a->n >= m->cap_memo || !m->memo_set[a->n])
		return a->n != NO_NUMBER && m->forgot ? LIMIT(m, "pickle.limit", "memo slot %llu may have been written", (unsigned long long)a->n) :
			FAIL(m, "pickle.stack", "memo slot %llu was never written", (unsigned long long)a->n);
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
	if (a->n == NO_NUMBER)
		return FAIL(m, "pickle.opcode", "a memo slot without a number");
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
const struct op pickle_ops[256] = {
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
