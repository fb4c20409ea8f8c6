"""Keeps workers going and queues in order.

Starts, replaces and ends processes, renews leases, puts back what the dead held. It runs no user code, and imports none. It may
use all other rooms of tasks/ but methods and testing/, and what is beneath them.
"""
