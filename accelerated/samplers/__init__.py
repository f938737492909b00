"""Samplers as plans: each is a table, and one compiled step applies them all."""
