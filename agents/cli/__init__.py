"""Share what command lines have in common: arguments, exit codes, output paths, printing."""
