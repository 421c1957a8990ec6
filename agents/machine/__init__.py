"""Query the operating system and torch: devices, memory, processes, signals, random states."""
