/*
 * licence_foreign.c - do words in other languages than English take back commercial use? By phrases, for which no grammar is needed: what denies or limits
 * is in each of them, so that "商用可能" says nothing; see licence_table.h. A text is folded first: lower case, no accents, a blank for what are no letters,
 * none beside letters of scripts that write none, "." for the end of a sentence and "," for that of a clause.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"

#define GAP_MOST 48	/* bytes of one clause that a "*" stands for: six words, or 16 characters of Chinese */

/* Behind each is what it restricts; "*" is anything within a clause but what allows. Latin letters have no accents here, as folded texts have none. */
static const char *const restrictions[] = {
	/* Chinese */
	"禁止*商用", "禁止*商业", "禁止*商業", "严禁*商", "嚴禁*商", "不得*商用", "不得*商业", "不得*商業", "不可*商用", "不可*商业用", "不可*商業用", "不能*商用", "不能用*商业", "不能用*商業", "不允许*商用", "不允许*商业",
	"不允許*商用", "不允許*商業", "请勿*商用", "请勿*商业", "請勿*商業", "勿用于商业", "勿用於商業", "商用禁止", "不支持商用", "仅供*研究", "僅供*研究", "仅限*研究", "僅限*研究", "仅用于*研究", "僅用於*研究", "只能用于*研究",
	"只能用於*研究", "仅供*学习", "僅供*學習", "仅供*学术", "僅供*學術", "仅限*学术", "僅限*學術", "仅限于学术", "仅用于*学术", "僅用於*學術", "仅供个人", "僅供個人", "仅限*个人", "僅限*個人", "商用需*授权", "商用需*授權",
	"商用请联系", "商用請聯", "商用需联系", "商用须*授权", "商用须*许可", "商业使用需*授权", "商业用途需*授权", "商业使用须*授权", "商业用途须*授权", "商業使用需*授權", "商業用途需*授權", "商业使用请联系", "商业用途请联系",
	"商業使用請聯", "商業用途請聯", "遵循model license", "遵守model license", "遵循*社区许可", "遵守*社区许可",
	/* Japanese */
	"商用*禁止", "商用*禁じ", "商用*不可", "商用利用*できません", "商用利用*できない", "商用目的*できません", "商用*認めません", "商用*認められ*ません", "商用*許可していません", "商用*許可されていません", "商業利用*禁", "商業目的*禁",
	"商業利用*不可", "商業利用*できません", "営利目的*禁", "営利目的*不可", "営利目的*できません", "研究目的でのみ", "研究目的にのみ", "研究目的のみ", "研究目的に限", "研究用途に限", "研究用途のみ", "研究用途でのみ", "研究目的以外*禁",
	"学術目的でのみ", "学術目的のみ", "学術目的に限", "学術研究*に限", "学術研究のみ", "個人利用のみ", "個人利用に限", "個人使用に限", "商用利用*お問い合わせ", "商用利用*ご連絡", "商用利用*許諾が必要", "商用利用*許可が必要",
	"商用利用*ライセンスが必要",
	/* Korean, without the blanks that it may have or not */
	"상업적*금지", "상업적*금합니다", "상업적*불가", "상업적*할수없", "상업적*허용되지", "상업적*허용하지", "상업용*금지", "상업용*불가", "상업용*할수없", "상업목적*금지", "상업목적*불가", "영리목적*금지", "영리목적*불가",
	"연구목적으로만", "연구목적에한", "연구목적에만", "연구용으로만", "연구용도로만", "연구목적외", "학술*목적으로만", "학술용으로만", "개인*용도로만", "개인*용으로만", "상업적*문의", "상업적*별도*허가", "상업적*허가가필요", "상업적*승인이필요",
	"상업적*라이선스가필요",
	/* German */
	"kommerziell*untersagt", "kommerziell*verboten", "kommerziell*unzulassig", "kommerziell*ausgeschlossen", "kommerziell*nicht erlaubt", "kommerziell*nicht gestattet", "kommerziell*nicht zulassig",
	"nicht fur kommerziell", "nicht zu kommerziell", "keine kommerziell", "kommerziell*bedarf*genehmigung", "kommerziell*bedarf*zustimmung", "kommerziell*bedarf*lizenz", "kommerziell*kontaktieren sie",
	"nur zu*forschungs", "nur fur*forschung", "ausschliesslich*forschung", "nur fur den privat", "nur fur den person", "nur fur privat", "nur zu privat", "ausschliesslich*privat*gebrauch", "nur fur*akademisch",
	"nur zu*akademisch", "nur zu studien",
	/* French */
	"commercial*interdit", "commercial*proscrit", "commercial*pas autoris", "commercial*pas permis", "commercial*non autoris", "interdit*commercial", "pas*a des fins commerciales", "commerciale*soumise a*autorisation",
	"commercial*soumis a*autorisation", "commercial*necessite*autorisation", "commercial*necessite*licence", "commercial*contactez", "commercial*nous contacter", "reserve a la recherche", "reservee a la recherche",
	"reserve a un usage person", "uniquement*recherche", "seulement*recherche", "exclusivement*recherche", "fins de recherche uniquement", "fins de recherche seulement", "usage personnel uniquement",
	"uniquement*usage personnel", "usage academique uniquement", "uniquement*academique",
	/* Spanish */
	"comercial*prohibid", "comercial*no permitid", "prohibid*comercial", "prohibe*comercial", "no se permite*comercial", "no*con fines comerciales", "comercial no esta permitid", "comercial*requiere*autorizacion",
	"comercial*requiere*licencia", "comercial*requiere*permiso", "solo*investigacion", "unicamente*investigacion", "exclusivamente*investigacion", "solo*uso personal", "solo*academic", "uso personal solamente",
	"exclusivamente*academic",
	/* Portuguese */
	"comercial*proibid", "proibid*comercial", "comercial nao e permitid", "comercial nao permitid", "nao*para fins comerciais", "nao e permitid*comercial", "comercial*requer*autorizacao", "comercial*requer*licenca",
	"comercial*entre em contato", "apenas*pesquisa", "somente*pesquisa", "exclusivamente*pesquisa", "apenas*investigacao", "apenas*uso pessoal", "somente*uso pessoal", "apenas*academic", "somente*academic",
	/* Italian */
	"vietat*commercial", "commercial*vietat", "proibit*commercial", "commercial*proibit", "commercial*non consentit", "commercial*non e consentit", "commercial*non e permess", "non*per scopi commerciali",
	"non*a fini commerciali", "commercial*richiede*autorizzazione", "commercial*richiede*licenza", "commercial*contattare", "solo*ricerca", "soltanto*ricerca", "esclusivamente*ricerca", "solo*uso personale",
	"esclusivamente*uso personale", "solo*accademic",
	/* Dutch */
	"commercieel*verboden", "commerciele*verboden", "commercieel*niet toegestaan", "commerciele*niet toegestaan", "niet voor commercie", "geen commercie", "commercieel*vereist*toestemming", "alleen*onderzoek",
	"uitsluitend*onderzoek", "alleen*persoonlijk", "uitsluitend*persoonlijk", "alleen*academisch", "alleen*studie",
	/* Russian */
	"коммерческ*запрещ", "коммерческ*не допуска", "коммерческ*не разреш", "коммерческ*недопустим", "запрещ*коммерческ", "запрещается*коммерческ", "не для коммерческ", "нельзя*коммерческ", "коммерческ*требу*разрешени",
	"коммерческ*требу*лицензи", "коммерческ*свяжитесь", "только*исследова", "исключительно*исследова", "только*личн", "исключительно*личн", "только*научн", "исключительно*научн", "только*учебн",
	/* Polish, Turkish, Vietnamese, Arabic */
	"komercyjn*zabronion", "komercyjn*niedozwolon", "zakaz*komercyjn", "tylko do*badan", "wylacznie do*badan", "tylko do*osobist", "ticari*yasak", "ticari*izin verilmez", "ticari amacla kullanilamaz",
	"sadece*arastirma", "yalnizca*arastirma", "cam*thuong mai", "khong*muc dich thuong mai", "khong*su dung thuong mai", "chi*nghien cuu", "chi*ca nhan", "يمنع*التجاري", "يحظر*التجاري", "للاغراض البحثية فقط",
	"لاغراض البحث فقط", "للبحث العلمي فقط",
};

