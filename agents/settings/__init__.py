"""Define the settings of a run, and merge them from presets, files and `--set`."""
