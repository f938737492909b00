"""What each command does, and what it can be told."""
