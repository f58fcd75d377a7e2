-- Few are withdrawn, and the gate asks for them whenever something else is to be published.
CREATE INDEX lifecycle_withdrawn ON lifecycle (model_id) WHERE withdrawn_at > 0;
