"""Networks, and the layers that they are made of, as functions of their parameters."""
