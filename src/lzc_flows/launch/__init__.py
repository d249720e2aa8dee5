"""FireWorks: submit, work, advance, status."""
