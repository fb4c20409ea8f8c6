"""Copying queues between database files and servers.

Prints nothing; speaks to Redis through `store` and `tasks/broker`, to the servers of files through `embedded`.
"""
