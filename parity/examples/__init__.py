"""What the properties are tried on: fixed examples and drawn ones."""
