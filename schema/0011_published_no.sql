-- In what order the revisions of a model were published first. A date does not tell: the machine's clock may have been wrong for a while. What was published
-- before this column was there has 0, and its dates order it.
ALTER TABLE revision ADD COLUMN published_no INTEGER NOT NULL DEFAULT 0;
