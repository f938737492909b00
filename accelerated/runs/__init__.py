"""What is on disk: the folder of a run, and folders of drawn pictures."""
