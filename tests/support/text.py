"""A short text to fit a language from."""

TEXT = """
The cat sat on the mat and the dog sat on the log. The dog saw the cat, and the cat saw the dog.
A cat on a mat is a happy cat; a dog on a log is a happy dog. Happy dogs and happy cats sat and saw the sun.
"""
