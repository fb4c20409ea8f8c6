"""Runs the user's code. Writes nothing, knows no broker."""
