"""The stages: each a function from settings and a typed request to the files that it wrote."""
