"""High-throughput screening of doped Li2ZrCl6 halide electrolytes."""

__version__ = "0.1.0"
