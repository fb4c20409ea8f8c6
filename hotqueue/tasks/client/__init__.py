"""Sends tasks and waits for them. Knows nothing of what runs them."""
