"""The shapes of the answers, by noun."""
