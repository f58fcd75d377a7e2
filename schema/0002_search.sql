-- Derived: substring search over names, a trigram index beside the rows. model.c adds a name when it adds a model; names do not change
-- afterwards (another spelling upstream becomes an alias). No triggers: with trusted_schema off they may not write to a virtual table.
CREATE VIRTUAL TABLE model_search USING fts5 (name, content = 'model', content_rowid = 'id', tokenize = 'trigram');
INSERT INTO model_search (model_search) VALUES ('rebuild');
