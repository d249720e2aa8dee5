"""Criteria, normalisation and scores: functions from a table to a table."""
