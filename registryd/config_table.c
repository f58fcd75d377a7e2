/* config_table.c - every setting there is: where it stands, what it may be, what it is when left out, what it means. */
#include "registryd/config_table.h"

#define GB INT64_C(1000000000)
#define DAY INT64_C(86400)
#define TB (1000 * GB)

#define SECTION(name, member, meaning) { name, offsetof(struct config, member), sizeof(((struct config *)0)->member), 0, false, meaning }
#define SECTIONS(name, member, meaning) \
	{ name, offsetof(struct config, member), sizeof(*((struct config *)0)->member), offsetof(struct config, n_##member), true, meaning }

const struct section config_sections[] = {
	{ "", 0, sizeof(struct config), 0, false, NULL },
	SECTIONS("upstreams", upstreams, "Hubs that models come from: huggingface.co, another registryd, or any server that speaks the Hub's API."),
	SECTIONS("mirror", mirror, "What is kept in step with upstream. Each entry names exactly one of repo, author and query."),
	SECTION("smoke", smoke, "The test that every checkpoint must survive before it is published."),
	SECTION("auth", auth, "Who may read. Changing anything always needs a token."),
	SECTION("http", http, "The server's limits. A change needs a restart."),
	SECTION("sync", sync, "How much is fetched at a time."),
	SECTION("catalog", catalog, "The catalog's use of memory. A change needs a restart."),
	SECTIONS("webhooks", webhooks, "Addresses that are told of events, as JSON signed with HMAC-SHA256."),
};
const size_t config_n_sections = ARRAY_LEN(config_sections);

#define TOP(m) offsetof(struct config, m)
#define UP(m) offsetof(struct config_upstream, m)
#define MIRROR(m) offsetof(struct config_mirror, m)
#define SMOKE(m) offsetof(struct config_smoke, m)
#define AUTH(m) offsetof(struct config_auth, m)
#define HTTP(m) offsetof(struct config_http, m)
#define SYNC(m) offsetof(struct config_sync, m)
#define CATALOG(m) offsetof(struct config_catalog, m)
#define HOOK(m) offsetof(struct config_webhook, m)

const struct setting config_settings[] = {
	{ "", "data", SETTING_TEXT, TOP(data), 0, 0, NULL, NULL,
	  "Directory of the store and the catalog. Without it /var/lib/registryd for root, else ~/.local/share/registryd." },
	{ "", "listen", SETTING_LIST, TOP(listen), 1, 8, "127.0.0.1:8640", NULL, "Addresses to serve at, as ADDRESS:PORT. A change needs a restart." },
	{ "", "public_url", SETTING_URL, TOP(public_url), 0, 0, NULL, NULL,
	  "How clients reach this server, for links in answers. Without it the request's own Host is used." },
	{ "", "policy", SETTING_TEXT, TOP(policy), 0, 0, NULL, NULL,
	  "File with the publishing policy. Without it permissive licences are published and the rest is held." },
	{ "", "log", SETTING_CHOICE, TOP(log), 0, 0, "info", "warning info debug", "Which events go to standard error; debug has one line a request." },

	{ "upstreams", "name", SETTING_TEXT, UP(name), 0, 0, "!", NULL, "How mirror entries and the catalog call it. Models stay bound to it: where only the address is new, keep the name and change endpoint." },
	{ "upstreams", "endpoint", SETTING_URL, UP(endpoint), 0, 0, "!", NULL, "Its address, such as https://huggingface.co." },
	{ "upstreams", "token_file", SETTING_TEXT, UP(token_file), 0, 0, NULL, NULL, "File whose first line is the token to use there; read for every job." },
	{ "upstreams", "rate_limit", SETTING_RATE, UP(rate_limit), 0, TB, "0", NULL, "Bytes a second over all that comes from it, such as 200MB/s; 0 is no limit." },
	{ "upstreams", "connections", SETTING_COUNT, UP(connections), 1, 256, "8", NULL, "Requests to it at once: files, its API, git. While files take all of them, one more may ask its API or git." },
	{ "upstreams", "retries", SETTING_COUNT, UP(retries), 0, 100, "6", NULL, "Further tries after a fault that may pass." },
	{ "upstreams", "backoff", SETTING_MILLIS, UP(backoff_ms), 1, 600000, "500ms", NULL, "Wait before the first further try; it doubles each time." },
	{ "upstreams", "stall", SETTING_DURATION, UP(stall_s), 1, 3600, "30s", NULL, "Give up a transfer that stands still for so long." },
	{ "upstreams", "window", SETTING_WINDOW, UP(window), 0, 0, NULL, NULL, "Hours (UTC) in which files are fetched, such as 22:00-06:00." },
	{ "upstreams", "proxy", SETTING_TEXT, UP(proxy), 0, 0, NULL, NULL, "HTTP proxy to reach it through. Without it the environment's https_proxy counts. A name and password in it are shown by --print-config only." },
	{ "upstreams", "ca_file", SETTING_TEXT, UP(ca_file), 0, 0, NULL, NULL, "Certificates to trust for it, and for a proxy that is reached by https, instead of the system's." },

	{ "mirror", "name", SETTING_TEXT, MIRROR(name), 0, 0, NULL, NULL, "What registryctl calls the entry. Without it the repo (and @REVISION unless that is main), author or query." },
	{ "mirror", "repo", SETTING_TEXT, MIRROR(repo), 0, 0, NULL, NULL, "One model, as ORG/NAME." },
	{ "mirror", "author", SETTING_TEXT, MIRROR(author), 0, 0, NULL, NULL, "All models of an author." },
	{ "mirror", "query", SETTING_TEXT, MIRROR(query), 0, 0, NULL, NULL, "All models whose name has these words." },
	{ "mirror", "upstream", SETTING_TEXT, MIRROR(upstream), 0, 0, NULL, NULL, "Where from. Without it the first upstream." },
	{ "mirror", "revision", SETTING_TEXT, MIRROR(revision), 0, 0, "main", NULL, "Branch, tag or commit." },
	{ "mirror", "include", SETTING_LIST, MIRROR(include), 0, CONFIG_LIST_MAX, NULL, NULL, "Globs of files to mirror; none means all." },
	{ "mirror", "exclude", SETTING_LIST, MIRROR(exclude), 0, CONFIG_LIST_MAX, NULL, NULL, "Globs of files to leave out." },
	{ "mirror", "names", SETTING_LIST, MIRROR(names), 0, CONFIG_LIST_MAX, NULL, NULL, "Globs on ORG/NAME that an author's or query's models must match." },
	{ "mirror", "license", SETTING_LIST, MIRROR(license), 0, CONFIG_LIST_MAX, NULL, NULL, "Licences that an author's or query's models must have." },
	{ "mirror", "max_size", SETTING_SIZE, MIRROR(max_size), 0, 1000 * TB, "0", NULL, "Leave out larger models; 0 is no limit." },
	{ "mirror", "limit", SETTING_COUNT, MIRROR(limit), 1, 100000, "1000", NULL, "Models that an author or query may bring in at one round; the next one goes on." },
	{ "mirror", "every", SETTING_DURATION, MIRROR(every_s), 60, 365 * DAY, "6h", NULL, "How often upstream is asked." },
	{ "mirror", "metadata", SETTING_CHOICE, MIRROR(metadata), 0, 0, "files", "files only", "only: keep cards and listings for searching, fetch no weights." },

	{ "smoke", "device", SETTING_TEXT, SMOKE(device), 0, 0, "auto", NULL, "auto, cpu, cuda or cuda:N." },
	{ "smoke", "timeout", SETTING_DURATION, SMOKE(timeout_s), 1, 7 * DAY, "30m", NULL, "A test that takes longer is stopped and counts as an error." },
	{ "smoke", "memory", SETTING_SIZE, SMOKE(memory), 0, 1000 * TB, "0", NULL, "Memory that one test may use; 0 is three quarters of the machine's." },
	{ "smoke", "device_memory", SETTING_SIZE, SMOKE(device_memory), 0, 1000 * TB, "0", NULL, "Memory of the GPU that one test may use; 0 is what is free." },
	{ "smoke", "program", SETTING_TEXT, SMOKE(program), 0, 0, NULL, NULL, "The test's program. Without it registryd-smoke beside registryd." },

	{ "auth", "anonymous", SETTING_CHOICE, AUTH(anonymous), 0, 0, "read", "read none", "What callers without a token may do." },

	{ "http", "threads", SETTING_COUNT, HTTP(threads), 1, 64, "2", NULL, "Event threads for each address." },
	{ "http", "connections", SETTING_COUNT, HTTP(connections), 16, 100000, "4096", NULL, "Connections for each address; more wait." },
	{ "http", "idle_timeout", SETTING_DURATION, HTTP(idle_timeout_s), 1, 3600, "60s", NULL, "Close a connection on which nothing moves." },
	{ "http", "grace", SETTING_DURATION, HTTP(grace_s), 0, 3600, "10s", NULL, "At SIGTERM, wait so long for running answers." },

	{ "sync", "jobs", SETTING_COUNT, SYNC(jobs), 1, 64, "2", NULL, "Models worked on at once. Where a reload lowers it, those that are under way are worked on to their end." },
	{ "sync", "files", SETTING_COUNT, SYNC(files), 1, 64, "4", NULL, "Files of one model fetched at once." },
	{ "sync", "buffers", SETTING_SIZE, SYNC(buffers), 4 << 20, 16 * GB, "24MiB", NULL, "Memory that all transfers share. A change needs a restart." },
	{ "sync", "keep_free", SETTING_SIZE, SYNC(keep_free), 0, 1000 * TB, "1GiB", NULL, "Disk space that is left free; a sync that would use it waits." },

	{ "catalog", "index_memory", SETTING_SIZE, CATALOG(index_memory), 0, TB, "512MiB", NULL, "Memory for the search index; 0 is none." },
	{ "catalog", "readers", SETTING_COUNT, CATALOG(readers), 1, 64, "4", NULL, "Queries that run side by side." },

	{ "webhooks", "url", SETTING_URL, HOOK(url), 0, 0, "!", NULL, "Where events are posted." },
	{ "webhooks", "secret_file", SETTING_TEXT, HOOK(secret_file), 0, 0, NULL, NULL, "File whose first line keys the signature." },
	{ "webhooks", "events", SETTING_LIST, HOOK(events), 0, CONFIG_LIST_MAX, NULL, NULL, "Globs on the events' kinds, such as revision.*; none means all." },
};
const size_t config_n_settings = ARRAY_LEN(config_settings);
