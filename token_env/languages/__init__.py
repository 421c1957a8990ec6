"""Define languages: synthetic, fitted from text, bundled English."""
