"""How soon: round trips to an idle worker; and what that worker takes in memory, CPU and requests while nothing comes.

python bench/latency.py [--rounds 3] [--contenders hotqueue,huey,floor] [--servers redis-server,embedded]
"""

from bench import measures, run

if __name__ == "__main__":
    run.main("latency", measures.LATENCY, ("hotqueue", "huey", "floor"))
