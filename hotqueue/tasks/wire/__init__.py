"""What travels: calls, arguments, functions, results, errors, and what is to be settled of a task.

Formats, there and back, that every version to come must read; the scripts in broker/lua read some of them. Nothing is sent here,
and nothing decided. It may use rules/; the only room of tasks/ that pickles.
"""
