"""The process that trains: its loop, and what it sees, notes, saves and draws."""
