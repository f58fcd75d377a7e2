/* verb.c - see verb.h. Adding a command is adding a row here and a cmd_*.c. */
#include "cli/verb.h"

#include "cli/text.h"

#define OPTS(...) (const struct opt[]){ __VA_ARGS__ OPT_END }

/* Options that several verbs share. */
#define OPT_INCLUDE { "include", OPT_LIST, "GLOB", "only files that match (may be repeated; * also matches /)" },
#define OPT_EXCLUDE { "exclude", OPT_LIST, "GLOB", "no files that match (may be repeated)" },
#define OPT_NO_WAIT { "no-wait", OPT_FLAG, NULL, "do not follow the job; it goes on in the daemon" },
#define OPT_REASON  { "reason", OPT_TEXT, "TEXT", "kept with the decision and shown by `why`" },

const struct opt verb_globals[] = {
	{ "url", OPT_TEXT, "URL", "the daemon (default $REGISTRYD_URL, else " CLIENT_DEFAULT_URL ")" },
	{ "token-file", OPT_FILE, "FILE", "file holding the token (default $REGISTRYD_TOKEN, else admin.token of the data directory)" },
	{ "data", OPT_FILE, "DIR", "the daemon's data directory, for its admin.token" },
	{ "json", OPT_FLAG, NULL, "JSON on stdout, and nothing else" },
	{ "quiet", OPT_FLAG, NULL, "no progress and no remarks" },
	{ "help", OPT_FLAG, NULL, "this help" },
	{ "h", OPT_FLAG, NULL, "the same" },
	{ "version", OPT_FLAG, NULL, "the version" },
	OPT_END
};

