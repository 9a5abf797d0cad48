"""How data sets lie on disk: class folders, lists, pixels in rows of a CSV file, tar shards. Knows no data set."""