/* Each has at most one of `commerce` in it; licence_words.c hears "non commercial(e)" for French and Italian. Where that stands more often in a sentence both are spoken of, as in "für kommerzielle und nicht-kommerzielle Zwecke". */
static const char *const non_commercial[] = {
	"非商用", "非商业", "非商業", "비상업", "비영리목적으로만", "nicht kommerziell", "nichtkommerziell", "no comercial", "nao comercial", "niet commercie", "некоммерческ", "niekomercyjn",
	"ticari olmayan", "phi thuong mai", "غير تجاري", "غير التجاري",
};
static const char *const commerce[] = {
	"商用", "商业", "商業", "상업", "kommerziell", "comercial", "commercie", "коммерческ", "komercyjn", "ticari", "thuong mai", "تجاري",
};
/* What is not forbidden, nor all. */
static const char *const undone[] = {
	"没有禁止", "不禁止", "并非禁止", "无需", "無需", "不需要", "不仅", "不僅", "不限于", "不限於", "禁止されていません", "禁止していません", "禁止しません", "禁止するものでは", "だけで", "에한하지않", "금지되지않", "금지하지않",
	"뿐만아니라", "뿐아니라", "nicht untersagt", "nicht verboten", "nicht ausgeschlossen", "nicht nur", "pas interdit", "pas seulement", "pas uniquement", "non seulement", "no esta prohibid", "no solo", "nao e proibid",
	"nao apenas", "nao somente", "non e vietat", "non solo", "non soltanto", "niet verboden", "niet alleen", "не запрещ", "не только", "nie tylko", "khong cam", "khong chi",
};
/* Where a clause says so of the one, what it denies behind that is another thing. */
static const char *const allows[] = {
	"允许", "允許", "可以", "可能", "自由", "許可します", "保証", "責任", "保障", "허용됩니다", "허용하", "가능", "erlaubt und", "gestattet und", "autorise et", "autorisee et", "permitido y", "permitido e", "permesso e", "consentito e",
	"разрешено и", "toegestaan en",
};