const struct verb verb_table[] = {
	{ "sync", "REPO[@REV]", 1, 1, "fetch, prove, inspect, smoke-test, gate and publish a model",
	  "Follows the job with its progress; Ctrl-C leaves it running in the daemon. Ends with 0 when the revision is published, 5 when the gate "
	  "holds or rejects it, 6 when content does not verify, 4 when upstream has no such model or revision, 1 otherwise.",
	  OPTS(OPT_INCLUDE OPT_EXCLUDE { "upstream", OPT_TEXT, "NAME", "which upstream (default: the first configured)" }, OPT_NO_WAIT
	       { "dry-run", OPT_FLAG, NULL, "only say which files, how many bytes, and what the gate would say" }, ),
	  cmd_sync },
	{ "mirror list", "", 0, 0, "what is kept in step with upstream", NULL, NULL, cmd_mirror_list },
	{ "mirror add", "[REPO[@REV]…]", 0, VERB_NO_LIMIT, "keep models in step with upstream", "Either repositories, or --author, or --query. Of an entry that is there, what is not given stays as it is.",
	  OPTS({ "author", OPT_TEXT, "A", "all models of an author" }, { "query", OPT_TEXT, "Q", "models whose name holds these words" }, OPT_INCLUDE
	       { "every", OPT_DURATION, "6h", "how often to look" },
	       { "metadata-only", OPT_FLAG, NULL, "keep cards and metadata, fetch no weights" }, ),
	  cmd_mirror_add },
	{ "mirror remove", "NAME", 1, 1, "no longer keep it in step; what is mirrored stays", NULL, NULL, cmd_mirror_remove },
	{ "mirror run", "[NAME…]", 0, VERB_NO_LIMIT, "look upstream now", NULL, NULL, cmd_mirror_run },
	{ "import", "DIR", 1, 1, "bring in a model that no Hub holds, through the same pipeline and gate",
	  "Streams the directory's files to the daemon and follows the job. Exit status as for sync.",
	  OPTS({ "as", OPT_TEXT, "REPO", "the name it gets here (needed)" }, { "license", OPT_TEXT, "ID", "the licence that you vouch for" }, OPT_NO_WAIT),
	  cmd_import },
	{ "ls", "", 0, 0, "list models, one row a repository",
	  "Filters may be mixed: all of them must hold; a repeated --license is any of them, a repeated --tag all of them.",
	  OPTS({ "license", OPT_LIST, "ID", "Hub licence id, such as apache-2.0 (may be repeated)" },
	       { "commercial", OPT_FLAG, NULL, "only licences that allow commercial use, also under conditions" },
	       { "min-size", OPT_SIZE, "SIZE", "at least so large: 500M, 20GB, 1.5GiB" },
	       { "max-size", OPT_SIZE, "SIZE", "at most so large" },
	       { "min-params", OPT_PARAMS, "N", "at least so many parameters: 7B, 500M" },
	       { "max-params", OPT_PARAMS, "N", "at most so many parameters" },
	       { "format", OPT_TEXT, "FORMAT", "safetensors, gguf, pickle, onnx …" },
	       { "quant", OPT_TEXT, "QUANT", "quantisation, such as Q4_K_M or awq" },
	       { "arch", OPT_TEXT, "ARCH", "architecture, such as llama" },
	       { "task", OPT_TEXT, "TASK", "task, such as text-generation" },
	       { "author", OPT_TEXT, "AUTHOR", "the part before the slash" },
	       { "tag", OPT_LIST, "TAG", "a Hub tag (may be repeated)" },
	       { "state", OPT_TEXT, "STATE", "planned fetching verifying testing held rejected published retired" },
	       { "deprecated", OPT_FLAG, NULL, "only what is deprecated" },
	       { "sunset-before", OPT_DATE, "DATE", "only what ends before: 2027-06-30" },
	       { "contains", OPT_TEXT, "SHA256", "only what holds a file with this SHA-256" },
	       { "search", OPT_TEXT, "TEXT", "part of the name" },
	       { "sort", OPT_TEXT, "KEY|-KEY", "name size params published modified created downloads likes sunset; - for descending" },
	       { "limit", OPT_COUNT, "N", "at most so many rows" }, ),
	  cmd_ls },
	{ "show", "REPO[@REV]", 1, 1, "one page: licence, size, proof, findings, smoke verdict, lifecycle, files",
	  "Without a revision the newest known one, whatever its state.", NULL, cmd_show },
	{ "why", "REPO[@REV]", 1, 1, "every gate decision with its reason", "Without a revision the newest known one, whatever its state.", NULL, cmd_why },
	{ "licenses", "", 0, 0, "licences in the catalog with counts and bytes", NULL, NULL, cmd_licenses },
	{ "verify", "[REPO[@REV]]", 0, 1, "re-read every byte in the store and compare",
	  "Prints `= path` for a file that is the same, `* path` for one that differs, `- path` for one that is missing, and ends with 6 unless all are "
	  "the same.",
	  OPTS({ "all", OPT_FLAG, NULL, "every content that the store holds, of revisions in any state, once each" }, OPT_NO_WAIT), cmd_verify },
	{ "smoke", "[REPO[@REV]]", 0, 1, "smoke-test again and record the verdict",
	  "Ends with 0 for a pass, 6 for a fail, 5 when the test could not be run for such a model, 1 for an error of the test.",
	  OPTS({ "all", OPT_FLAG, NULL, "everything published, in the background" }, { "device", OPT_TEXT, "DEVICE", "auto, cpu, cuda or cuda:N" },
	       OPT_NO_WAIT),
	  cmd_smoke },
	{ "publish", "REPO[@REV]", 1, 1, "publish a held revision: a person's decision",
	  "It overrides the policy, but never content that does not verify.", OPTS(OPT_REASON), cmd_publish },
	{ "reject", "REPO[@REV]", 1, 1, "reject a revision: a person's decision", NULL, OPTS(OPT_REASON), cmd_reject },
	{ "deprecate", "REPO[@REV]", 1, 1, "announce its end", "Without @REV the whole model is meant. What is not given stays as it was said before.",
	  OPTS({ "sunset", OPT_DATE, "DATE", "the day from which it is no longer served: 2027-06-30" },
	       { "successor", OPT_TEXT, "REPO", "the model to use instead" }, OPT_REASON
	       { "force", OPT_FLAG, NULL, "allow a sunset closer than the policy's notice; needs --reason" }, ),
	  cmd_deprecate },
	{ "undeprecate", "REPO[@REV]", 1, 1, "take a deprecation and its dates back",
	  "Without @REV the whole model is meant, and what rules and tests have marked of its revisions. The policy's rules leave alone whose mark of theirs was taken back.",
	  OPTS(OPT_REASON), cmd_undeprecate },
	{ "retire", "REPO[@REV]", 1, 1, "stop serving it now: 410", "Without @REV the whole model is meant.", OPTS(OPT_REASON), cmd_retire },
	{ "restore", "REPO[@REV]", 1, 1, "take retire or withdraw back; dates are kept",
	  "Without @REV the whole model is meant. The gate decides again about what was retired.", OPTS(OPT_REASON), cmd_restore },
	{ "withdraw", "REPO[@REV]", 1, 1, "off every door at once: 403, or 451 with --legal",
	  "Without @REV the whole model is meant. Needs --reason. Says what goes on being served of the same under other names.",
	  OPTS(OPT_REASON { "legal", OPT_FLAG, NULL, "for legal reasons: 451" }, ), cmd_withdraw },
	{ "lifecycle", "", 0, 0, "what is deprecated, what ends when, who still pulls it", NULL,
	  OPTS({ "within", OPT_DURATION, "90d", "only what ends within this time, or at no date" }, { "ics", OPT_FLAG, NULL, "as a calendar (RFC 5545)" }, ), cmd_lifecycle },
	{ "usage", "REPO", 1, 1, "pulls by consumer", "What a consumer pulled on one UTC day counts whole, at the time of the last pull.",
	  OPTS({ "days", OPT_COUNT, "30", "of the last so many times 24 hours" }, ), cmd_usage },
	{ "sbom", "REPO[@REV]", 1, 1, "bill of materials of a published revision",
	  "Without @REV of the one that main serves. It is kept as it is given out; when the facts change another is kept beside it.",
	  OPTS({ "format", OPT_TEXT, "FORMAT", "cyclonedx (1.6, default) or spdx (3.0.1)" }, { "list", OPT_FLAG, NULL, "those that are kept, newest first" },
	       { "sha256", OPT_TEXT, "HASH", "an earlier one" }, { "o", OPT_FILE, "FILE", "into a file" }, ),
	  cmd_sbom },
	{ "policy show", "", 0, 0, "the policy in force, every default filled in", NULL, NULL, cmd_policy_show },
	{ "policy check", "REPO[@REV]", 1, 1, "what the gate would say, before a download", "Ends with 5 unless it would publish.", NULL, cmd_policy_check },
	{ "policy test", "FILE", 1, 1, "what a changed policy would change in the whole catalog",
	  "Also what its lifecycle rules would deprecate or end, and on which day. Nothing is changed by it.", NULL, cmd_policy_test },
	{ "policy reload", "", 0, 0, "put the policy file of the daemon's settings in force, as a reload of the daemon does",
	  "What it changes for the models here is then worked through. Ends with 5, and the old policy stays, when next to nothing of what is published or served would be left.",
	  OPTS({ "yes", OPT_FLAG, NULL, "even then" }, ), cmd_policy_reload },
	{ "bundle create", "[REPO[@REV]…]", 0, VERB_NO_LIMIT, "pack published models for a site without a network",
	  "Contents, and with each revision what its Hub said and the git objects that prove it. A run that was interrupted is gone on with by the same command. "
	  "--all leaves out, with a word on stderr, what is withdrawn or past its sunset, and models of which the store has lost a file; for these it ends with 6, with all others in the bundle.",
	  OPTS({ "o", OPT_FILE, "DIR", "where the bundle goes (needed)" }, { "all", OPT_FLAG, NULL, "everything that is published" },
	       { "since", OPT_FILE, "RECEIPT", "leave out the contents that the other site says it has" },
	       { "volume-size", OPT_SIZE, "SIZE", "divide it into folders of at most so much, one a medium" },
	       { "sign", OPT_TEXT, "KEY", "sign it with this key of the daemon (key generate)" }, ),
	  cmd_bundle_create },
	{ "bundle inspect", "DIR", 1, 1, "what a bundle holds", "Needs no daemon. Nothing is checked but the manifest's form.", NULL, cmd_bundle_inspect },
	{ "bundle verify", "DIR", 1, 1, "check every byte of a bundle against its manifest, and the signature",
	  "`= path` same, `* path` differs, `- path` missing; ends with 6 unless all are the same. Without --trust a signature is checked with the daemon's keys.",
	  OPTS({ "trust", OPT_FILE, "FILE", "the public key (PEM) that must have signed it" }, ), cmd_bundle_verify },
	{ "bundle import", "DIR", 1, 1, "bring a bundle in, through the same proof, test and gate as a sync",
	  "Sends what the daemon's store lacks; a run that was interrupted is gone on with. Ends with 0 when every model is published, 5 when the gate holds or rejects one, "
	  "6 when content does not verify, 1 otherwise.",
	  OPTS({ "trust", OPT_FILE, "FILE", "the public key (PEM) that must have signed it" },
	       { "receipt", OPT_FILE, "FILE", "write what this site holds now, for `bundle create --since`" },
	       { "rollback", OPT_FLAG, NULL, "let branches and tags go back to revisions that were superseded here" }, ),
	  cmd_bundle_import },
	{ "jobs", "", 0, 0, "what the daemon is doing and has done",
	  "What runs comes first, then what waits, is queued and has ended, of each the newest: a hundred in all. Says on stderr when there are more.", OPTS({ "watch", OPT_FLAG, NULL, "go on showing it until interrupted" }, ), cmd_jobs },
	{ "events", "", 0, 0, "what happened, oldest first", NULL, OPTS({ "follow", OPT_FLAG, NULL, "the last ten, and then as it happens; with --json one object a line" }, ), cmd_events },
	{ "audit head", "", 0, 0, "the newest event's hash, to be noted elsewhere", NULL, NULL, cmd_audit_head },
	{ "audit verify", "", 0, 0, "check the chain of events", "Ends with 6 and names the first event that is altered or missing.",
	  OPTS({ "head", OPT_TEXT, "HASH", "a head noted earlier, which must still be in the chain" }, ), cmd_audit_verify },
	{ "key generate", "[NAME]", 0, 1, "make a signing key (default name: default)", "Its private half never leaves the daemon's directory.", NULL, cmd_key_generate },
	{ "key list", "", 0, 0, "keys that sign and keys that are trusted", NULL,
	  OPTS({ "pem", OPT_FLAG, NULL, "the signing keys' public halves as PEM" }, { "o", OPT_FILE, "FILE", "with --pem: into a file" }, ), cmd_key_list },
	{ "key trust", "FILE|URL", 1, 1, "trust another site's key",
	  "A file in PEM form, an address that answers with one, or another registryd, whose signing keys are then all trusted.", NULL, cmd_key_trust },
	{ "attest show", "REPO[@REV]", 1, 1, "the signed statement about a published revision", "Without @REV about the one that main serves.",
	  OPTS({ "format", OPT_TEXT, "FORMAT", "oms (OpenSSF Model Signing, default) or intoto (SLSA provenance)" }, { "o", OPT_FILE, "FILE", "into a file" }, ),
	  cmd_attest_show },
	{ "attest verify", "DIR", 1, 1, "check a directory against a signed statement",
	  "Prints `= path` same, `* path` differs, `- path` missing, `+ path` not in the statement, and ends with 6 unless all are the same, with 5 when the "
	  "key is not trusted.",
	  OPTS({ "signature", OPT_FILE, "FILE", "the statement, as attest show writes it (needed)" }, ), cmd_attest_verify },
	{ "token create", "NAME", 1, 1, "make a token; it is shown once", NULL,
	  OPTS({ "role", OPT_TEXT, "ROLE", "reader (default), publisher or admin" }, { "expires", OPT_DURATION, "90d", "when it ends (default: never)" }, ),
	  cmd_token_create },
	{ "token list", "", 0, 0, "tokens, their roles and dates", NULL, NULL, cmd_token_list },
	{ "token revoke", "NAME", 1, 1, "a token no longer works", NULL, NULL, cmd_token_revoke },
	{ "gc", "", 0, 0, "free what no revision needs",
	  "That is also what was rejected 30 days ago (the policy's retention.rejected); what is held stays until a person decides. With --keep-last (or the policy's retention.keep_last) also what older published revisions hold, and in a namespace above its quota (retention.quotas) "
	  "what was retired 30 days ago and what was published first; but nothing that a ref points at, a mirror entry names by commit or somebody pulled in the last 30 days. Clients are told "
	  "so when they ask for such a commit, and a sync of it fetches it again.",
	  OPTS({ "dry-run", OPT_FLAG, NULL, "only say what would be freed" }, { "keep-last", OPT_COUNT, "N", "published revisions of a model that stay" },
	       OPT_NO_WAIT),
	  cmd_gc },
	{ "rebuild", "", 0, 0, "derive licences, parameter counts and the rest again from the facts kept", NULL, OPTS(OPT_NO_WAIT), cmd_rebuild },
	{ "status", "", 0, 0, "the daemon, its store and its catalog in a few lines", NULL, NULL, cmd_status },
	{ 0 },
};

