"""Molecular dynamics on arrays: integrators, thermostats, temperature schedules."""
