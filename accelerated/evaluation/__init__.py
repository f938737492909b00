"""What evaluation asks of a device; what is done with it is in ``reference/evaluation``."""

NETWORK = "efficientnet-lite0"
FEATURES = ("auto", "pixels", "pca", NETWORK)
"""What items can be compared by; auto: pixels of tiny ones, else principal components."""