static void option_text(char *out, size_t n, const struct opt *o)
{
	snprintf(out, n, "%s%s%s%s", strlen(o->name) == 1 ? "-" : "--", o->name, o->metavar ? " " : "", o->metavar ? o->metavar : "");
}

/* text and blanks up to `columns`, which "%-20s" would count in bytes. */
static void print_padded(FILE *out, const char *text, size_t columns)
{
	size_t width = text_width(text);

	fprintf(out, "%s%*s", text, width < columns ? (int)(columns - width) : 1, "");
}

static void print_options(FILE *out, const struct opt *o)
{
	char name[64];

	for (; o && o->name; o++) {
		option_text(name, sizeof(name), o);
		fputs("  ", out);
		print_padded(out, name, 25);
		fprintf(out, "%s\n", o->help);
	}
}

static void print_verb(FILE *out, const struct verb *v)
{
	char usage[80];

	snprintf(usage, sizeof(usage), "%s %s", v->name, v->args);
	fputs("  ", out);
	print_padded(out, usage, 28);
	fprintf(out, "%s\n", v->summary);
}

void verb_help_all(FILE *out)
{
	bool missing = false;

	fputs("registryctl [OPTION…] COMMAND …: the command line of registryd\n\n", out);
	for (const struct verb *v = verb_table; v->name; v++) {
		if (v->run)
			print_verb(out, v);
		else
			missing = true;
	}
	fputs("\n`registryctl COMMAND --help` tells a command's own options. Options of every command:\n", out);
	print_options(out, verb_globals);
	fputs("\nExit status: 0 done, 1 failed, 2 wrong usage, 3 daemon not reached, 4 no such model, 5 refused, 6 content does not verify.\n", out);
	if (missing) {
		const char *between = "\nNot supported yet in this version: ";

		for (const struct verb *v = verb_table; v->name; v++)
			if (!v->run) {
				fprintf(out, "%s%s", between, v->name);
				between = ", ";
			}
		fputc('\n', out);
	}
}

