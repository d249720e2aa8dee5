"""The pydantic documents: the words that jobs, database and report share."""
