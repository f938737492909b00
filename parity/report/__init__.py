"""The command: how it runs the properties, and what it tells of them."""
