"""From face images to a feature table: list, hash, decode, encode in batches, write in shards, assemble."""
