"""Reading the cache for the stages: tables, sources, targets and runs."""
