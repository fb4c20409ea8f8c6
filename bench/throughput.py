"""How fast: enqueueing one call at a time and in bulk, and draining 20,000 no-op tasks with results by one process.

python bench/throughput.py [--rounds 3] [--contenders hotqueue,huey,floor] [--servers redis-server,embedded]
"""

from bench import measures, run

if __name__ == "__main__":
    run.main("throughput", measures.THROUGHPUT, ("hotqueue", "huey", "floor"))
