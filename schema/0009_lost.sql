-- Contents that were in the store and are not any more: damaged, or gone. What is not here yet, or was freed, has no row, so that a loss can be told from it.
-- The row goes when the content is stored again.
CREATE TABLE lost (
	blob_id		INTEGER PRIMARY KEY REFERENCES blob (id),
	at		INTEGER NOT NULL,
	reason		TEXT NOT NULL
) STRICT;
