"""The commands: hotqueue, hotqueue-worker, hotwatch. The only room that prints and exits.

Decides nothing about tasks, and sends no command to a store itself. May use every other room; nothing uses it. What is heavy
is imported inside of functions, so that --help and shell completion are quick.
"""
