"""Everything, against everyone; with --quick the main figures beside the two fastest peers, in less than four minutes.

python bench/suite.py [--rounds 3] [--only drain,latency] [--contenders hotqueue,celery,…] [--servers redis-server]
"""

import sys

from bench import measures, run

FIELD = ("hotqueue", "huey", "dramatiq", "celery", "rq", "taskiq", "arq", "saq", "streaq", "floor")
FASTEST = ("hotqueue", "huey", "dramatiq", "floor")

if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv.remove("--quick")
        sys.argv[1:1] = ["--limit", "210"]
        run.main("quick", measures.QUICK, FASTEST, ("redis-server",))
    else:
        run.main("suite", measures.EVERYTHING, FIELD, ("redis-server",))
