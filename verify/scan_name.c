/* scan_name.c - what the names of files tell of them, before there are any bytes. See scan.h. */
#include "base/str.h"
#include "base/vec.h"
#include "verify/path_check.h"
#include "verify/scan_parts.h"

#define COMPILED "compiled code, which can't be read"

static const struct {
	const char *suffix, *rule, *what;
	enum report_severity severity;
} code[] = {
	{ ".py", "code.python", SCAN_SCRIPT, REPORT_FLAG }, { ".sh", "code.script", SCAN_SCRIPT, REPORT_FLAG },
	{ ".bash", "code.script", SCAN_SCRIPT, REPORT_FLAG }, { ".bat", "code.script", SCAN_SCRIPT, REPORT_FLAG },
	{ ".cmd", "code.script", SCAN_SCRIPT, REPORT_FLAG }, { ".ps1", "code.script", SCAN_SCRIPT, REPORT_FLAG },
	{ ".so", "code.native", SCAN_NATIVE, REPORT_REJECT }, { ".dll", "code.native", SCAN_NATIVE, REPORT_REJECT },
	{ ".dylib", "code.native", SCAN_NATIVE, REPORT_REJECT }, { ".exe", "code.native", SCAN_NATIVE, REPORT_REJECT },
	{ ".pyd", "code.native", SCAN_NATIVE, REPORT_REJECT }, { ".pyc", "code.bytecode", COMPILED, REPORT_REJECT },
	{ ".class", "code.bytecode", COMPILED, REPORT_REJECT },
};

bool scan_code_name(const char *name, struct report *r)
{
	for (size_t i = 0; i < ARRAY_LEN(code); i++) {
		if (!str_ends(name, code[i].suffix))
			continue;
		if (code[i].severity == REPORT_FLAG)
			report_flag(r, code[i].rule, "%s", code[i].what);
		else
			report_reject(r, code[i].rule, name, NULL, "%s", code[i].what);
		return true;
	}
	return false;
}

void scan_names(const char *const *names, size_t n, struct report *r)
{
	own(path_set) struct path_set all = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (str_starts(names[i], ".cache/"))	/* the Hub client's own, which scan_dir() passes over */
			continue;
		report_path(r, "%s", names[i]);
		if (path_check(names[i], strlen(names[i]), r) < 0)
			continue;
		path_set_add(&all, names[i]);
		scan_code_name(names[i], r);
	}
	report_path(r, NULL);
	path_set_check(&all, r);
}
