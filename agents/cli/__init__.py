"""Serve all commands: arguments, exit codes, output paths, printing."""
