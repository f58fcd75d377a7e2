/* test_licence_foreign.c - restrictions in other languages than English: wherever a word about a licence stands they are heard, and what allows is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "verify/card.h"

static const char *const restricting[] = {
		"Nur für nicht-kommerzielle Nutzung.", "Dieses Modell darf nicht kommerziell genutzt werden.", "Kommerzielle Nutzung ist untersagt.", "Nur zu Forschungszwecken.",
		"Utilisation commerciale interdite.", "Usage non commercial uniquement.", "Réservé à la recherche.", "Uso comercial prohibido.", "Solo para uso no comercial.",
		"Solo con fines de investigación.", "Uso comercial proibido.", "Apenas para uso não comercial.", "Vietato l'uso commerciale.", "Solo per uso non commerciale.",
		"Коммерческое использование запрещено.", "Только для некоммерческого использования.", "仅供学术研究使用,禁止商用。", "本模型仅供学术研究使用，未经书面许可不得用于商业用途。", "不可商用", "仅限非商业用途", "禁止商业使用", "商用利用は禁止します。",
		"非商用目的に限ります。", "研究目的でのみ利用できます。", "商用利用不可", "상업적 이용을 금지합니다.", "비상업적 용도로만 사용할 수 있습니다.", "연구 목적으로만 사용 가능합니다.", "Tylko do użytku niekomercyjnego.", "Alleen voor niet-commercieel gebruik.",
		"Ticari kullanım yasaktır.", "本模型僅供學術研究使用。", "禁止用於商業用途。", "商业用途需获得书面授权。", "商用请联系作者。", "仅限于个人使用", "非商業用途", "個人利用のみ。", "営利目的での利用を禁じます。", "商用利用をご希望の場合はお問い合わせください。", "商業利用禁止",
		"연구용으로만 사용하세요.", "상업적 사용 불가", "Kommerzielle Nutzung nicht gestattet", "Nur für den privaten Gebrauch.", "À des fins de recherche uniquement.", "L’usage commercial n’est pas autorisé.",
		"Prohibido su uso comercial.", "No se permite el uso comercial.", "Exclusivamente para fines académicos.", "Somente para fins de pesquisa.", "Uso não-comercial",
		"Solo per scopi di ricerca.", "È vietato qualsiasi uso commerciale", "Alleen voor onderzoek.", "Commercieel gebruik is niet toegestaan.", "ТОЛЬКО ДЛЯ ИССЛЕДОВАНИЙ",
		"Для коммерческого использования требуется лицензия.", "Cấm sử dụng cho mục đích thương mại.", "Phi thương mại", "يمنع الاستخدام التجاري", "Die kommerzielle\nNutzung ist untersagt.",
		"**禁止商用**", "- 禁止商用", "| 商用 | 禁止 |", "UTILISATION COMMERCIALE INTERDITE", "Ｍｏｄｅｌ：商用利用不可",
};

static const char *const allowing[] = {
		"商用可能です。", "商用利用可", "商用利用も可能です。ご自由にお使いください。", "商用・非商用を問わず利用できます。", "商用利用: OK", "可商用", "本模型允许商业使用。", "代码和模型权重均采用 Apache 2.0 许可证，可免费商业使用，无需授权。", "本项目遵循 MIT 协议，学术研究和商业用途均可。",
		"模型权重对学术研究完全开放，也支持商业使用。", "本模型允许商业和非商业用途。", "不禁止商用。", "不仅限于学术研究，也可以商用。", "kommerzielle Nutzung erlaubt", "Kommerzielle Nutzung ist nicht untersagt.",
		"Für kommerzielle und nicht-kommerzielle Zwecke frei nutzbar.", "Nicht nur für Forschung, auch kommerziell nutzbar.", "Utilisation commerciale autorisée.",
		"Utilisation commerciale et non commerciale autorisée.", "Non seulement pour la recherche.", "Uso comercial permitido.", "El uso comercial no está prohibido.",
		"Uso comercial e não comercial permitido.", "Permitido para uso comercial y no comercial.", "L'uso commerciale è consentito.", "L'uso commerciale non è vietato.",
		"Commercieel gebruik is toegestaan.", "Разрешено коммерческое и некоммерческое использование.", "Коммерческое использование разрешено.", "Не только для исследований.", "상업적 이용이 가능합니다.",
		"상업적 및 비상업적 이용이 가능합니다.", "상업적 이용이 금지되지 않습니다.", "Được phép sử dụng cho mục đích thương mại.", "- 商用利用: OK\n- 再配布: 禁止", "商用利用可能\n再配布禁止", "Die Nutzung der Marke ist untersagt.", "本研究仅需引用。",
};

/* What a card with this text, and this file beside it if any, comes to. */
static void check(const char *front, const char *body, const char *path, const char *text, bool is_held)
{
	struct licence_text t = { .path = path };
	struct licence_claims claims = { .texts = &t, .n_texts = path != NULL };
	struct licence_answer out;
	own(arena) struct arena a;
	own(card) struct card c = { 0 };
	const char *whole;

	arena_init(&a);
	whole = arena_printf(&a, "---\nlicense: apache-2.0\n%s\n---\n# A model\n\n%s", front, body);
	card_parse(whole, strlen(whole), &a, &c);
	claims.card = c.license.item;
	claims.n_card = c.license.n;
	licence_read_card(c.front, whole, strlen(whole), &a, &claims);
	if (path)
		licence_read_file(path, text, strlen(text), &a, &t);
	licence_resolve(&claims, &a, &out);
	if ((out.n_conflicts > 0) != is_held)
		fail_msg("\"%s\", \"%s\", %s \"%s\": %s, %zu conflicts %s", front, body, path ? path : "no file", text, out.id, out.n_conflicts, out.n_conflicts ? out.conflicts[0] : "");
}