/* --- folding ------------------------------------------------------------------------------------------------------------------------ */

/* The character at p, and how many bytes it has; what is no UTF-8 is one by itself. */
static uint32_t char_at(const unsigned char *p, size_t n, size_t *len)
{
	size_t want = *p < 0xc2 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 1;
	uint32_t c = want == 1 ? *p : *p & (0xffu >> (want + 1));

	*len = 1;
	if (want > n)
		return ' ';
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return ' ';
		c = c << 6 | (p[i] & 0x3f);
	}
	*len = want;
	return c >= 0x80 && want == 1 ? ' ' : c;
}

/* A Latin letter without its accent, in lower case; NULL: it is none. */
static const char *bare_letter(uint32_t c)
{
	static const struct {
		uint32_t from, to;
		const char *letter;
	} bare[] = {
		{ 0xc0, 0xc5, "a" }, { 0xc6, 0xc6, "ae" }, { 0xc7, 0xc7, "c" }, { 0xc8, 0xcb, "e" }, { 0xcc, 0xcf, "i" }, { 0xd1, 0xd1, "n" }, { 0xd2, 0xd6, "o" }, { 0xd8, 0xd8, "o" }, { 0xd9, 0xdc, "u" },
		{ 0xdd, 0xdd, "y" }, { 0xdf, 0xdf, "ss" }, { 0xe0, 0xe5, "a" }, { 0xe6, 0xe6, "ae" }, { 0xe7, 0xe7, "c" }, { 0xe8, 0xeb, "e" }, { 0xec, 0xef, "i" }, { 0xf1, 0xf1, "n" }, { 0xf2, 0xf6, "o" },
		{ 0xf8, 0xf8, "o" }, { 0xf9, 0xfc, "u" }, { 0xfd, 0xfd, "y" }, { 0xff, 0xff, "y" }, { 0x100, 0x105, "a" }, { 0x106, 0x10d, "c" }, { 0x10e, 0x111, "d" }, { 0x112, 0x11b, "e" }, { 0x11c, 0x123, "g" },
		{ 0x128, 0x131, "i" }, { 0x139, 0x142, "l" }, { 0x143, 0x148, "n" }, { 0x14c, 0x151, "o" }, { 0x152, 0x153, "oe" }, { 0x154, 0x159, "r" }, { 0x15a, 0x161, "s" }, { 0x162, 0x167, "t" },
		{ 0x168, 0x173, "u" }, { 0x179, 0x17e, "z" }, { 0x1a0, 0x1a1, "o" }, { 0x1af, 0x1b0, "u" }, { 0x1ea0, 0x1eb7, "a" }, { 0x1eb8, 0x1ec7, "e" }, { 0x1ec8, 0x1ecb, "i" }, { 0x1ecc, 0x1ee3, "o" },
		{ 0x1ee4, 0x1ef1, "u" }, { 0x1ef2, 0x1ef9, "y" }, { 0x401, 0x401, "\xd0\xb5" }, { 0x451, 0x451, "\xd0\xb5" }, { 0x622, 0x623, "\xd8\xa7" }, { 0x625, 0x625, "\xd8\xa7" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bare); i++)
		if (c >= bare[i].from && c <= bare[i].to)
			return bare[i].letter;
	return NULL;
}