/* Text broken into lines of at most 100 columns. */
static void print_wrapped(FILE *out, const char *text)
{
	const size_t width = 100;

	while (strlen(text) > width) {
		size_t n = width;

		while (n > 0 && text[n] != ' ')
			n--;
		n = n ? n : width;
		fprintf(out, "%.*s\n", (int)n, text);
		text += n + (text[n] == ' ');
	}
	fprintf(out, "%s\n", text);
}

void verb_help(FILE *out, const struct verb *v)
{
	fprintf(out, "registryctl %s%s%s%s: %s\n", v->name, v->opts ? " [OPTION…]" : "", *v->args ? " " : "", v->args, v->summary);
	if (!v->run) {
		fprintf(out, "\nNot supported yet in this version: %s.\n", v->detail);
		return;
	}
	if (v->detail) {
		fputc('\n', out);
		print_wrapped(out, v->detail);
	}
	if (v->opts) {
		fputs("\nOptions:\n", out);
		print_options(out, v->opts);
	}
	fputs("\nOptions of every command:\n", out);
	print_options(out, verb_globals);
}

/* --- the page for man(1) -------------------------------------------------------------------------------------------------------------- */

/* Text for roff: dashes stay dashes, backslashes are doubled, a line never begins with a control character. `x` becomes bold. */
static void man_text(FILE *out, const char *text)
{
	bool bold = false;

	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '`') {
			bold = !bold;
			fputs(bold ? "\\fB" : "\\fR", out);
		} else if (*text == '-' || *text == '\\') {
			fputs(*text == '-' ? "\\-" : "\\e", out);
		} else {
			fputc(*text, out);
		}
	}
}

