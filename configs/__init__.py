"""Presets: settings as YAML files, which `agents.settings.presets` reads."""