static bool is_accent(uint32_t c)
{
	return (c >= 0x300 && c <= 0x36f) || (c >= 0x64b && c <= 0x652) || c == 0x640 || (c >= 0x200b && c <= 0x200f) || c == 0xad || c == 0xfeff;
}

/* Of a script that has no blanks between words, or, as Korean, none that can be relied on? */
static bool is_dense(uint32_t c)
{
	return (c >= 0x3005 && c <= 0x3007) || (c >= 0x3041 && c <= 0x30ff && c != 0x30fb) || (c >= 0x3400 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3);
}

static bool is_letter(uint32_t c)
{
	return (c < 0x80 && isalnum((int)c)) || (c >= 0xc0 && c < 0x2000 && c != 0xd7 && c != 0xf7 && c != 0x60c && c != 0x61b && c != 0x61f) || is_dense(c);
}

struct folded {
	char *text, *out;
	bool is_after_dense;
};

/* A mark or a blank; the strongest of those that follow each other stands. */
static void add_mark(struct folded *f, char mark)
{
	char *last = f->out > f->text ? f->out - 1 : NULL;

	if (last && strchr(" ,.", *last)) {
		*last = *last == '.' || mark == '.' ? '.' : *last == ',' || mark == ',' ? ',' : ' ';
		return;
	}
	*f->out++ = mark;
}

static void add_letter(struct folded *f, uint32_t c, const char *at, size_t len)
{
	const char *bare = c >= 0x80 ? bare_letter(c) : NULL;
	bool dense = is_dense(c);

	if (f->out > f->text && f->out[-1] == ' ' && (dense || f->is_after_dense))
		f->out--;
	f->is_after_dense = dense;
	if (bare) {
		f->out = mempcpy(f->out, bare, strlen(bare));
	} else if (c < 0x80) {
		*f->out++ = (char)tolower((int)c);
	} else if (c >= 0x410 && c <= 0x42f) {
		*f->out++ = (char)(0xc0 | (c + 0x20) >> 6);
		*f->out++ = (char)(0x80 | ((c + 0x20) & 0x3f));
	} else {
		f->out = mempcpy(f->out, at, len);
	}
}

/* Of a line's end: what goes on in the next line is one sentence, but not where blanks say nothing of it, nor before the mark of an entry. */
static char line_end(const struct folded *f, const char *next, size_t n)
{
	size_t blanks = 0, len;

	while (blanks < n && strchr(" \t\r>", next[blanks]))
		blanks++;
	if (blanks == n)
		return '.';
	uint32_t c = char_at((const unsigned char *)next + blanks, n - blanks, &len);

	return !is_letter(c) || isdigit((int)(c & 0x7f)) || is_dense(c) || f->is_after_dense ? '.' : ' ';
}

