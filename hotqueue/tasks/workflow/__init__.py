"""Workflows: calls that are put together before they are sent: signatures, chains, groups, chords; what these compile to.

Here is what a program makes and is handed; which step waits for which, and what a failed one means to those behind it, is the
store's affair: broker/, wire/ and lua/. Tasks and handles of the client use this room when somebody asks for a workflow.
"""
