"""Makers that join jobs: one candidate, one campaign."""
