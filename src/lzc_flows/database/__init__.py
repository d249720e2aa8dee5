"""Stores, candidate summaries, queries and the embedded server."""
