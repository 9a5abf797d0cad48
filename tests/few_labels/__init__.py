"""Simulations of estimates from few labels, on domains whose labels are known."""
