"""What evaluation asks of a device; what is done with it is in ``reference/evaluation``."""

NETWORK = "efficientnet-lite0"
INCEPTION = "inception"
WEIGHTS = {NETWORK: "efficientnet_weights", INCEPTION: "inception_weights"}
"""Networks whose features items can be compared by, and the options that name their weights."""

FEATURES = ("auto", "pixels", "pca", *WEIGHTS)
"""What items can be compared by; auto: pixels of tiny ones, else principal components."""

FID = "FID (Inception v3, 2015-12-05)"
"""What the Fréchet distance is called between features of INCEPTION, and of no other."""
