/* git_wire.c - see git_wire.h. */
#include "verify/git_wire.h"

#include "base/str.h"

#define PKT_MAX	     65520	/* gitprotocol-common(5) */
#define AGENT	     "agent=registryd/" REGISTRYD_VERSION
#define BLOB_LIMIT   "blob:limit=1k"	/* a pointer has less than 1,024 bytes */

/* One pkt-line. Lengths 0 to 2 are the markers flush, delimiter and response end, without data. */
struct pkt {
	size_t length;	/* as on the wire: 0, 1, 2, or 4 and more */
	const char *data;
	size_t n;
};

struct cursor {
	const char *p;
	size_t left;
};

static int next_pkt(struct cursor *c, struct pkt *out, struct err *e)
{
	unsigned char raw[2];
	char hex[5] = { 0 };

	if (c->left < 4)
		return err_set(e, ERR_INPUT, "git answer ends in the middle of a packet");
	memcpy(hex, c->p, 4);
	if (str_unhex(raw, 2, hex) < 0)
		return err_set(e, ERR_INPUT, "not a git answer: a packet's length is not four hex digits");
	out->length = (size_t)raw[0] << 8 | raw[1];
	if (out->length == 3 || out->length > PKT_MAX)
		return err_set(e, ERR_INPUT, "git answer has a packet of length %zu, which does not exist", out->length);
	out->n = out->length < 4 ? 0 : out->length - 4;
	if (out->n > c->left - 4)
		return err_set(e, ERR_INPUT, "git answer ends in the middle of a packet");
	out->data = c->p + 4;
	c->p += 4 + out->n;
	c->left -= 4 + out->n;
	return 0;
}

/* Does the packet's text, without its line end, equal s? */
static bool pkt_is(const struct pkt *p, const char *s)
{
	size_t n = p->n && p->data[p->n - 1] == '\n' ? p->n - 1 : p->n;

	return p->length >= 4 && n == strlen(s) && !memcmp(p->data, s, n);
}

static bool pkt_starts(const struct pkt *p, const char *s)
{
	return p->n >= strlen(s) && !memcmp(p->data, s, strlen(s));
}

static void add_pkt(struct buf *b, const char *text)
{
	buf_printf(b, "%04zx%s\n", strlen(text) + 5, text);
}

/* An "ERR …" packet, or the text of side band 3, as our error. */
static int server_error(const char *text, size_t n, struct err *e)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%.*s", (int)(n < 200 ? n : 200), text);
	copy[strcspn(copy, "\n")] = 0;
	return err_set(e, ERR_FAILED, "git server: %s", str_printable(copy));
}

/* Is `word` one of the space-separated words behind '='? */
static bool has_word(const struct pkt *p, const char *word)
{
	char line[512];
	char *save = NULL;

	snprintf(line, sizeof(line), "%.*s", (int)(p->n < 500 ? p->n : 500), p->data);
	for (char *w = strtok_r(line, "= \n", &save); w; w = strtok_r(NULL, "= \n", &save))
		if (!strcmp(w, word))
			return true;
	return false;
}

int git_advert_parse(struct git_advert *out, const char *body, size_t n, struct err *e)
{
	struct cursor c = { body, n };
	struct git_advert a = { 0 };
	bool v2 = false, fetch = false;
	struct pkt p;
	int rc;

	while (c.left) {
		rc = next_pkt(&c, &p, e);
		if (rc < 0)
			return rc;
		if (pkt_starts(&p, "ERR "))
			return server_error(p.data + 4, p.n - 4, e);
		if (pkt_is(&p, "version 2"))
			v2 = true;
		if (pkt_starts(&p, "object-format=") && !pkt_is(&p, "object-format=sha1"))
			return err_set(e, ERR_UNSUPPORTED, "the git repository does not name its objects by SHA-1");
		if (v2 && (pkt_starts(&p, "fetch=") || pkt_is(&p, "fetch"))) {
			fetch = true;
			a.filter = has_word(&p, "filter");
		}
	}
	if (!v2 || !fetch)
		return err_set(e, ERR_UNSUPPORTED, "the git server does not speak protocol version 2");
	*out = a;
	return 0;
}

