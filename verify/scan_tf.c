/*
 * scan_tf.c - a TensorFlow SavedModel: which operators its graphs and functions name. Some read or write files, or call Python.
 * SavedModel.meta_graphs(2).graph_def(2).{node(1), library(2).function(1).node_def(3)}.op(2). Rules: tf.op (reject or flag), those of scan_proto.c.
 */
#include "base/vec.h"
#include "verify/scan_parts.h"

#define TEXT_MAX 512
#define FAIL(r, rule, ...) report_reject(r, rule, "tf", NULL, __VA_ARGS__)

static const struct {
	const char *op;
	enum report_severity severity;
} table[] = {
	{ "ReadFile", REPORT_REJECT },	   { "WriteFile", REPORT_REJECT },	 { "PyFunc", REPORT_REJECT },	       { "PyFuncStateless", REPORT_REJECT },
	{ "EagerPyFunc", REPORT_REJECT },  { "LoadLibrary", REPORT_REJECT },	 { "LoadDataset", REPORT_FLAG },       { "SaveDataset", REPORT_FLAG },
	{ "PrintV2", REPORT_FLAG },	   { "Print", REPORT_FLAG },		 { "MatchingFiles", REPORT_FLAG },     { "WholeFileReaderV2", REPORT_FLAG },
	{ "WholeFileReader", REPORT_FLAG }, { "WriteSummary", REPORT_FLAG },	 { "DebugIdentity", REPORT_FLAG },     { "DebugIdentityV2", REPORT_FLAG },
	{ "TextLineDataset", REPORT_FLAG }, { "TFRecordDatasetV2", REPORT_FLAG }, { "GeneratorDataset", REPORT_FLAG }, { "RpcCall", REPORT_REJECT },
	{ "XlaLaunch", REPORT_FLAG },	   { "CustomCall", REPORT_REJECT },
};

static void check_op(struct bytes *b, const struct scan_field *f, struct report *r)
{
	char op[TEXT_MAX];

	if (!scan_proto_text(b, f, op, sizeof(op))) {
		report_flag(r, "tf.op", "an operator with an odd name");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(op, table[i].op))
			continue;
		if (table[i].severity == REPORT_REJECT)
			FAIL(r, "tf.op", "the operator %s touches files, loads code or calls out", op);
		else
			report_flag(r, "tf.op", "the operator %s reads, writes or prints", op);
	}
}

/* The way from a SavedModel down to an operator's name, level by level. */
static const struct {
	int level;
	uint32_t number;
	int next;
} ways[] = {
	{ 0, 2, 1 },	/* meta graph */
	{ 1, 2, 2 },	/* graph */
	{ 2, 1, 5 },	/* node */
	{ 2, 2, 3 },	/* library */
	{ 3, 1, 4 },	/* function */
	{ 4, 3, 5 },	/* its node */
	{ 5, 2, 6 },	/* the node's operator */
};

struct work {
	int level;
	uint64_t at, end;
};

void scan_tf(struct bytes *b, struct report *r)
{
	struct work *todo = NULL;
	size_t n = 0, cap = 0;
	int code = 0;

	*vec_push(&todo, &n, &cap) = (struct work){ 0, 0, b->size };
	while (n && code >= 0) {
		struct work w = todo[--n];
		struct scan_field f;
		uint64_t pos = w.at;

		while ((code = scan_proto_next(b, &pos, w.end, &f, r)) == 1)
			for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
				if (ways[i].level != w.level || ways[i].number != f.number || f.wire != 2)
					continue;
				if (ways[i].next == 6)
					check_op(b, &f, r);
				else
					*vec_push(&todo, &n, &cap) = (struct work){ ways[i].next, f.at, f.at + f.n };
			}
	}
	free(todo);
}