static void man_options(FILE *out, const struct opt *o)
{
	for (; o && o->name; o++) {
		fprintf(out, ".TP\n\\fB%s", strlen(o->name) == 1 ? "\\-" : "\\-\\-");
		man_text(out, o->name);
		fputs("\\fR", out);
		if (o->metavar) {
			fputs(" \\fI", out);
			man_text(out, o->metavar);
			fputs("\\fR", out);
		}
		fputc('\n', out);
		man_text(out, o->help);
		fputc('\n', out);
	}
}

static void man_verb(FILE *out, const struct verb *v)
{
	fputs(".SS ", out);
	man_text(out, v->name);
	fputs(v->args[0] ? " " : "", out);
	man_text(out, v->args);
	fputc('\n', out);
	man_text(out, v->summary);
	fputs(".\n", out);
	if (v->detail) {
		man_text(out, v->detail);
		fputc('\n', out);
	}
	man_options(out, v->opts);
}

static const char man_head[] =
	".\\\" Made by script/make-man from cli/verb.c.\n"
	".TH REGISTRYCTL 1 2026-11-29 registryd \"User commands\"\n"
	".SH NAME\n"
	"registryctl \\- the command line of registryd\n"
	".SH SYNOPSIS\n"
	".B registryctl\n"
	"[\\fIOPTION\\fR...] \\fICOMMAND\\fR ...\n"
	".SH DESCRIPTION\n"
	"Asks a running\n"
	".BR registryd (8)\n"
	"over its JSON API. Files and directories named on the command line are read and written by registryctl itself and streamed to the\n"
	"daemon. Without @REV the commands show, why, verify, smoke, publish and reject mean the newest known revision in any state.\n"
	".SH OPTIONS\n";

