-- A ref that upstream calls a tag is one here too: clients list branches and tags apart.
ALTER TABLE upstream_ref ADD COLUMN is_tag INTEGER NOT NULL DEFAULT 0 CHECK (is_tag IN (0, 1));
