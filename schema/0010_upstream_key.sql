-- The id that upstream keeps for a repository when that is renamed: what was withdrawn or rejected here under one name is known again under another. It stands
-- with the revision, because a name may be given to another repository later. Of what is here already it is taken from the answers that are kept.
ALTER TABLE revision ADD COLUMN upstream_key TEXT;	-- 24 hex digits; NULL: upstream gives none, or an import
UPDATE revision SET upstream_key = (SELECT lower(substr(CAST(d.body AS TEXT), instr(CAST(d.body AS TEXT), '"_id":"') + 7, 24)) FROM document AS d
	WHERE d.revision_id = revision.id AND d.kind = 1 AND d.name = '' AND instr(CAST(d.body AS TEXT), '"_id":"') > 0);
UPDATE revision SET upstream_key = NULL WHERE length(upstream_key) <> 24 OR upstream_key GLOB '*[^0-9a-f]*' OR upstream_key = '000000000000000000000000';
