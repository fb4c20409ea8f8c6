"""The floor: what redis-py and Redis take for the same scripts with the same bytes, with nothing around them.

`record` runs one task through hotqueue and keeps the commands that it sent. The producer and the worker here send those
again, with other ids in them, through a plain redis.Redis: no encoding, no limits, no threads, nothing decided.
"""

import json
import os
import sys

import redis.asyncio

from bench import bodies, wire
from bench.contenders import chunks

NAME = "floor"
REQUIREMENTS = ("redis==8.1.0", "hiredis==3.5.0", "uvloop==0.23.0", "cloudpickle==3.1.3", "--editable", "ROOT")
ENVIRONMENT = "hotqueue"
VERSIONS = ("redis", "hiredis")
WORKERS = {
    "one": "python -m bench.contenders.floor work",
    "two": "2x python -m bench.contenders.floor work",
}

LACKS = ("spin1", "spin10", "payload")  # it decodes no arguments, so it cannot run these

TAPE = os.environ["BENCH_TAPE"]
BATCH = 256  # tasks in a trip, as many as a hotqueue worker takes at most
BULK = 1000  # tasks in a bulk call
FETCH, ROOM = 1, 2  # where step.lua takes the number of a fetch and the most it may bring
RUNS, FIELD, TEXT = 8, 1, 4  # where runs begin, and in one of them: the record that its tasks are held in, and their ids
RECORD = 100  # tasks in such a record
IDS = 9  # where its answer has the ids that it brings


def record() -> None:
    """Run one task through hotqueue, and write down what was sent."""
    with wire.relay(os.environ["BENCH_URL"]) as (url, streams):
        os.environ["BENCH_URL"] = url
        from bench.contenders import hotqueue_

        single = hotqueue_.send("noop", 12345)
        hotqueue_.queue.run_worker(burst=True)
        hotqueue_.wait(single)
        of_many = hotqueue_.TASKS["noop"].map([12345, 12346])[0]
        hotqueue_.queue.close()
        sent = [command for stream in streams for command in wire.commands(bytes(stream))]
    with open(TAPE, "w") as file:
        json.dump(_tape(sent, single.id, of_many.id), file)


def _tape(sent, single, of_many):
    from hotqueue.tasks.broker import scripts

    calls = [call for call in sent if call[0] == b"EVALSHA"]

    def about(needle, *shas):
        """The calls in which something occurs, of these scripts; the longest one."""
        found = [call for call in calls if needle.encode() in b" ".join(call) and (not shas or call[1] in shas)]
        return max(found, key=len)

    known = {scripts.STEP.sha, scripts.WAIT.sha, scripts.REGISTER.sha}
    enqueuing = {call[1] for call in calls} - known
    tape = {
        "one": _noted(about(single, *enqueuing), single),
        "bulk": _of_one(_noted(about(of_many, *enqueuing), of_many)),
        "wait": _noted(about(single, scripts.WAIT.sha), single),
        "step": _noted(about(single, scripts.STEP.sha), single),  # the one that tells its outcome
    }
    worker = tape["step"]["args"][0]  # of the workers that came, the one that did the step
    return {**tape, "register": _noted(about(worker, scripts.REGISTER.sha), single)}


def _noted(call, task_id):
    from hotqueue.tasks.broker import scripts

    text = next(each.text for each in vars(scripts).values() if getattr(each, "sha", None) == call[1])
    keys, args = call[3 : 3 + int(call[2])], call[3 + int(call[2]) :]
    return {"id": task_id, "text": _text(text), "keys": [*map(_text, keys)], "args": [*map(_text, args)]}


def _of_one(noted):
    """Of a call with two tasks, leave the first one."""
    text = noted["id"] + "\n"
    args = [text if part.startswith(text) else part for part in noted["args"]]
    return {**noted, "args": args[:-1]}


def _text(data):
    return data.decode("latin-1")


