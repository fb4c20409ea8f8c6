"""Runs the user's code: a call under its time limits, on a thread or on the event loop, and what it leaves behind.

Here nothing is written, nothing is settled and no server is known; what is made of an outcome is decided elsewhere. May use
tasks/context, wire/ and rules/, and what is below tasks/.
"""
