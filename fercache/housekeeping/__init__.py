"""Looking after the cache: what is in it and how large it is, removing what is not needed, and archives to share."""
