-- The list of files in a job's result, where it has one: a JSON array, which may name 100,000. It is kept beside the row, so that looking at jobs
-- does not read it.
CREATE TABLE job_files (
	job_id		INTEGER PRIMARY KEY REFERENCES job (id),
	body		BLOB NOT NULL
) STRICT;
