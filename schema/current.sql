CREATE TABLE alias (
	name		TEXT PRIMARY KEY COLLATE NOCASE,
	model_id	INTEGER NOT NULL REFERENCES model (id),
	since		INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE base_model (
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	position	INTEGER NOT NULL,
	repo		TEXT NOT NULL COLLATE NOCASE,
	PRIMARY KEY (revision_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE blob (
	id		INTEGER PRIMARY KEY,
	sha256		BLOB NOT NULL CHECK (length(sha256) = 32),
	size_bytes	INTEGER NOT NULL CHECK (size_bytes >= 0),
	stored		INTEGER NOT NULL DEFAULT 0 CHECK (stored IN (0, 1))
) STRICT;
CREATE TABLE blob_use (
	blob_id		INTEGER NOT NULL REFERENCES blob (id),
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	PRIMARY KEY (blob_id, revision_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE decision (
	id		INTEGER PRIMARY KEY,
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	run		INTEGER NOT NULL,
	at		INTEGER NOT NULL,
	who		TEXT NOT NULL,		-- "policy", or the name of a person's token
	rule		TEXT NOT NULL,
	verdict		INTEGER NOT NULL CHECK (verdict BETWEEN 0 AND 2),	-- enum policy_outcome
	reason		TEXT NOT NULL
) STRICT;
CREATE TABLE document (
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	kind		INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 8),
	name		TEXT NOT NULL,
	at		INTEGER NOT NULL,
	body		BLOB NOT NULL,
	PRIMARY KEY (revision_id, kind, name)
) STRICT;
CREATE TABLE event (
	id		INTEGER PRIMARY KEY,
	at		INTEGER NOT NULL,
	kind		TEXT NOT NULL,
	repo		TEXT NOT NULL,
	revision	TEXT NOT NULL,
	data		TEXT NOT NULL,
	hash		BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TABLE file (
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	path		TEXT NOT NULL CHECK (length(path) BETWEEN 1 AND 1024),
	size_bytes	INTEGER NOT NULL CHECK (size_bytes >= 0),
	git_oid		BLOB CHECK (length(git_oid) = 20),
	lfs		INTEGER NOT NULL CHECK (lfs IN (0, 1)),
	wanted		INTEGER NOT NULL CHECK (wanted BETWEEN 0 AND 2),
	blob_id		INTEGER REFERENCES blob (id),
	why		TEXT,
	PRIMARY KEY (revision_id, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE finding (
	id		INTEGER PRIMARY KEY,
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	inspector	TEXT NOT NULL,
	path		TEXT NOT NULL,
	rule		TEXT NOT NULL,
	severity	INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 2),
	message		TEXT NOT NULL,
	at		INTEGER NOT NULL
) STRICT;
CREATE TABLE hook (
	url		TEXT PRIMARY KEY,
	event_id	INTEGER NOT NULL,		-- the last event that was delivered, given up, or not asked for
	attempts	INTEGER NOT NULL DEFAULT 0,	-- of the event after it
	next_at		INTEGER NOT NULL DEFAULT 0	-- not before
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_delivery (
	id		INTEGER PRIMARY KEY,
	url		TEXT NOT NULL,
	event_id	INTEGER NOT NULL,
	at		INTEGER NOT NULL,
	attempt		INTEGER NOT NULL,
	status		INTEGER NOT NULL,
	delivered	INTEGER NOT NULL CHECK (delivered IN (0, 1)),
	error		TEXT
) STRICT;
CREATE TABLE inspected (
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	path		TEXT NOT NULL,
	inspector	TEXT NOT NULL,
	blob_id		INTEGER NOT NULL REFERENCES blob (id),	-- the content that was looked at
	verdict		INTEGER NOT NULL CHECK (verdict BETWEEN 0 AND 2),
	format		TEXT,
	at		INTEGER NOT NULL,
	PRIMARY KEY (revision_id, path, inspector)
) STRICT, WITHOUT ROWID;
CREATE TABLE job (
	id		INTEGER PRIMARY KEY,
	kind		TEXT NOT NULL,
	repo		TEXT NOT NULL,
	revision	TEXT NOT NULL,
	args		TEXT NOT NULL,
	who		TEXT NOT NULL,
	state		INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6),
	priority	INTEGER NOT NULL,
	attempts	INTEGER NOT NULL DEFAULT 0,
	created_at	INTEGER NOT NULL,
	started_at	INTEGER NOT NULL DEFAULT 0,
	finished_at	INTEGER NOT NULL DEFAULT 0,
	not_before	INTEGER NOT NULL DEFAULT 0,
	cancel_asked	INTEGER NOT NULL DEFAULT 0 CHECK (cancel_asked IN (0, 1)),
	bytes_done	INTEGER NOT NULL DEFAULT 0,
	bytes_total	INTEGER NOT NULL DEFAULT 0,
	files_done	INTEGER NOT NULL DEFAULT 0,
	files_total	INTEGER NOT NULL DEFAULT 0,
	phase		TEXT NOT NULL DEFAULT '',
	error_label	TEXT,
	error_message	TEXT,
	result		TEXT
) STRICT;
CREATE TABLE job_files (
	job_id		INTEGER PRIMARY KEY REFERENCES job (id),
	body		BLOB NOT NULL
) STRICT;
CREATE TABLE lifecycle (
	model_id	INTEGER NOT NULL REFERENCES model (id),
	revision_id	INTEGER NOT NULL,		-- 0: the whole model
	source		TEXT NOT NULL CHECK (source IN ('person', 'policy', 'smoke', 'licence')),
	deprecated_at	INTEGER NOT NULL DEFAULT 0,
	sunset_at	INTEGER NOT NULL DEFAULT 0,
	ended		INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1)),	-- the sunset has passed, and that was told
	successor	TEXT COLLATE NOCASE,
	reason		TEXT,				-- of the deprecation
	retired_at	INTEGER NOT NULL DEFAULT 0,
	withdrawn_at	INTEGER NOT NULL DEFAULT 0,
	legal		INTEGER NOT NULL DEFAULT 0 CHECK (legal IN (0, 1)),
	off_reason	TEXT,				-- why it was retired or withdrawn
	exempt		INTEGER NOT NULL DEFAULT 0 CHECK (exempt IN (0, 1)),	-- a person took a rule's mark back: rules leave it alone
	who		TEXT NOT NULL,
	at		INTEGER NOT NULL,
	PRIMARY KEY (model_id, revision_id, source),
	CHECK (sunset_at = 0 OR deprecated_at > 0),
	CHECK (source = 'person' OR (deprecated_at > 0 AND retired_at = 0 AND withdrawn_at = 0 AND exempt = 0))
) STRICT, WITHOUT ROWID;
CREATE TABLE lost (
	blob_id		INTEGER PRIMARY KEY REFERENCES blob (id),
	at		INTEGER NOT NULL,
	reason		TEXT NOT NULL
) STRICT;
CREATE TABLE meta (
	key		TEXT PRIMARY KEY,
	value		TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE mirror (
	id		INTEGER PRIMARY KEY,
	name		TEXT NOT NULL UNIQUE COLLATE NOCASE,
	kind		INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),
	target		TEXT NOT NULL,
	upstream	TEXT NOT NULL,
	revision	TEXT NOT NULL,
	options		TEXT NOT NULL,		-- JSON object
	every_s		INTEGER NOT NULL CHECK (every_s > 0),
	from_config	INTEGER NOT NULL CHECK (from_config IN (0, 1)),
	next_at		INTEGER NOT NULL,
	last_at		INTEGER NOT NULL DEFAULT 0,
	last_error	TEXT,
	cursor		TEXT
) STRICT;
CREATE TABLE model (
	id		INTEGER PRIMARY KEY,
	name		TEXT NOT NULL COLLATE NOCASE CHECK (length(name) BETWEEN 1 AND 200),
	author_id	INTEGER NOT NULL REFERENCES term (id),
	upstream_id	INTEGER NOT NULL REFERENCES term (id),
	-- what upstream says of the repository, as last asked
	gated		INTEGER NOT NULL DEFAULT 0 CHECK (gated BETWEEN 0 AND 2),
	private		INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1)),
	disabled	INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
	vanished_at	INTEGER,
	downloads	INTEGER NOT NULL DEFAULT 0,
	likes		INTEGER NOT NULL DEFAULT 0,
	created_at	INTEGER NOT NULL DEFAULT 0,
	modified_at	INTEGER NOT NULL DEFAULT 0,
	checked_at	INTEGER NOT NULL DEFAULT 0,
	-- derived: the row that `ls` and the listings show. revision_id is the revision served from `main` (or the last one published),
	-- else the newest; newest_id the newest in any state. The columns after them are of revision_id.
	revision_id	INTEGER,
	newest_id	INTEGER,
	newest_state	INTEGER NOT NULL DEFAULT 0 CHECK (newest_state BETWEEN 0 AND 8),
	state		INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 8),
	visible		INTEGER NOT NULL DEFAULT 0 CHECK (visible IN (0, 1)),	-- published, and not withdrawn or retired by hand
	license_id	INTEGER,
	commercial	INTEGER NOT NULL DEFAULT 0 CHECK (commercial BETWEEN 0 AND 3),	-- enum licence_use
	size_bytes	INTEGER NOT NULL DEFAULT 0,
	params		INTEGER NOT NULL DEFAULT 0,
	task_id		INTEGER,
	library_id	INTEGER,
	architecture_id	INTEGER,
	quantization_id	INTEGER,
	formats		INTEGER NOT NULL DEFAULT 0,	-- bits of enum format
	published_at	INTEGER NOT NULL DEFAULT 0,
	deprecated_at	INTEGER NOT NULL DEFAULT 0,
	sunset_at	INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE model_tag (
	tag_id		INTEGER NOT NULL REFERENCES term (id),
	model_id	INTEGER NOT NULL REFERENCES model (id),
	PRIMARY KEY (tag_id, model_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE policy (
	id		INTEGER PRIMARY KEY,
	at		INTEGER NOT NULL,
	who		TEXT NOT NULL,		-- "settings", or the name of the person's token who put it in force
	sha256		BLOB NOT NULL CHECK (length(sha256) = 32),	-- of body
	body		TEXT NOT NULL,
	applied		INTEGER NOT NULL CHECK (applied IN (0, 1))
) STRICT;
CREATE TABLE pull (
	day		INTEGER NOT NULL,	-- unix seconds of 00:00 UTC
	model_id	INTEGER NOT NULL REFERENCES model (id),
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	consumer	TEXT NOT NULL,
	pulls		INTEGER NOT NULL,
	bytes		INTEGER NOT NULL,
	last_at		INTEGER NOT NULL,
	PRIMARY KEY (model_id, day, revision_id, consumer)
) STRICT, WITHOUT ROWID;
CREATE TABLE ref (
	model_id	INTEGER NOT NULL REFERENCES model (id),
	name		TEXT NOT NULL,
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	moved_at	INTEGER NOT NULL,
	PRIMARY KEY (model_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE ref_wanted (
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	name		TEXT NOT NULL,
	asked_at	INTEGER NOT NULL,
	PRIMARY KEY (revision_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE revision (
	id		INTEGER PRIMARY KEY,
	model_id	INTEGER NOT NULL REFERENCES model (id),
	commit_id	BLOB NOT NULL CHECK (length(commit_id) = 20),
	state		INTEGER NOT NULL CHECK (state BETWEEN 1 AND 8),
	reason		TEXT,
	proof		INTEGER NOT NULL DEFAULT 0 CHECK (proof BETWEEN 0 AND 3),
	planned_at	INTEGER NOT NULL,	-- last time it was asked for; decides what "newest" is
	state_at	INTEGER NOT NULL,
	published_at	INTEGER NOT NULL DEFAULT 0,
	title		TEXT,
	commit_at	INTEGER NOT NULL DEFAULT 0,
	selection	TEXT,			-- JSON: the include and exclude globs it was planned with
	-- derived
	license_id	INTEGER REFERENCES term (id),
	license_name	TEXT,
	license_source	TEXT,
	license_conflicts TEXT,			-- JSON array of sentences
	commercial	INTEGER NOT NULL DEFAULT 0 CHECK (commercial BETWEEN 0 AND 3),
	size_bytes	INTEGER NOT NULL DEFAULT 0,
	params		INTEGER NOT NULL DEFAULT 0,
	dtypes		TEXT,			-- JSON object, dtype to number of elements
	task_id		INTEGER REFERENCES term (id),
	library_id	INTEGER REFERENCES term (id),
	architecture_id	INTEGER REFERENCES term (id),
	quantization_id	INTEGER REFERENCES term (id),
	context_length	INTEGER NOT NULL DEFAULT 0,
	formats		INTEGER NOT NULL DEFAULT 0,
	base_relation	TEXT,
	new_version	TEXT, upstream_key TEXT, published_no INTEGER NOT NULL DEFAULT 0,			-- the card's hint of a successor
	UNIQUE (model_id, commit_id)
) STRICT;
CREATE TABLE revision_tag (
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	tag_id		INTEGER NOT NULL REFERENCES term (id),
	PRIMARY KEY (revision_id, tag_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE ruling (
	revision_id	INTEGER PRIMARY KEY REFERENCES revision (id),
	verdict		INTEGER NOT NULL CHECK (verdict IN (0, 2)),
	who		TEXT NOT NULL,
	reason		TEXT,
	at		INTEGER NOT NULL
) STRICT;
CREATE TABLE smoke_run (
	id		INTEGER PRIMARY KEY,
	revision_id	INTEGER NOT NULL REFERENCES revision (id),
	at		INTEGER NOT NULL,
	verdict		TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'not_run', 'error')),
	device		TEXT,
	bits_per_byte	REAL,
	prompt_tokens	INTEGER NOT NULL DEFAULT 0,
	tokens_per_s	REAL,
	reasons		TEXT NOT NULL,		-- JSON array of strings
	platform	TEXT,			-- JSON: device, compute capability, driver, CUDA
	report		TEXT			-- JSON, as the child printed it
) STRICT;
CREATE TABLE tag_count (
	tag_id		INTEGER PRIMARY KEY REFERENCES term (id),
	models		INTEGER NOT NULL
) STRICT;
CREATE TABLE term (
	id	INTEGER PRIMARY KEY,
	kind	INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 8),
	name	TEXT NOT NULL,
	UNIQUE (kind, name)
) STRICT;
CREATE TABLE token (
	id		INTEGER PRIMARY KEY,
	name		TEXT NOT NULL UNIQUE,
	hash		BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
	role		INTEGER NOT NULL CHECK (role BETWEEN 1 AND 3),
	created_at	INTEGER NOT NULL,
	expires_at	INTEGER NOT NULL DEFAULT 0,
	revoked_at	INTEGER NOT NULL DEFAULT 0,
	last_used_at	INTEGER NOT NULL DEFAULT 0	-- to the hour
) STRICT;
CREATE TABLE upstream_ref (
	model_id	INTEGER NOT NULL REFERENCES model (id),
	name		TEXT NOT NULL,
	commit_id	BLOB CHECK (length(commit_id) = 20),	-- NULL: it is gone
	seen_at		INTEGER NOT NULL,
	moved_at	INTEGER NOT NULL, is_tag INTEGER NOT NULL DEFAULT 0 CHECK (is_tag IN (0, 1)),
	PRIMARY KEY (model_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX base_model_repo ON base_model (repo);
CREATE UNIQUE INDEX blob_sha256 ON blob (sha256);
CREATE INDEX decision_revision ON decision (revision_id, run);
CREATE INDEX event_repo ON event (repo, id) WHERE repo <> '';
CREATE INDEX finding_revision ON finding (revision_id);
CREATE INDEX hook_delivery_url ON hook_delivery (url, id);
CREATE INDEX job_active ON job (priority DESC, id) WHERE state <= 3;
CREATE UNIQUE INDEX job_same ON job (kind, repo, revision, args) WHERE state IN (1, 3);
CREATE INDEX lifecycle_untold ON lifecycle (sunset_at) WHERE sunset_at > 0 AND ended = 0;
CREATE INDEX lifecycle_withdrawn ON lifecycle (model_id) WHERE withdrawn_at > 0;
CREATE INDEX model_downloads ON model (downloads DESC, id, size_bytes, license_id, task_id);
CREATE INDEX model_license ON model (license_id, downloads DESC, id, size_bytes);
CREATE INDEX model_modified ON model (modified_at DESC);
CREATE UNIQUE INDEX model_name ON model (name);
CREATE INDEX model_sunset ON model (sunset_at) WHERE sunset_at > 0;
CREATE INDEX model_tag_model ON model_tag (model_id);
CREATE INDEX revision_unsettled ON revision (state, model_id) WHERE state <> 7;
CREATE INDEX smoke_run_revision ON smoke_run (revision_id, id);
