"""Experiments: TOML files of many trainings, as steps that are done, stale or missing."""