class Call:
    """A recorded script call of one task, to be sent again with other ids.

    Its keys and arguments are those that all tasks share, and then, from the first with an id in it, those of each task. The ids
    themselves may be one text, each with a newline behind it.
    """

    def __init__(self, client, tape, name, before="", after=""):
        def parts(which):
            return [part.replace(before, after).encode("latin-1") for part in tape[name][which]]

        self.client = client
        self.was = tape[name]["id"].encode()
        self.sha = client.script_load(tape[name]["text"].encode("latin-1"))
        self.keys, self.each_keys = self._split(parts("keys"))
        self.args, self.each_args = self._split(parts("args"))

    def _split(self, parts):
        text = self.was + b"\n"
        first = next((n for n, part in enumerate(parts) if self.was in part and part != text), len(parts))
        return parts[:first], parts[first:]

    def of(self, parts, ids):
        """Return the parts of each id."""
        was = self.was
        return [part.replace(was, new) for new in ids for part in parts]

    def command(self, ids):
        keys, text = self.keys + self.of(self.each_keys, ids), self.was + b"\n"
        args = [b"\n".join(ids) + b"\n" if part == text else part for part in self.args]
        return ["EVALSHA", self.sha, len(keys), *keys, *args, *self.of(self.each_args, ids)]

    def send(self, ids):
        return self.client.execute_command(*self.command(ids))


def _opened():
    with open(TAPE) as file:
        return redis.Redis.from_url(os.environ["BENCH_URL"]), json.load(file)


class Producer:
    """Sends and waits."""

    def __init__(self):
        self.client, tape = _opened()
        self.aclient = None
        self.one = Call(self.client, tape, "one")
        self.bulk = Call(self.client, tape, "bulk")
        self.ask = Call(self.client, tape, "wait")
        self.reply = next(key for key in self.ask.keys if b":reply:" in key)

    def send(self, n):
        self.one.send([b"%032x" % n])
        return n

    def send_many(self, numbers):
        for few in chunks(numbers, BULK):
            self.bulk.send([b"%032x" % n for n in few])

    async def asend(self, n):
        self.aclient = self.aclient or redis.asyncio.Redis.from_url(os.environ["BENCH_URL"])
        await self.aclient.execute_command(*self.one.command([b"%032x" % n]))

    def wait(self, n):
        both = self.client.pipeline(transaction=False)
        both.execute_command(*self.ask.command([b"%032x" % n]))
        both.blpop([self.reply], 10)
        _, message = both.execute()[1]
        return int(message[1:33], 16)


def work() -> None:
    """Finish and fetch, for ever, from one connection."""
    client, tape = _opened()
    worker = tape["step"]["args"][0]
    renamed = f"{os.getpid():0{len(worker)}}"  # as long, so that the bytes are as many
    Call(client, tape, "register", worker, renamed).send([])
    step = Call(client, tape, "step", worker, renamed)
    bell = next(key for key in step.keys if key.endswith(b":bell"))
    head, run = step.args[:RUNS], step.args[RUNS : RUNS + TEXT]
    blob = step.args[RUNS + TEXT + 1]
    number, done = 0, []
    while True:
        number += 1
        head[FETCH], head[ROOM] = number, BATCH
        args = list(head)
        for at in range(0, len(done), RECORD):
            some = done[at : at + RECORD]
            run[FIELD] = b"%d" % (number - 1) + (b":%d" % (at // RECORD) if at else b"")
            args += [*run, b"\n".join(some) + b"\n", *[blob] * len(some)]
        reply = client.execute_command("EVALSHA", step.sha, len(step.keys), *step.keys, *args)
        done = reply[IDS].split(b"\n")[:-1] if len(reply) > IDS else []
        for task_id in done:
            bodies.noop(int(task_id, 16))
        if not done:
            client.blpop([bell], 1)


_producer = None


def _sender():
    global _producer
    _producer = _producer or Producer()
    return _producer


def send(_task, n):
    """Enqueue one call."""
    return _sender().send(n)


def send_many(_task, numbers):
    """Enqueue many calls."""
    _sender().send_many(numbers)


async def asend(_task, n):
    """Enqueue one call from an event loop."""
    await _sender().asend(n)


def wait(n):
    """Return the value of a call."""
    return _sender().wait(n)


if __name__ == "__main__":
    record() if sys.argv[1] == "record" else work()
