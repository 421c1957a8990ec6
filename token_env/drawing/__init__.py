"""Draw episodes as text, as pictures and as animations."""
