/* page.c - the frame of every page, escaping, and the pages' routes. */
#include "registryd/page.h"

#include "base/embed.h"
#include "base/str.h"

#define POLICY \
	"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

void page_text(struct buf *b, const char *s)
{
	for (; s && *s; s++)
		switch (*s) {
		case '<':
			buf_puts(b, "&lt;");
			break;
		case '>':
			buf_puts(b, "&gt;");
			break;
		case '&':
			buf_puts(b, "&amp;");
			break;
		case '"':
			buf_puts(b, "&quot;");
			break;
		case '\'':
			buf_puts(b, "&#39;");
			break;
		default:
			buf_putc(b, *s);
		}
}

void page_url(struct buf *b, const char *s, const char *keep)
{
	own(mem) char *escaped = str_percent_encode(s, keep);

	page_text(b, escaped);
}

void page_size(struct buf *b, uint64_t bytes)
{
	char text[STR_SIZE_MAX];

	str_format_size(text, bytes);
	buf_puts(b, text);
}

void page_count(struct buf *b, int64_t n)
{
	static const struct { double n; const char *unit; } units[] = { { 1e12, "T" }, { 1e9, "B" }, { 1e6, "M" }, { 1e3, "K" } };

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if ((double)n >= units[i].n) {
			buf_printf(b, "%.3g %s", (double)n / units[i].n, units[i].unit);
			return;
		}
	if (n > 0)
		buf_printf(b, "%lld", (long long)n);
	else
		buf_puts(b, "–");
}

void page_day(struct buf *b, int64_t at)
{
	char text[STR_TIME_MAX];

	if (!at) {
		buf_puts(b, "–");
		return;
	}
	str_format_iso(text, at);
	buf_printf(b, "%.10s", text);
}

void page_link_model(struct buf *b, const char *repo)
{
	buf_puts(b, "<a href=\"/");
	page_url(b, repo, "/");
	buf_puts(b, "\">");
	page_text(b, repo);
	buf_puts(b, "</a>");
}

void page_begin(struct buf *b, const char *title)
{
	buf_init(b, PAGE_MAX_BYTES);
	buf_puts(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>");
	page_text(b, title);
	buf_puts(b, "</title><link rel=\"stylesheet\" href=\"/-/assets/style.css\"></head><body>\n"
		    "<header><a class=\"name\" href=\"/\">registryd</a><a href=\"/\">Models</a><a href=\"/-/lifecycle\">Lifecycle</a></header>\n<main>\n");
}

int page_answer(struct request *rq, int status, struct buf *b)
{
	buf_puts(b, "</main></body></html>\n");
	http_set(rq, "Content-Security-Policy", POLICY);
	http_set(rq, "X-Content-Type-Options", "nosniff");
	http_set(rq, "Referrer-Policy", "same-origin");
	http_set(rq, "Cache-Control", "no-cache");
	return http_answer_buf(rq, status, "text/html; charset=utf-8", b);
}

int page_error(struct request *rq, int status, const struct err *e)
{
	struct buf b;

	page_begin(&b, "Not here");
	buf_printf(&b, "<h1>%s</h1><p>", status == 404 ? "Not here" : "This did not work");
	page_text(&b, e->msg);
	buf_puts(&b, "</p>\n");
	return page_answer(rq, status, &b);
}

static int asset(struct request *rq, struct err *e)
{
	static const struct { const char *suffix, *type; } types[] = { { ".css", "text/css; charset=utf-8" }, { ".svg", "image/svg+xml" } };
	const char *name = http_param(rq, "name");

	for (const struct embedded *f = page_assets; f->name; f++)
		for (size_t i = 0; i < ARRAY_LEN(types); i++)
			if (!strcmp(f->name, name) && str_ends(name, types[i].suffix)) {
				http_set(rq, "Cache-Control", "max-age=3600");
				http_set(rq, "X-Content-Type-Options", "nosniff");
				return http_answer_bytes(rq, 200, types[i].type, f->data, f->size_bytes);
			}
	return err_set(e, ERR_NOT_FOUND, "there is nothing at this address");
}

const struct http_route page_routes[] = {
	{ "GET", "/", HTTP_READ, HTTP_SLOW | HTTP_HTML, page_models, NULL, NULL },
	{ "GET", "/-/lifecycle", HTTP_READ, HTTP_SLOW | HTTP_HTML, page_lifecycle, NULL, NULL },
	{ "GET", "/-/assets/{name}", HTTP_OPEN, 0, asset, NULL, NULL },
	{ "GET", "/{repo}", HTTP_READ, HTTP_SLOW | HTTP_HTML, page_model, NULL, NULL },
	{ 0 },
};