static const char man_tail[] =
	".SH EXIT STATUS\n"
	".TP\n.B 0\ndone\n.TP\n.B 1\nthe operation failed\n.TP\n.B 2\nwrong usage\n.TP\n.B 3\nthe daemon can't be reached\n"
	".TP\n.B 4\nno such model, revision or file\n.TP\n.B 5\nrefused by policy, lifecycle or permission\n"
	".TP\n.B 6\ncontent does not verify\n"
	".SH ENVIRONMENT\n"
	".TP\n.B REGISTRYD_URL\nthe daemon, when \\fB\\-\\-url\\fR is not given\n"
	".TP\n.B REGISTRYD_TOKEN\nthe token, when \\fB\\-\\-token\\-file\\fR is not given. Without either the file admin.token of the daemon's data\n"
	"directory is used, when it can be read and the daemon is on this machine or \\fB\\-\\-data\\fR is given.\n"
	".SH SEE ALSO\n"
	".BR registryd.yaml (5)\n";

void verb_man(FILE *out)
{
	fputs(man_head, out);
	man_options(out, verb_globals);
	fputs(".SH COMMANDS\n", out);
	for (const struct verb *v = verb_table; v->name; v++)
		if (v->run)
			man_verb(out, v);
	fputs(man_tail, out);
}

