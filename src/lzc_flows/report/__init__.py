"""Figures and pages from tables and documents."""
