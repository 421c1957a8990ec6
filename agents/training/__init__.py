"""Train one run: build it, let it learn, guard, record, checkpoint, validate, resume, finish."""
