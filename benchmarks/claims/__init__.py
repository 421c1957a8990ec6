"""Judge each claim of the report by a rule over measured runs."""
