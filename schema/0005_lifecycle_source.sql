-- Who speaks of an end is part of a mark's key, so that a rule's mark, a failed test and a person's word stand beside each other. What holds for a
-- revision is made of all its rows and its model's (lifecycle_at).
DROP INDEX lifecycle_sunset;
DROP INDEX lifecycle_successor;
ALTER TABLE lifecycle RENAME TO lifecycle_before;
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
-- A row of a person's that says nothing more and has no reason was a deprecation taken back, perhaps a rule's: no rule ends that by surprise.
INSERT INTO lifecycle (model_id, revision_id, source, deprecated_at, sunset_at, successor, reason, retired_at, withdrawn_at, legal, off_reason, exempt, who, at)
	SELECT model_id, revision_id, CASE WHEN who IN ('policy', 'smoke', 'licence') AND retired_at = 0 AND withdrawn_at = 0 THEN who ELSE 'person' END,
		deprecated_at, sunset_at, successor, CASE WHEN deprecated_at > 0 THEN reason END, retired_at, withdrawn_at, legal,
		CASE WHEN retired_at > 0 OR withdrawn_at > 0 THEN reason END, CASE WHEN deprecated_at = 0 AND retired_at = 0 AND withdrawn_at = 0 THEN 1 ELSE 0 END, who, at
	FROM lifecycle_before
	WHERE deprecated_at > 0 OR retired_at > 0 OR withdrawn_at > 0 OR (reason IS NULL AND who NOT IN ('policy', 'smoke', 'licence'));
DROP TABLE lifecycle_before;
CREATE INDEX lifecycle_untold ON lifecycle (sunset_at) WHERE sunset_at > 0 AND ended = 0;
