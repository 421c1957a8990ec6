"""Define languages: synthetic, fitted to a text, and bundled English."""
