/* config_table.h - the table of settings, shared by the parser and the printers; nobody else includes it. */
#ifndef REGISTRYD_CONFIG_TABLE_H
#define REGISTRYD_CONFIG_TABLE_H

#include "registryd/config.h"

enum setting_type {	/* and the member it is kept in */
	SETTING_TEXT,		/* const char * */
	SETTING_URL,		/* const char *: http:// or https://, no '/' at the end */
	SETTING_SIZE,		/* uint64_t bytes */
	SETTING_RATE,		/* uint64_t bytes a second, written 200MB/s */
	SETTING_COUNT,		/* int64_t */
	SETTING_DURATION,	/* int64_t seconds */
	SETTING_MILLIS,		/* int64_t milliseconds, written 500ms or 2s */
	SETTING_CHOICE,		/* int: index among the choices */
	SETTING_LIST,		/* struct config_list; one text stands for a list of one */
	SETTING_WINDOW,		/* struct config_window, written 22:00-06:00 */
};

struct setting {
	const char *section, *key;	/* section "" is the top level */
	enum setting_type type;
	size_t offset;			/* in its section's struct */
	int64_t min, max;		/* SIZE to DURATION; LIST: entries */
	const char *otherwise;		/* default as it would be written, NULL none; "!" must be given */
	const char *choices;		/* "read none" */
	const char *meaning;		/* one sentence */
};

struct section {
	const char *name;
	size_t offset;		/* in struct config: of the struct, or for a list of its pointer */
	size_t size;		/* of one struct */
	size_t count_offset;	/* lists: of the count in struct config */
	bool list;
	const char *meaning;
};

extern const struct setting config_settings[];
extern const size_t config_n_settings;
extern const struct section config_sections[];
extern const size_t config_n_sections;

#endif
