"""The `lzc` command, one file per group."""
