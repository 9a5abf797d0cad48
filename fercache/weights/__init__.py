"""Files of weights -> state dicts and networks."""
