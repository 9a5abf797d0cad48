"""What stages read: tables, sources, targets and runs of the cache."""
