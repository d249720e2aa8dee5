"""Ion transport as physics on arrays."""
