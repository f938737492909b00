"""Do pictures show what was asked for? Judges for the texts of the package's data.

They know real pictures alone, and nothing of what draws.
"""

OBEYS = "obeys_"
"""Begins the names of the shares that they read, in evaluations.jsonl."""
