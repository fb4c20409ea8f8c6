"""Everything, against everyone; with --quick the main figures beside the two fastest peers, in less than four minutes.

python -m bench.suite [--rounds 3] [--only drain,latency] [--limit 540] [--again] [--fresh]

What was measured is kept in results/suite.json after every turn; a run that was stopped, or that its limit ended, goes on
where it was when it is started again.
"""

from bench import measures, run
from bench.run import Part

PEERS = ("huey", "dramatiq", "celery", "rq", "taskiq", "arq", "saq", "streaq", "cauli", "ardiq", "taskito")
EVERYONE = ("hotqueue", *PEERS, "floor")
PLAIN = ("hotqueue-plain",)
OURS = ("hotqueue", "floor")
FASTEST = ("hotqueue", "cauli", "ardiq", "floor")

EVERYTHING = [
    Part(measures.enqueue, EVERYONE + PLAIN, embedded=OURS),
    Part(measures.together, EVERYONE + PLAIN),
    Part(measures.bulk, EVERYONE + PLAIN, embedded=OURS),
    Part(measures.drain, EVERYONE + PLAIN, embedded=OURS),
    Part(measures.drain_two, EVERYONE),
    Part(measures.drain_threads, EVERYONE),
    Part(measures.drain_async, EVERYONE + PLAIN),
    Part(measures.latency, EVERYONE + PLAIN, embedded=OURS),
    Part(measures.idle, ("hotqueue", *PEERS, *PLAIN)),
    Part(measures.sleeps, EVERYONE),
    Part(measures.spin1_one, EVERYONE),
    Part(measures.spin1, EVERYONE),
    Part(measures.spin10, EVERYONE),
    Part(measures.payloads, EVERYONE),
    Part(measures.ten, EVERYONE),
    Part(measures.growth, OURS),
]
QUICK = [Part(measure, FASTEST) for measure in (measures.enqueue, measures.bulk, measures.drain, measures.latency)]

if __name__ == "__main__":
    run.main(EVERYTHING, QUICK)
