"""Text as numbers: host code, which both sides use."""
