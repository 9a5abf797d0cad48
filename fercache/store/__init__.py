"""The files of the cache: feature tables, prompt tables, runs, predictions. No other package uses HDF5."""
