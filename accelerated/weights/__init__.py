"""Other people's weights: reading them, and turning them into a run and back."""
