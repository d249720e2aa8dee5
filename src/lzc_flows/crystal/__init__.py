"""Hosts, dopings, orderings and costs: crystals before any calculation."""
