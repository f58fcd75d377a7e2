-- Webhooks: how far each address has been told of events, and what came of it. Addresses come from registryd.yaml.
CREATE TABLE hook (
	url		TEXT PRIMARY KEY,
	event_id	INTEGER NOT NULL,		-- the last event that was delivered, given up, or not asked for
	attempts	INTEGER NOT NULL DEFAULT 0,	-- of the event after it
	next_at		INTEGER NOT NULL DEFAULT 0	-- not before
) STRICT, WITHOUT ROWID;

-- Every attempt, the newest few thousand. status: of HTTP, 0 when no answer came.
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
CREATE INDEX hook_delivery_url ON hook_delivery (url, id);
