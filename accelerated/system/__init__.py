"""The machine: devices, processes, signals, the terminal, files, and compiled graphs."""
