"""Facts about a store, for commands, screens and metrics alike: which queues there are, and what waits in each.

Reads only, prints nothing, and knows no option of a command. Uses `store` and `tasks/broker`.
"""
