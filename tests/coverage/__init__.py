"""How often intervals hold the truth, which is known where faces are drawn at random."""