static void in_cards(void **state)
{
	static const char *const before[] = { "## License\n\n", "**License:** ", "## Lizenz\n\nApache 2.0\n\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(restricting) + ARRAY_LEN(allowing); i++) {
		bool is_held = i < ARRAY_LEN(restricting);
		const char *said = is_held ? restricting[i] : allowing[i - ARRAY_LEN(restricting)];
		own(arena) struct arena a;

		arena_init(&a);
		check(arena_printf(&a, "extra_gated_prompt: |\n  %s", strchr(said, '\n') ? "See below" : said), strchr(said, '\n') ? arena_printf(&a, "## License\n\n%s", said) : "", NULL, "", is_held);
		for (size_t k = 0; k < ARRAY_LEN(before); k++)
			if (is_held || k == 2)	/* alone, words that nobody here understands may set terms */
				check("language: en", arena_printf(&a, "%s%s\n", before[k], said), NULL, "", is_held);
	}
}

static void in_files(void **state)
{
	static const char *const paths[] = { "LICENSE", "LIZENZ.txt", "LICEN\u00c7A.md", "\u8bb8\u53ef.txt", "weights/LICENSE", "USE_POLICY.md" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(restricting); i++)
		for (size_t k = 0; k < ARRAY_LEN(paths); k++)
			check("language: en", "", paths[k], restricting[i], true);
	for (size_t i = 0; i < ARRAY_LEN(allowing); i++)
		check("language: en", "", "USE_POLICY.md", allowing[i], false);
}

/* Where it is the only one, a file that is called a licence in any language is the model's own; and so is one in another script in the folder of the weights. */
static void what_nobody_understands(void **state)
{
	(void)state;
	check("language: en", "", "LIZENZ.txt", "Es gelten die Bedingungen der Firma Acme.", true);
	check("language: en", "", "\u8bb8\u53ef\u534f\u8bae.txt", "\u8bf7\u9075\u5b88\u672c\u516c\u53f8\u6761\u6b3e\u3002", true);
	check("language: en", "", "weights/LICENSE", "\u8bf7\u9075\u5b88\u672c\u516c\u53f8\u6761\u6b3e\u3002", true);
	check("language: en", "", "LIZENZ.txt", "Apache License 2.0", false);
	check("language: ru", "", "ЛИЦЕНЗИЯ.txt", "Модель распространяется под лицензией Apache 2.0.", false);
	assert_true(licence_is_named("LICENCIA.md"));
	assert_true(licence_is_named("\u041b\u0418\u0426\u0415\u041d\u0417\u0418\u042f.txt"));
	assert_false(licence_is_named("TERMS.md"));
}

static void long_texts(void **state)
{
	static const char *const many[] = { "\u5546\u7528", "kommerziell ", "solo ", "\u4ec5\u9650", "\xe4\xe4", "\n\n", "commercial nuova " };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		clock_t begun = clock();
		own(buf) struct buf text;

		buf_init(&text, 3u << 20);
		buf_puts(&text, "Words.\n");
		while (text.len < 1u << 20)
			buf_puts(&text, many[i]);
		assert_false(licence_restricts_foreign(text.data, text.len));
		buf_puts(&text, "\n\nKommerzielle Nutzung ist untersagt.\n");
		assert_true(licence_restricts_foreign(text.data, text.len));
		assert_true((clock() - begun) / CLOCKS_PER_SEC < 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(in_cards), cmocka_unit_test(in_files), cmocka_unit_test(what_nobody_understands), cmocka_unit_test(long_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
