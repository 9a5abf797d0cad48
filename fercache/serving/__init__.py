"""From a photograph to expressions: in Python, and over HTTP."""
