"""What is decided about tasks: which options there are, whether one is tried again, what becomes of it.

Pure: no store, no clock, no randomness but what is given, so that all of it can be tried in a table. It uses no other room of
tasks/, and nothing of hotqueue but errors, hints and keys.
"""
