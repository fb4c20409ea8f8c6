"""The chaos run: producers, workers and servers as processes, faults on a seeded schedule, and an account of every task."""
