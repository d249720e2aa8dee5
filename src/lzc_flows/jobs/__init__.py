"""jobflow Makers, one file each."""
