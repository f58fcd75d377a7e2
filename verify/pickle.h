/*
 * pickle.h - what a pickle would do, found by running its opcodes on a machine of symbols: nothing is imported, called or built.
 * The machine keeps a real stack, marks and memo, so that names which are moved about, duplicated, overwritten or spelled with
 * escapes are known when they are used. Names are judged by an allow-list (pickle_globals.c): that of torch's weights_only loader,
 * whose opcode set every state dict keeps to. What is found before an error counts: a real unpickler would have run it by then.
 * Rules: pickle.dangerous pickle.global (flag) pickle.computed_name pickle.dotted pickle.ext pickle.persid pickle.opcode pickle.proto
 * pickle.frame pickle.length pickle.truncated pickle.stack pickle.depth pickle.limit pickle.trailing pickle.name
 * Source: CPython's Lib/pickletools.py; torch/_weights_only_unpickler.py.
 */
#ifndef VERIFY_PICKLE_H
#define VERIFY_PICKLE_H

#include "base/arena.h"
#include "verify/bytes.h"
#include "verify/report.h"

#define PICKLE_STACK_MAX   1000000
#define PICKLE_MARKS_MAX   10000
#define PICKLE_MEMO_MAX	   32000000	/* slots */
#define PICKLE_MEMO_AHEAD  65536	/* a slot's number comes from the file: this far beyond twice those in use it may be */
#define PICKLE_OPCODES_MAX ((uint64_t)200000000)
#define PICKLE_NAME_MAX	   1024		/* bytes of a module or attribute name, and of any string that is remembered */
#define PICKLE_POOL_MAX	   ((size_t)256 << 20)	/* bytes of remembered strings */
#define PICKLE_STORAGES_MAX 1000000

/* A tensor's bytes as torch refers to them: persistent id ("storage", FloatStorage, key, location, numel). */
struct pickle_storage {
	const char *key;	/* NUL-terminated, in the machine's pool */
	uint32_t item_bytes;	/* 0: a storage class we don't know */
	uint64_t numel;
};

struct pickle {
	bool torch;		/* inside a torch file: persistent ids of the storage form are right there */
	struct pickle_storage *storages;	/* in the order met, over all runs */
	size_t n_storages, cap_storages;
	const char **strings;	/* every string the latest run pushed, in order: the storage keys of a legacy file are such a pickle */
	size_t n_strings, cap_strings;
	size_t calls;		/* REDUCE, INST, OBJ, NEWOBJ, BUILD, and changes to what a name stands for, over all runs */
	size_t unlisted;	/* names met that are not on the allow-list */
	struct arena pool;
	size_t pool_bytes;
};

void pickle_init(struct pickle *p);
void pickle_done(struct pickle *p);

/*
 * Runs the pickle that begins at pos; *end is where the byte after its STOP lies. 0, or a negative code when it is malformed or past a
 * limit, which is in r by then (as are all names it uses).
 */
int pickle_run(struct pickle *p, struct bytes *b, uint64_t pos, uint64_t *end, struct report *r);
/* A whole file of pickles one after another, as pickle.load called again and again would read it. */
void pickle_inspect(struct bytes *b, struct report *r);

/* Does it look like a pickle? A PROTO opcode first, or (slower) opcodes that run to a STOP, a call or a limit of ours. */
bool pickle_is(struct bytes *b);

enum pickle_verdict {
	PICKLE_ALLOWED,		/* on torch's list, or as harmless */
	PICKLE_UNLISTED,	/* a class or function of some package: flag */
	PICKLE_DANGEROUS,	/* runs code, touches the system, or is of the standard library without being harmless */
};

/* What a name may do. `proto` decides whether Python 2's module names are meant. */
enum pickle_verdict pickle_judge(const char *module, const char *name, int proto);
/* Bytes of an element of torch's storage class `name` ("FloatStorage"), 0 when unknown. */
uint32_t pickle_storage_bytes(const char *name);

static inline void own_pickle(struct pickle *p)
{
	pickle_done(p);
}

#endif
