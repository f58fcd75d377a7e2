/*
 * scan_tree.c - a listing as a Hub's /tree answers it: every path a name that may become a file, no two that clash, LFS pointers that
 * agree with themselves. Rules: those of path_check.h, tree.entry tree.oid tree.size tree.lfs.
 */
#include "base/json.h"
#include "base/str.h"
#include "verify/scan_parts.h"
#include "verify/path_check.h"

#define SHA1_HEX   40
#define SHA256_HEX 64
#define FAIL(r, rule, ...) report_reject(r, rule, "tree", NULL, __VA_ARGS__)

static void check_lfs(const json_t *entry, const char *path, struct report *r)
{
	const json_t *lfs = json_object_get(entry, "lfs");
	const char *oid = json_get_str(lfs, "oid");

	if (!lfs || json_is_null(lfs))
		return;
	if (!oid || !str_is_hex(oid, SHA256_HEX))
		FAIL(r, "tree.lfs", "'%.200s' has an LFS oid that is no SHA-256", path);
	if (json_get_int(lfs, "size", -1) != json_get_int(entry, "size", -2))
		FAIL(r, "tree.lfs", "'%.200s' has two sizes", path);
}

static void check_entry(const json_t *entry, struct path_set *set, struct report *r)
{
	const json_t *path = json_object_get(entry, "path");
	const char *type = json_get_str_or(entry, "type", ""), *oid = json_get_str(entry, "oid");

	if (!json_is_string(path)) {
		FAIL(r, "tree.entry", "an entry without a path");
		return;
	}
	if (path_check(json_string_value(path), json_string_length(path), r) < 0)
		return;
	if (strcmp(type, "file") && strcmp(type, "directory"))
		FAIL(r, "tree.entry", "'%.200s' is a '%.20s'", json_string_value(path), type);
	if (oid && !str_is_hex(oid, SHA1_HEX) && !str_is_hex(oid, SHA256_HEX))
		FAIL(r, "tree.oid", "'%.200s' has an oid that is no git hash", json_string_value(path));
	if (!strcmp(type, "file") && json_get_int(entry, "size", -1) < 0)
		FAIL(r, "tree.size", "'%.200s' has no size", json_string_value(path));
	check_lfs(entry, json_string_value(path), r);
	if (strcmp(type, "directory"))
		path_set_add(set, json_string_value(path));
}

void scan_tree(const json_t *listing, struct report *r)
{
	own(path_set) struct path_set set = { 0 };

	for (size_t i = 0; i < json_array_size(listing); i++)
		check_entry(json_array_get(listing, i), &set, r);
	path_set_check(&set, r);
}
