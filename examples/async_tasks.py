"""``async def`` tasks, sent and awaited by an async program. Run it with ``python async_tasks.py``.

The two handlers are what a web application would have. With FastAPI installed they are routes of `app` as well, which
``uvicorn async_tasks:app`` serves.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from hotqueue import HotQueue

queue = HotQueue("async-tasks")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task
async def greet(name: str) -> str:
    """Wait, as for some other service, and greet. A hundred of these run at a time in one worker process."""
    await asyncio.sleep(0.2)
    return f"hello, {name}"


async def create_greeting(name: str) -> dict[str, str]:
    """POST /greetings: accept the work and answer at once."""
    result = await greet.adelay(name)
    return {"id": result.id}


async def read_greeting(task_id: str) -> dict[str, Any]:
    """GET /greetings/{task_id}: wait a little for the answer; the event loop serves others meanwhile."""
    result = queue.result(task_id)
    try:
        return {"id": task_id, "greeting": await result.aget(timeout=30)}
    except TimeoutError:
        return {"id": task_id, "greeting": None}


try:
    from fastapi import FastAPI
except ImportError:
    app = None
else:
    app = FastAPI()
    app.post("/greetings")(create_greeting)
    app.get("/greetings/{task_id}")(read_greeting)


async def main() -> None:
    """Act as 50 users at once."""
    created = await asyncio.gather(*(create_greeting(f"user {n}") for n in range(50)))
    answers = await asyncio.gather(*(read_greeting(each["id"]) for each in created))
    print(answers[0]["greeting"], "…", answers[-1]["greeting"])
    print(len({each["greeting"] for each in answers}), "greetings")


if __name__ == "__main__":
    with subprocess.Popen([WORKER, "async_tasks", "--quiet", "-p", "1"], cwd=HERE) as worker:
        try:
            asyncio.run(main())
        finally:
            worker.terminate()