void git_ls_refs_request(struct buf *b)
{
	add_pkt(b, "command=ls-refs");
	add_pkt(b, AGENT);
	add_pkt(b, "object-format=sha1");
	buf_puts(b, "0001");
	add_pkt(b, "ref-prefix HEAD");
	add_pkt(b, "ref-prefix refs/heads/");
	add_pkt(b, "ref-prefix refs/tags/");
	buf_puts(b, "0000");
}

/* "<40 hex> <name>[ attributes]\n" */
static int parse_ref(const struct pkt *p, git_ref_fn *each, void *arg, struct err *e)
{
	char hex[GIT_COMMIT_HEX + 1], name[GIT_REF_NAME_MAX + 1];
	size_t end = GIT_COMMIT_HEX + 1;

	if (p->n < GIT_COMMIT_HEX + 2 || p->data[GIT_COMMIT_HEX] != ' ')
		return err_set(e, ERR_INPUT, "git answer has a line that is not a ref");
	memcpy(hex, p->data, GIT_COMMIT_HEX);
	hex[GIT_COMMIT_HEX] = 0;
	while (end < p->n && p->data[end] != ' ' && p->data[end] != '\n' && p->data[end] != 0)
		end++;
	end -= GIT_COMMIT_HEX + 1;
	if (!str_is_hex(hex, GIT_COMMIT_HEX) || end == 0 || end > GIT_REF_NAME_MAX)
		return err_set(e, ERR_INPUT, "git answer has a line that is not a ref");
	memcpy(name, p->data + GIT_COMMIT_HEX + 1, end);
	name[end] = 0;
	return each(arg, hex, name, e);
}

int git_ls_refs_parse(const char *body, size_t n, git_ref_fn *each, void *arg, struct err *e)
{
	struct cursor c = { body, n };
	size_t count = 0;
	struct pkt p;
	int rc;

	for (;;) {
		rc = next_pkt(&c, &p, e);
		if (rc < 0)
			return rc;
		if (p.length == 0)
			return 0;
		if (pkt_starts(&p, "ERR "))
			return server_error(p.data + 4, p.n - 4, e);
		if (++count > GIT_REFS_MAX)
			return err_set(e, ERR_LIMIT, "the git repository has more than %d refs", GIT_REFS_MAX);
		rc = parse_ref(&p, each, arg, e);
		if (rc < 0)
			return rc;
	}
}

void git_fetch_request(struct buf *b, const char *commit_hex, const struct git_advert *advert)
{
	char want[GIT_COMMIT_HEX + 8];

	snprintf(want, sizeof(want), "want %.40s", commit_hex);
	add_pkt(b, "command=fetch");
	add_pkt(b, AGENT);
	add_pkt(b, "object-format=sha1");
	buf_puts(b, "0001");
	add_pkt(b, "no-progress");
	add_pkt(b, "ofs-delta");
	add_pkt(b, want);
	add_pkt(b, "deepen 1");
	if (advert->filter)
		add_pkt(b, "filter " BLOB_LIMIT);
	add_pkt(b, "done");
	buf_puts(b, "0000");
}

/* The packfile section: side band 1 is the pack, 2 progress, 3 an error; a flush ends it. Each piece moves down to where the last ended. */
static int demultiplex(struct cursor *c, struct buf *answer, struct err *e)
{
	size_t n = 0;
	struct pkt p;
	int rc;

	for (;;) {
		rc = next_pkt(c, &p, e);
		if (rc < 0)
			return rc;
		if (p.length == 0)
			break;
		if (p.n == 0)
			return err_set(e, ERR_INPUT, "git answer has an empty side-band packet");
		if (p.data[0] == 3)
			return server_error(p.data + 1, p.n - 1, e);
		if (p.data[0] != 1)
			continue;
		memmove(answer->data + n, p.data + 1, p.n - 1);
		n += p.n - 1;
	}
	answer->data[n] = 0;
	answer->len = n;
	return 0;
}

int git_fetch_parse(struct buf *answer, struct err *e)
{
	struct cursor c = { answer->data, answer->len };
	struct pkt p;
	int rc;

	for (;;) {
		rc = next_pkt(&c, &p, e);
		if (rc < 0)
			return rc;
		if (pkt_starts(&p, "ERR "))
			return server_error(p.data + 4, p.n - 4, e);
		if (pkt_is(&p, "packfile"))
			return demultiplex(&c, answer, e);
		if (p.length == 0)
			return err_set(e, ERR_INPUT, "git answer holds no pack");
	}
}