/* --- completion ------------------------------------------------------------------------------------------------------------------------ */

static const char completion_head[] =
	"# bash completion for registryctl. Made by script/make-man from cli/verb.c.\n"
	"_registryctl()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= word i\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tcase $word in\n"
	"\t\t--url | --token-file | --data) ((i++)) ;;\n"
	"\t\t-*) ;;\n"
	"\t\t*)\n"
	"\t\t\tverb=${verb:+$verb }$word\n"
	"\t\t\tcase $verb in\n";

static const char completion_tail[] =
	"\tesac\n"
	"}\n"
	"complete -F _registryctl registryctl\n";

/* The first words of families, each once, separated by `between`. */
static void print_families(FILE *out, const char *between)
{
	const char *before = "";
	size_t seen = 0;

	for (const struct verb *v = verb_table; v->name; v++) {
		size_t n = strcspn(v->name, " ");

		if (!v->run || !v->name[n] || (seen == n && !strncmp(before, v->name, n)))
			continue;
		fprintf(out, "%s%.*s", seen ? between : "", (int)n, v->name);
		before = v->name;
		seen = n;
	}
}

static void print_option_words(FILE *out, const struct opt *o)
{
	for (; o && o->name; o++)
		fprintf(out, " %s%s", strlen(o->name) == 1 ? "-" : "--", o->name);
}

/* `case` rows: what may follow a family, and which options a verb has. */
static void print_rows(FILE *out)
{
	fputs("\tcase $verb in\n\t'') COMPREPLY=($(compgen -W '", out);
	for (const struct verb *v = verb_table; v->name; v++)
		if (v->run && !strchr(v->name, ' '))
			fprintf(out, "%s ", v->name);
	print_families(out, " ");
	print_option_words(out, verb_globals);
	fputs("' -- \"$cur\")) ;;\n", out);
	for (const struct verb *v = verb_table; v->name; v++) {
		size_t n = strcspn(v->name, " ");

		if (!v->run || !v->name[n] || (v > verb_table && v[-1].run && !strncmp(v[-1].name, v->name, n + 1)))
			continue;
		fprintf(out, "\t%.*s) COMPREPLY=($(compgen -W '", (int)n, v->name);
		for (const struct verb *w = v; w->name; w++)
			if (w->run && !strncmp(w->name, v->name, n + 1))
				fprintf(out, "%s ", w->name + n + 1);
		fputs("' -- \"$cur\")) ;;\n", out);
	}
	for (const struct verb *v = verb_table; v->name; v++) {
		if (!v->run)
			continue;
		fprintf(out, "\t'%s') COMPREPLY=($(compgen -W '", v->name);
		print_option_words(out, v->opts);
		print_option_words(out, verb_globals);
		fprintf(out, "' -- \"$cur\")%s) ;;\n", v->max_words && (strstr(v->args, "DIR") || strstr(v->args, "FILE")) ? " $(compgen -f -- \"$cur\")" : "");
	}
}

void verb_completion(FILE *out)
{
	fputs(completion_head, out);
	fputs("\t\t\t", out);
	print_families(out, " | ");
	fputs(") ;;\n\t\t\t*) break ;;\n\t\t\tesac ;;\n\t\tesac\n\tdone\n"
	      "\tcase $prev in\n\t-o | --token-file | --data) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n\tesac\n",
	      out);
	print_rows(out);
	fputs(completion_tail, out);
}
