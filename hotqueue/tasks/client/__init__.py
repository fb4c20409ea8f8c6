"""What sends tasks and waits for their results: in a program, or in a task.

No task is run here, no key of the store is known, and nothing is decided about a task but whether its call is one. It may use
broker/ for whatever the store is asked, wire/ for what travels, rules/, and context.py.
"""
