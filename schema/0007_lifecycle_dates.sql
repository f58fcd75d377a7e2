-- What is copied from marks into the row of a model, as they count together since 0005: the earliest dates, of the shown revision and of the model.
UPDATE model SET
	deprecated_at = coalesce((SELECT min(l.deprecated_at) FROM lifecycle AS l WHERE l.model_id = model.id AND l.revision_id IN (0, model.revision_id) AND l.deprecated_at > 0), 0),
	sunset_at = coalesce((SELECT min(l.sunset_at) FROM lifecycle AS l WHERE l.model_id = model.id AND l.revision_id IN (0, model.revision_id) AND l.sunset_at > 0), 0)
WHERE id IN (SELECT model_id FROM lifecycle);
