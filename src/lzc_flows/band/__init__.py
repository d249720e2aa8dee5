"""Nudged elastic bands on arrays: paths, forces, optimisers, profiles."""
