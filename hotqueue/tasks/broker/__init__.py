"""A queue of tasks in the store: an operation a method, a script an operation.

The only room of tasks/ that sends commands. When anything is done, and by whom, is not decided here. It may use wire/ and rules/,
and store/ beneath them.

A new operation: its script in lua/, its keys in script_keys.py, a line in scripts.py, and a method where it belongs: session.py
(what a worker does), broker.py (what anyone does), maintenance.py (upkeep), inspector.py (looking), revoking.py (ending what
waits); many_queues.py for several queues in a trip.
"""
