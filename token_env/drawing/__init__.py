"""Draw episodes as text and as pictures."""
