"""Define the settings of a run; merge them from presets, files and `--set`."""
