"""A page on this machine for those who do not type commands."""
