"""The last moments of a program: a first call from `atexit`, or from a thread that outlives the main one.

The kind: whatever is imported, started or looked up late. Each call of a program, first of its process, where Python starts
no threads for work any more and refuses to import what would; hotqueue itself imported as late as that; each kind of
store, the embedded server started then; `weakref.finalize`, `__del__`, a child of multiprocessing, a signal handler.
Where Python leaves no way (3.12 starts no thread at all) there is a clear error. Nothing hangs.
"""

from __future__ import annotations

import sys
from textwrap import dedent, indent

import pytest

from tests.support.processes import run_python

CALLS = {
    "put": "queue.put(1)\nprint(queue.get())",
    "aput": """
        import asyncio
        async def main():
            await queue.aput(1)
            return await queue.aget(block=True, timeout=1)
        print(asyncio.run(main()))
    """,
    "delay": """
        @queue.task(name="t")
        def task(): pass
        result = task.delay()
        print(1 if result.state == "PENDING" else result.state)
        assert result.revoke() == "revoked"
    """,
    "submit": """
        result = queue.submit(lambda x: x + offset, 1)
        print(1 if result.state == "PENDING" else result.state)
        result.revoke()
    """,
    "get": """
        from hotqueue import ResultTimeout
        result = queue.submit(lambda: offset)
        try:
            result.get(timeout=0.05)
        except ResultTimeout:
            print(1)
        result.revoke()
    """,
    "aget": """
        import asyncio
        from hotqueue import ResultTimeout
        async def main():
            result = queue.submit(lambda: offset)
            try:
                await result.aget(timeout=0.05)
            except ResultTimeout:
                print(1)
            result.revoke()
        asyncio.run(main())
    """,
    "consume": "queue.put(1)\nfor message in queue.consume(timeout=0.01): print(message)",
}
WHEN = {
    "atexit": "import atexit; atexit.register(late)",
    "thread": """
        import threading
        def outlive():
            threading.main_thread().join()
            late()
        threading.Thread(target=outlive).start()
    """,
}


def program(when: str, call: str, *, early: bool = True) -> str:
    """Return a program that makes a call late; `early`: it has imported hotqueue, and made the queue, before."""
    made = "from hotqueue import HotQueue\nqueue = HotQueue(sys.argv[2], url=sys.argv[1])\noffset = 1\n"
    body = ("" if early else "global queue, offset\n" + made) + dedent(call)
    return "import sys\n" + (made if early else "") + f"def late():\n{indent(body, '    ')}\n{dedent(WHEN.get(when, when))}"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("when", WHEN)
def test_a_call_may_be_the_first_and_come_last(when: str, call: str, store_url: str, queue_name: str) -> None:
    done = run_python(program(when, CALLS[call]), store_url.replace("127.0.0.1", "localhost"), queue_name)
    assert (done.stdout.split(), done.stderr) == (["1"], "")


@pytest.mark.parametrize("call", ["put", "aput", "submit", "consume"])
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.servers("embedded")
def test_hotqueue_itself_may_be_imported_then(when: str, call: str, store_url: str, queue_name: str) -> None:
    done = run_python(program(when, CALLS[call], early=False), store_url, queue_name)
    assert (done.stdout.split(), done.stderr) == (["1"], "")


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.servers("embedded")
def test_what_needs_a_thread_works_or_says_so(when: str, store_url: str, queue_name: str) -> None:
    call = """
        result = queue.submit(lambda: offset)
        try:
            result.as_future()
            print("works")
        except RuntimeError as error:
            print(error)
        result.revoke()
    """
    said = run_python(program(when, call), store_url, queue_name).stdout.strip()
    refused = "the program ends, and no thread can be had that waits for results: use result.get(timeout=…) there"
    assert said in (("works",) if sys.version_info < (3, 12) else ("works", refused))


@pytest.mark.servers("embedded")
def test_a_finalizer_may_put(store_url: str, queue_name: str) -> None:
    when = """
        import weakref
        class Thing: pass
        thing = Thing()
        weakref.finalize(thing, late)
    """
    assert run_python(program(when, CALLS["put"]), store_url, queue_name).stdout.split() == ["1"]


@pytest.mark.parametrize("call", ["queue.put(1)", "queue.submit(len, 'x')", "asyncio.run(queue.aput(1))"])
@pytest.mark.servers("embedded")
def test_a_del_at_the_very_end_puts_or_says_that_it_is_too_late(call: str, store_url: str, queue_name: str) -> None:
    code = f"""
    import asyncio, sys
    from hotqueue import HotQueue
    class Thing:
        def __init__(self):
            self.queue, self.asyncio = HotQueue(sys.argv[2], url=sys.argv[1]), asyncio
        def __del__(self):
            queue, asyncio = self.queue, self.asyncio
            {call}
    thing = Thing()
    """
    done = run_python(dedent(code), store_url, queue_name, timeout=20)
    assert done.returncode == 0
    assert not done.stderr or "shutting down" in done.stderr or "shutdown" in done.stderr, done.stderr


@pytest.mark.servers("embedded")
def test_a_child_of_multiprocessing_may_put_as_it_ends(store_url: str, queue_name: str) -> None:
    code = """
    import multiprocessing, sys
    from multiprocessing.util import Finalize
    from hotqueue import HotQueue
    queue = HotQueue(sys.argv[2], url=sys.argv[1])
    def child():
        Finalize(None, queue.put, args=(1,), exitpriority=1)
    if __name__ == "__main__":
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        print(process.exitcode, queue.get())
    """
    assert run_python(dedent(code), store_url, queue_name).stdout.split() == ["0", "1"]


@pytest.mark.servers("embedded")
def test_a_signal_handler_may_put_in_the_middle_of_a_put(store_url: str, queue_name: str) -> None:
    code = """
    import os, signal, sys, threading
    from hotqueue import HotQueue
    queue = HotQueue(sys.argv[2], url=sys.argv[1])
    queue.put("first")
    assert queue.get() == "first"
    def alarm(*_):
        queue.put("signal")
        signal.setitimer(signal.ITIMER_REAL, 0.001)  # only now: a put may take longer than that, and they would pile up
    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    for n in range(500):
        queue.put(n)
    signal.setitimer(signal.ITIMER_REAL, 0)
    found = [queue.get() for _ in range(len(queue))]
    assert [message for message in found if message != "signal"] == list(range(500))
    print(found.count("signal") > 0)
    """
    assert run_python(dedent(code), store_url, queue_name, timeout=20).stdout.strip() == "True"
