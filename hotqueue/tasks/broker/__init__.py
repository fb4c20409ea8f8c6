"""A queue of tasks in the store: an operation a method, a script an operation.

The only room of tasks/ that sends commands. When anything is done, and by whom, is not decided here. It may use wire/ and rules/,
and store/ beneath them.
"""
