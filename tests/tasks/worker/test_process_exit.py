"""What a worker process runs at its end: what was registered in it, as Python does; whole workers are in tests/cli."""

from __future__ import annotations

from textwrap import dedent

from tests.support.processes import run_python


def ends(code: str) -> tuple[list[str], str]:
    """Return what a process said in the last line of its code and after, one that leaves as a worker process does."""
    head = """
    import atexit, os, sys, threading, time, weakref
    from hotqueue.tasks.worker import process_exit
    class Thing: pass
    thing = Thing()
    """
    done = run_python(dedent(head) + dedent(code) + "\nprocess_exit.run()\nsys.stdout.flush()\nos._exit(0)\n")
    return done.stdout.split(), done.stderr


def test_what_was_registered_last_runs_first() -> None:
    said, _ = ends("""
    for name in "abc":
        atexit.register(print, name)
    """)
    assert said == ["c", "b", "a"]


def test_what_was_registered_before_the_fork_is_the_parents() -> None:
    said, _ = ends("""
    atexit.register(print, "inherited")
    weakref.finalize(thing, print, "inherited-too")
    process_exit.forget_inherited()
    other = Thing()
    weakref.finalize(other, print, "finalized")
    atexit.register(print, "ours")
    """)
    assert sorted(said) == ["finalized", "ours"]


def test_what_raises_is_logged_and_the_rest_runs() -> None:
    said, errors = ends("""
    def broken():
        raise OSError("the disk is gone")
    atexit.register(print, "first")
    atexit.register(broken)
    atexit.register(print, "last")
    """)
    assert said == ["last", "first"]
    assert "broken" in errors
    assert "which was to run at the exit of a process, failed" in errors
    assert "the disk is gone" in errors


def test_threads_are_waited_for_before_anything_runs() -> None:
    said, _ = ends("""
    begun = threading.Event()
    def run():
        begun.set()
        main.join(0.2)  # which does not end before we do
        print("thread")
    main = threading.current_thread()
    atexit.register(print, "exit")
    threading.Thread(target=run).start()
    begun.wait()
    """)
    assert said == ["thread", "exit"]
