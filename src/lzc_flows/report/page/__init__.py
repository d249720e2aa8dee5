"""The report of a campaign: one HTML file that needs no network."""
