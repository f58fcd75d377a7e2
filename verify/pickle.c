/* pickle.c - runs the symbolic machine of pickle.h, opcode by opcode: arguments are read by pickle_arg.c, effects are in pickle_op.c. */
#include "verify/pickle_parts.h"

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

static int step(struct machine *m)
{
	const uint8_t *p = bytes_at(m->b, m->pos, 1);
	struct arg a = { 0 };
	const struct op *op;
	int r;

	if (!p)
		return FAIL(m, "pickle.truncated", "it ends at %llu without STOP", (unsigned long long)m->b->size);
	op = &pickle_ops[*p];
	if (!op->run)
		return FAIL(m, "pickle.opcode", "byte 0x%02x at %llu is no opcode", *p, (unsigned long long)m->pos);
	m->pos++;
	r = pickle_arg_read(m, op->form, &a);
	return r < 0 ? r : op->run(m, &a);
}

static int run(struct machine *m)
{
	int r = 0;

	m->p->n_strings = 0;
	for (uint64_t n = 0; r == 0 && !m->stopped; n++)
		r = n < PICKLE_OPCODES_MAX ? step(m) : LIMIT(m, "pickle.limit", "more than %llu opcodes", (unsigned long long)PICKLE_OPCODES_MAX);
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
	int code = run(&m);

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
 * that a pickle would call, does not happen by chance. What ends at a limit of ours may go on to anything, and is none that can be read.
 */
bool pickle_is(struct bytes *b)
{
	const uint8_t *p = bytes_at(b, 0, 2);
	own(pickle) struct pickle machine;
	own(report) struct report nobody;
	struct machine m = { .p = &machine, .b = b, .r = &nobody, .probing = true };

	pickle_init(&machine);
	report_init(&nobody);
	if (p && p[0] == 0x80 && p[1] <= 5)
		return true;
	if (b->size < 2)
		return false;
	if (run(&m) == 0)
		return m.pos == b->size || machine.calls > 0;
	if (m.limited || (m.forgot && machine.calls > 0))
		return true;
	return machine.calls > 0 && (machine.unlisted > 0 || report_has(&nobody, "pickle.dangerous"));
}
