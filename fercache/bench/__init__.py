"""How fast this machine extracts and trains."""
