"""Copying queues between files and servers."""
