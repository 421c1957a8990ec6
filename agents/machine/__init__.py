"""Ask the operating system and torch about devices, memory, processes, signals and random states."""
