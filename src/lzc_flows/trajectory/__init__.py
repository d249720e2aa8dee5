"""Trajectories: what molecular dynamics leaves, streamed to disk and read back."""
