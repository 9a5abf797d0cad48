"""The files of the cache: feature tables, prompt tables, runs, predictions. Nothing else knows HDF5."""
