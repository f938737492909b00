"""How good drawn items are: arrays of features in, figures out.

Host code in float64, for both sides: what computes features on a device is written twice, and what
is done with them once, here.
"""

LEAST = 16
"""Items on either side below which nothing can be said."""