/* What stands for a character that is no letter. */
static char mark_of(const struct folded *f, uint32_t c, const char *next, size_t n)
{
	if (c == '\n')
		return line_end(f, next, n);
	if (c == '!' || c == '?' || c == 0x3002 || c == 0x61f || (c == '.' && (!n || strchr(" \t\r\n*_\"')", *next))))
		return '.';
	return c == ';' || c == ',' || c == 0x3001 || c == 0x60c || c == 0x61b || c == 0x30fb ? ',' : ' ';
}

/* Caller frees. */
static char *fold(const char *text, size_t n)
{
	struct folded f = { .text = mem_zalloc(2 * n + 2) };

	f.out = f.text;
	for (size_t i = 0, len; i < n; i += len) {
		uint32_t c = char_at((const unsigned char *)text + i, n - i, &len);

		if (c >= 0xff01 && c <= 0xff5e)
			c -= 0xfee0;
		if (is_accent(c))
			continue;
		if (is_letter(c))
			add_letter(&f, c, text + i, len);
		else
			add_mark(&f, mark_of(&f, c, text + i + len, n - i - len));
	}
	*f.out = 0;
	return f.text;
}

/* --- phrases ------------------------------------------------------------------------------------------------------------------------ */

static bool is_any(const char *at, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[0] == list[i][0] && at[1] == list[i][1] && str_starts(at, list[i]))
			return true;
	return false;
}

/* Is it the first byte of a character? */
static bool is_first(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static bool follows(const char *at, const char *phrase)
{
	const char *gap = strchr(phrase, '*');
	size_t n = gap ? (size_t)(gap - phrase) : strlen(phrase);

	if (strncmp(at, phrase, n) != 0)
		return false;
	if (!gap)
		return true;
	at += n;
	for (size_t i = 0; i <= GAP_MOST && at[i] && !strchr(".,", at[i]); i++) {
		if (!is_first(at[i]))
			continue;
		if (at[i] == gap[1] && follows(at + i, gap + 1))
			return true;
		if (is_any(at + i, allows, ARRAY_LEN(allows)))
			return false;
	}
	return false;
}

/* May a phrase begin here: a word, where words have blanks between them? */
static bool begins(const char *text, const char *at)
{
	return at == text || at[-1] == ' ' || at[-1] == '.' || at[-1] == ',' || ((unsigned char)*at >= 0xe3 && (unsigned char)*at <= 0xed);
}

static bool has_restriction(const char *text)
{
	for (const char *at = text; *at; at++)
		if (begins(text, at))
			for (size_t i = 0; i < ARRAY_LEN(restrictions); i++)
				if (at[0] == restrictions[i][0] && at[1] == restrictions[i][1] && at[2] == restrictions[i][2] && follows(at, restrictions[i]))
					return true;
	return false;
}

/* Has a sentence what is not commercial, and nothing that is? */
static bool has_non_commercial(const char *text)
{
	size_t n_non = 0, n_all = 0;

	for (const char *at = text; *at; at++) {
		if (*at == '.') {
			if (n_non && n_non >= n_all)
				return true;
			n_non = n_all = 0;
		}
		n_non += begins(text, at) && is_any(at, non_commercial, ARRAY_LEN(non_commercial));
		n_all += is_any(at, commerce, ARRAY_LEN(commerce));
	}
	return n_non && n_non >= n_all;
}

bool licence_restricts_foreign(const char *text, size_t n)
{
	own(mem) char *folded = fold(text, n);

	for (char *at = folded; *at; at++)
		for (size_t i = 0; begins(folded, at) && i < ARRAY_LEN(undone); i++)
			if (*at == *undone[i] && str_starts(at, undone[i]))
				memset(at, ',', strlen(undone[i]));
	return has_restriction(folded) || has_non_commercial(folded);
}
