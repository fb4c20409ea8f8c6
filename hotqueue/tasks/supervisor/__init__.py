"""Keeps workers going: starts, watches and replaces them, and does the upkeep of their queues."""
