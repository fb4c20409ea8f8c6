"""``make soak``: a worker runs every kind of ordinary and not so ordinary task for an hour, and has to stay as it was."""
