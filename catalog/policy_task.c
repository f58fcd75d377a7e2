/* policy_task.c - see policy_task.h. */
#include "catalog/policy_task.h"

#include "base/str.h"
#include "catalog/policy_impl.h"
#include "catalog/sql.h"
#include "catalog/term.h"

/* The Hub's pipeline tags. It adds some now and then, so that another one is no error. */
static const char *const tasks[] = {
	"any-to-any", "audio-classification", "audio-text-to-text", "audio-to-audio", "automatic-speech-recognition", "conversational", "depth-estimation",
	"document-question-answering", "feature-extraction", "fill-mask", "graph-ml", "image-classification", "image-feature-extraction",
	"image-segmentation", "image-text-to-image", "image-text-to-text", "image-text-to-video", "image-to-3d", "image-to-image", "image-to-text",
	"image-to-video", "keypoint-detection", "keypoint-matching", "mask-generation", "multiple-choice", "object-detection", "other",
	"question-answering", "reinforcement-learning", "robotics", "sentence-similarity", "summarization", "table-question-answering", "table-to-text",
	"tabular-classification", "tabular-regression", "tabular-to-text", "text-classification", "text-generation", "text-ranking", "text-retrieval",
	"text-to-3d", "text-to-audio", "text-to-image", "text-to-speech", "text-to-video", "text2text-generation", "time-series-forecasting",
	"token-classification", "translation", "unconditional-image-generation", "video-classification", "video-text-to-text", "video-to-video",
	"visual-document-retrieval", "visual-question-answering", "voice-activity-detection", "zero-shot-classification", "zero-shot-image-classification",
	"zero-shot-object-detection",
};

static bool is_known(const char *pattern)
{
	for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
		if (str_glob_nocase(pattern, tasks[i]))
			return true;
	return false;
}

static int is_here(struct db_conn *c, const char *pattern, bool *here, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT name FROM term WHERE kind = $1", e);

	sql_int(&q, TERM_TASK);
	*here = false;
	while (sql_row(&q) && !*here)
		*here = str_glob_nocase(pattern, sql_get_text(&q, 0));
	return *here ? 0 : sql_done(&q);
}

static void add_warning(json_t *out, size_t entry, const char *task)
{
	const char *near = str_nearest(task, tasks, ARRAY_LEN(tasks));

	json_array_append_new(out, json_sprintf("smoke.for: entry %zu fits nothing: task '%.100s' is not known to the Hub, and no model here has it%s%s%s", entry, task,
						near ? "; did you mean '" : "", near ? near : "", near ? "'?" : ""));
}

int policy_idle_tasks(struct db *db, const struct policy *p, json_t *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = p->n_exceptions ? read_begin(&r, db, e) : 0;

	for (size_t i = 0; rc == 0 && i < p->n_exceptions; i++) {
		const char *task = p->exceptions[i].task;
		bool here = true;

		if (task && !is_known(task) && (rc = is_here(r.c, task, &here, e)) == 0 && !here)
			add_warning(out, i + 1, task);
	}
	return rc;
}
