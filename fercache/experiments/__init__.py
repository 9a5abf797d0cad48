"""Experiments: TOML files of many trainings, run as steps that are done, stale or missing."""
