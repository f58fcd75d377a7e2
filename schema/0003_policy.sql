-- The policies that were in force, each written out with every default, so that the decisions of any day can be made again. The newest row is the
-- one in force. applied: what it changes for the revisions settled before it has been worked through.
CREATE TABLE policy (
	id		INTEGER PRIMARY KEY,
	at		INTEGER NOT NULL,
	who		TEXT NOT NULL,		-- "settings", or the name of the person's token who put it in force
	sha256		BLOB NOT NULL CHECK (length(sha256) = 32),	-- of body
	body		TEXT NOT NULL,
	applied		INTEGER NOT NULL CHECK (applied IN (0, 1))
) STRICT;
