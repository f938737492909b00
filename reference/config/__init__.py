"""What both sides are told: one dataclass an idea."""
