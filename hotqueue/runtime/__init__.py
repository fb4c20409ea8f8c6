"""What Python and the operating system do around us: how a program ends, what may block, what runs beside.

Knows no queue, no store and no task. Uses nothing of hotqueue, and its files do not use one another.
"""
