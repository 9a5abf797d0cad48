"""What can be wrong with sets before anything is trained: leaks, labels in another order, labels that nobody believes.

Audits look at feature tables only; they decode no picture.
"""
