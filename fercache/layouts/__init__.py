"""File layouts of datasets: class folders, lists, pixels in rows of a CSV file, tar shards. Knows no dataset."""
