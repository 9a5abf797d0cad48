"""From images and videos to expressions: one path for the command line, Python and HTTP."""
