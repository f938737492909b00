"""How large an error may be, and what a failure comes down to."""
