"""Everything, against everyone: the table of docs/performance.md. Takes about an hour for three rounds.

python bench/suite.py [--rounds 3] [--only drain,latency] [--contenders hotqueue,celery,…] [--servers redis-server]
"""

from bench import measures, run

FIELD = ("hotqueue", "huey", "dramatiq", "celery", "rq", "taskiq", "arq", "saq", "streaq", "floor")

if __name__ == "__main__":
    run.main("suite", measures.EVERYTHING, FIELD, ("redis-server",))
