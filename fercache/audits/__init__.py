"""Problems of datasets, found before training: leaks, labels in another order, implausible labels.

Audits read feature tables only; they decode no images.
"""
