"""What evaluation asks of a device; what is done with it is in ``reference/evaluation``."""
