"""The live page: campaigns as they stand, read from the database and never written to it."""
