"""What a task raised, as its caller gets it. Of this kind is whatever can go wrong between `raise` there and `except` here:

- what Python takes for a command (SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError, StopIteration, any BaseException
  that is no Exception; alone, in a group, in a chain) must not end or confuse the caller, whichever way it asks;
- classes whose `__init__` takes other arguments than `args` holds, builds the message, refuses, or has side effects; slots;
  `__reduce__`, `__setstate__`, `__setattr__`, `__eq__`, `__str__`, `__init_subclass__`, properties and metaclasses of their own;
  what built-in exceptions keep in C; values that cannot be pickled, or not be loaded, or are huge; locks, sockets;
- causes, contexts, notes, groups; circles and long chains of them;
- a class that the caller does not have; an exception among arguments and results; one that goes through two tasks.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import enum
import gc
import json
import pickle
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest

from hotqueue import HotQueue, RemoteError
from hotqueue.errors import HotQueueError, RemoteTraceback
from hotqueue.tasks import ResultSet
from hotqueue.tasks.wire import exceptions, payload
from tests.support.durations import atake_time
from tests.support.processes import run_python

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")
T = TypeVar("T")


class PaymentError(Exception):
    """The issue's: its `__init__` takes other arguments than it hands on."""

    def __init__(self, code: int, customer: str) -> None:
        super().__init__(f"{code}: {customer}")
        self.code, self.customer = code, customer


class NotFound(Exception):
    """Builds its message from one argument: made again from its args, it would do so twice."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no such thing: {name}")


class Counted(Exception):
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        super().__init__(self.made)


class Keywords(Exception):
    def __init__(self, *, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"because of {self.reason}"


class Picky(Exception):
    """Refuses to be made by hand, as pydantic's do."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Picky:
        raise TypeError("use Picky.make()")

    @classmethod
    def make(cls, text: str) -> Picky:
        made = Exception.__new__(cls, text)
        made.text = text
        return made

    text: str


class Slots(Exception):
    __slots__ = ("__private", "code")

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code, self.__private = code, code + 1

    def __str__(self) -> str:
        return f"{self.code} {self.__private}"


class Reducible(Exception):
    def __init__(self, code: int, *, extra: str) -> None:
        super().__init__(code)
        self.extra = extra
        self.lock = threading.Lock()  # does not travel, and need not: see __reduce__

    def __reduce__(self) -> Any:
        return (_reducible, (self.args[0], self.extra))


def _reducible(code: int, extra: str) -> Reducible:
    return Reducible(code, extra=extra)


class Lying(Exception):
    def __reduce__(self) -> Any:
        return (ValueError, ("somebody else",))


class HalfReduced(Exception):
    """Its own rules make another message."""

    def __init__(self, text: str = "none") -> None:
        super().__init__(f"<{text}>")

    def __reduce__(self) -> Any:
        return (HalfReduced, (self.args[0],))


class HasState(Exception):
    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state, restored=True)


@dataclass
class DataError(Exception):
    code: int
    path: str = "x"


@dataclass(frozen=True)
class FrozenError(Exception):
    code: int


@dataclass(slots=True)
class SlottedDataError(Exception):
    code: int


class Equal(Exception):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compares with nothing")

    __hash__ = None  # type: ignore[assignment]


class Empty(Exception):
    def __len__(self) -> int:
        return 0


class HttpError(OSError):
    def __init__(self, status: int, url: str) -> None:
        super().__init__(status, f"status {status}", url)
        self.status = status


class BothKinds(KeyError, OSError): ...


class Typed(Exception, Generic[T]):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


class Strict(Exception):
    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"cannot set {name}")


class OwnGroup(ExceptionGroup[Exception]):
    def __new__(cls, count: int) -> OwnGroup:
        return super().__new__(cls, f"{count} failures", [ValueError(n) for n in range(count)])


class Color(enum.Enum):
    RED = 1


def _caught(do: Callable[[], Any]) -> BaseException:
    try:
        do()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    def do() -> None:
        raise error from cause

    return _caught(do)


def there_and_back(error: BaseException) -> Any:
    return payload.loads_error(payload.dumps_error(raised(error)))


def _with(error: Any, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


WHOLE: dict[str, Callable[[], BaseException]] = {
    "payment": lambda: PaymentError(7, "ann"),
    "message built": lambda: NotFound("x"),
    "keywords": lambda: Keywords(reason="rain"),
    "picky": lambda: Picky.make("t"),
    "slots": lambda: Slots(4),
    "own reduce": lambda: Reducible(3, extra="e"),
    "lying reduce": lambda: Lying("x"),
    "reduce with another message": lambda: HalfReduced("a"),
    "own setstate": lambda: _with(HasState("a"), more=1),
    "dataclass": lambda: DataError(3),
    "frozen dataclass": lambda: FrozenError(3),
    "dataclass with slots": lambda: SlottedDataError(3),
    "own eq": lambda: Equal("x"),
    "not true": lambda: Empty("x"),
    "OSError with an init": lambda: HttpError(404, "http://x"),
    "two bases": lambda: BothKinds(2, "no"),
    "generic": lambda: Typed[int](1, 2),
    "args set by hand": lambda: _with(ValueError("x"), args=(1, 2)),
    "attributes": lambda: _with(ValueError("x"), code=7),
    "ValueError": lambda: ValueError("a", 1),
    "KeyError": lambda: KeyError("k"),
    "OSError": lambda: OSError(2, "no file", "x"),
    "OSError with two files": lambda: OSError(18, "cross-device", "a", None, "b"),
    "OSError without a number": lambda: OSError("just text"),
    "ConnectionResetError": lambda: ConnectionResetError(104, "reset"),
    "BlockingIOError": lambda: BlockingIOError(11, "would block", 5),
    "UnicodeDecodeError": lambda: _caught(lambda: b"a\xff".decode()),
    "UnicodeEncodeError": lambda: _caught(lambda: "\ud800".encode()),
    "ImportError": lambda: ImportError("no such", name="shop", path="/shop.py"),
    "ModuleNotFoundError": lambda: _caught(lambda: __import__("no.such.module")),
    "AttributeError": lambda: _caught(lambda: threading.Lock().nothing),  # type: ignore[attr-defined]
    "NameError": lambda: NameError("name 'x' is not defined", name="x"),
    "SyntaxError": lambda: _caught(lambda: compile("a b", "f.py", "exec")),
    "JSONDecodeError": lambda: _caught(lambda: json.loads("{")),
    "CalledProcessError": lambda: subprocess.CalledProcessError(1, ["ls"], output=b"o", stderr=b"e"),
    "TimeoutExpired": lambda: subprocess.TimeoutExpired("ls", 1),
    "MemoryError": lambda: MemoryError(),
    "ZeroDivisionError": lambda: _caught(lambda: 1 // 0),
    "an address in its message": lambda: ValueError(object()),
    "group": lambda: ExceptionGroup("many", [PaymentError(1, "a"), ExceptionGroup("more", [OSError(2, "b")])]),
    "own group": lambda: OwnGroup(3),
}
OF_C = ("errno", "strerror", "filename", "filename2", "encoding", "object", "start", "end", "reason", "name", "path", "msg")
OF_C += ("lineno", "offset", "text", "end_lineno", "end_offset", "message", "code", "status", "characters_written")


@pytest.mark.parametrize("name", WHOLE)
def test_an_exception_arrives_as_itself(name: str) -> None:
    error = WHOLE[name]()
    found = there_and_back(error)
    assert type(found) is type(error)
    assert not isinstance(found, RemoteError)
    if name != "an address in its message":
        assert (str(found), repr(found)) == (str(error), repr(error))
    if not isinstance(error, BaseExceptionGroup):
        assert len(found.args) == len(error.args)
    assert {k: v for k, v in vars(error).items() if k != "lock"}.items() <= vars(found).items()
    for field in OF_C:
        assert getattr(found, field, "none") == getattr(error, field, "none"), field


def test_an_init_is_not_called_again() -> None:
    error = Counted()
    found = there_and_back(error)
    assert (found.args, Counted.made) == ((1,), 1)


def test_the_rules_of_a_class_itself_are_kept_where_what_they_make_is_the_same() -> None:
    assert there_and_back(_with(HasState("x"), more=1)).restored
    assert there_and_back(Reducible(1, extra="e")).lock.acquire(blocking=False)


def test_the_object_of_an_attribute_error_stays_where_it_is() -> None:
    class Big:
        held = bytes(5_000_000)

        def __reduce__(self) -> Any:
            raise AssertionError("must not be pickled")

    found = there_and_back(_caught(lambda: Big().nothing))  # type: ignore[attr-defined]
    assert (type(found), found.name, found.obj) == (AttributeError, "nothing", None)


def test_groups_keep_their_members_classes() -> None:
    found = there_and_back(WHOLE["group"]())
    one, two = found.exceptions
    assert (type(one), one.code, type(two.exceptions[0]), two.exceptions[0].errno) == (PaymentError, 1, FileNotFoundError, 2)
    assert [type(e) for e in there_and_back(OwnGroup(2)).exceptions] == [ValueError, ValueError]


# --- commands -----------------------------------------------------------------------------------------------------


class Shutdown(BaseException): ...


class Done(StopIteration): ...


COMMANDS: dict[str, Callable[[], BaseException]] = {
    "SystemExit: 0": lambda: SystemExit(0),
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "asyncio.exceptions.CancelledError: by hand": lambda: asyncio.CancelledError("by hand"),
    "StopIteration: 3": lambda: StopIteration(3),
    "StopAsyncIteration": StopAsyncIteration,
    f"{__name__}.Shutdown: now": lambda: Shutdown("now"),
    f"{__name__}.Done": Done,
    "BaseExceptionGroup: some (2 sub-exceptions)": lambda: BaseExceptionGroup("some", [SystemExit(0), ValueError(1)]),
}


def order(name: str) -> None:
    raise COMMANDS[name]()


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await atake_time(10)


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_is_told_of_and_not_carried_out(text: str) -> None:
    found = there_and_back(COMMANDS[text]())
    assert isinstance(found, RemoteError)
    assert isinstance(found, Exception)
    assert not isinstance(found, SystemExit | StopIteration | StopAsyncIteration | asyncio.CancelledError)
    assert str(found) == text
    assert "Traceback" in found.traceback
    assert f"{found.class_path}: {found.message}".removesuffix(": ") == text


def test_a_group_of_commands_can_be_taken_apart() -> None:
    found = there_and_back(COMMANDS["BaseExceptionGroup: some (2 sub-exceptions)"]())
    errors, commands = found.split(ValueError)
    assert ([e.args for e in errors.exceptions], [str(e) for e in commands.exceptions]) == ([(1,)], ["SystemExit: 0"])


def outcomes(queue: HotQueue, result: Any) -> dict[str, Any]:
    """Return what each way to ask gives or raises."""
    several = ResultSet([result])

    async def of_a_future() -> Any:
        return await asyncio.wrap_future(result.as_future())

    async def of_a_set() -> Any:
        return await several

    async def awaited() -> dict[str, Any]:
        ways = {"await": result.aget(), "aget": result.aget(30), "aget, not raising": result.aget(5, propagate=False)}
        ways |= {"await a future": of_a_future(), "await a set": of_a_set()}
        try:
            return dict(zip(ways, await asyncio.gather(*ways.values(), return_exceptions=True), strict=True))
        finally:
            await queue.aclose()

    ways: dict[str, Callable[[], Any]] = {
        "get": lambda: result.get(30),
        "get, not raising": lambda: result.get(5, propagate=False),
        "future": lambda: result.as_future().result(5),
        "in a generator": lambda: next(r.get(30) for r in [result]),
        "over map()": lambda: list(map(type(result).get, [result])),
        "result": lambda: result.result,
        "set": lambda: several.get(30),
        "set, not raising": lambda: several.get(5, propagate=False)[0],
    }
    found = asyncio.run(awaited())
    for way, ask in ways.items():
        try:
            found[way] = ask()
        except Exception as error:
            found[way] = error
    return found


def check_every_way(queue: HotQueue, result: Any, text: str) -> None:
    for way, found in outcomes(queue, result).items():
        assert isinstance(found, RemoteError), (way, found)
        assert str(found) == text, way


@only_server
def test_no_way_to_ask_carries_a_command_out(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task, cancelled = queue.task(order), queue.task(cancels_itself).delay()
    results = {text: task.delay(text) for text in COMMANDS}
    queue.run_worker(burst=True)
    for text, result in results.items():
        check_every_way(queue, result, text)
    check_every_way(queue, cancelled, "asyncio.exceptions.CancelledError")
    queue.discard_dead(all=True)


def test_nor_in_place() -> None:
    queue = HotQueue("eager", host="127.0.0.1", port=1)
    task, cancelled = queue.task(order), queue.task(cancels_itself)
    with queue.testing():
        for text in COMMANDS:
            check_every_way(queue, task.delay(text), text)
        check_every_way(queue, cancelled.delay(), "asyncio.exceptions.CancelledError")


@only_server
def test_nor_does_one_end_a_program(make_queue: MakeQueue, store_url: str) -> None:
    queue = make_queue()
    result = queue.task(order).delay("SystemExit: 0")
    queue.run_worker(burst=True)
    asks = f"""
        from hotqueue import HotQueue
        result = HotQueue({queue.name!r}, url={store_url!r}).result({result.id!r})
        try:
            result.get(30)
        except Exception as error:
            print("caught", error)
        async def main():
            try:
                await result
            except Exception as error:
                print("caught", error)
            print("loop goes on")
        import asyncio; asyncio.run(main())
        result.get(30)
    """
    done = run_python(textwrap.dedent(asks), check=False)
    assert (done.stdout, done.returncode) == ("caught SystemExit: 0\ncaught SystemExit: 0\nloop goes on\n", 1)
    assert "hotqueue.RemoteError: SystemExit: 0" in done.stderr
    queue.discard_dead(all=True)


# --- what is left --------------------------------------------------------------------------------------------------


class HoldsALock(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} with code {code}")
        self.code, self.lock = code, threading.Lock()


class Refuses(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("I stay here")


class Unloadable:
    def __reduce__(self) -> Any:
        return int, ("not a number",)


class Leaves:
    def __reduce__(self) -> Any:
        return sys.exit, (0,)


class Shifty(Exception):
    """Never says the same twice."""

    count = 0

    def __str__(self) -> str:
        Shifty.count += 1
        return f"number {Shifty.count}"


class HasProperties(Exception):
    args_given = 0

    def __init__(self, lock: Any) -> None:
        super().__init__(lock)

    def __init_subclass__(cls) -> None:
        raise TypeError("no subclasses")

    @property
    def message(self) -> str:
        return "a property"

    @property
    def traceback(self) -> str:
        raise RuntimeError("none")

    def __str__(self) -> str:
        return "text of mine"

    def __repr__(self) -> str:
        return self.gone  # type: ignore[attr-defined,no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("no")


STAND_INS: dict[str, tuple[Callable[[], Exception], str]] = {
    "a lock among its attributes": (lambda: HoldsALock(3, "x"), "lock"),
    "a lock among its args": (lambda: ValueError("x", threading.Lock()), "args"),
    "an attribute that cannot be loaded": (lambda: _with(PaymentError(3, "x"), held=Unloadable()), "held"),
    "an attribute that ends whoever loads it": (lambda: _with(PaymentError(3, "x"), held=Leaves()), "held"),
    "huge args": (lambda: ValueError("x" * 3_000_000), "args"),
    "a huge attribute": (lambda: _with(PaymentError(3, "x"), body=bytes(3_000_000)), "body"),
    "itself in its args": (lambda: _in_itself(), "args"),
    "a class that refuses to be pickled": (lambda: Refuses("x"), "pickle"),
    "a class with properties": (lambda: HasProperties(threading.Lock()), "pickle"),
    "OSError": (lambda: _with(HttpError(404, "u"), response=threading.Lock()), "response"),
    "frozen dataclass": (lambda: FrozenError(threading.Lock()), "code"),  # type: ignore[arg-type]
    "strict": (lambda: Strict(threading.Lock()), "args"),
    "another message each time": (lambda: Shifty(), ""),
}


def _in_itself() -> Exception:
    error = NotFound("x")
    error.args = (error,)
    return error


@pytest.mark.parametrize("name", STAND_INS)
def test_what_cannot_travel_whole_is_a_remote_error_of_its_class(name: str) -> None:
    make, left_out = STAND_INS[name]
    error = make()
    message = exceptions.message_of(error) if name != "another message each time" else f"number {Shifty.count + 1}"
    for found in (there_and_back(error), pickle.loads(pickle.dumps(there_and_back(error)))):
        assert isinstance(found, RemoteError)
        assert isinstance(found, type(error))
        assert found.class_path == exceptions.class_path(error)
        if name != "another message each time":
            assert found.message == message
            assert str(found) == f"{found.class_path}: {message}"
        assert "Traceback" in found.traceback
        assert left_out in "".join(getattr(found, "__notes__", ())), found.__notes__
        assert repr(found).startswith("RemoteError(")
        assert type(found).__name__ == "RemoteError"


def test_what_can_travel_of_it_does() -> None:
    found = there_and_back(HoldsALock(3, "x"))
    assert (found.code, hasattr(found, "lock")) == (3, False)
    found = there_and_back(STAND_INS["OSError"][0]())
    assert (found.errno, found.status) == (404, 404)
    found = there_and_back(ExceptionGroup("g", [ValueError(1), HoldsALock(3, "x")]))
    assert type(found) is ExceptionGroup
    assert isinstance(found.exceptions[1], HoldsALock)


def test_a_final_class_has_a_plain_stand_in() -> None:
    class Meta(type):
        def __new__(mcs, name: str, bases: Any, namespace: Any, **options: Any) -> Any:
            if bases != (Exception,):
                raise TypeError("final")
            return super().__new__(mcs, name, bases, namespace)

    class Final(Exception, metaclass=Meta):
        def __str__(self) -> str:
            return f"final {self.lock}"  # type: ignore[attr-defined]

    found = there_and_back(_with(Final(), lock=threading.Lock()))
    assert type(found) is RemoteError
    assert found.class_path.endswith("Final")


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_goes_on_through_another_task(name: str) -> None:
    first = there_and_back(STAND_INS[name][0]())
    second = there_and_back(first)
    assert type(second) is type(first)
    assert second.args == first.args


def test_a_remote_error_goes_on_as_it_is() -> None:
    found = there_and_back(there_and_back(SystemExit(3)))
    assert type(found) is RemoteError
    assert (found.class_path, found.message) == ("SystemExit", "3")


def test_one_whose_class_is_not_known_here_is_a_plain_remote_error() -> None:
    path, message, trace, sent = pickle.loads(payload.dumps_error(raised(PaymentError(1, "a"))))
    assert sent.count(b"PaymentError") > 1
    renamed = sent.replace(b"\x8c\x0cPaymentError", b"\x8c\x0cXaymentError")
    assert renamed != sent
    found = payload.loads_error(pickle.dumps((path, message, trace, renamed)))
    assert (type(found), found.class_path, found.message) == (RemoteError, f"{__name__}.PaymentError", "1: a")


def test_byte_code_of_another_python_is_not_run() -> None:
    class Local(Exception):
        def __str__(self) -> str:
            return "by value"

    data = payload.dumps_error(raised(Local()))
    assert type(payload.loads_error(data)) is Local
    path, message, trace, sent = pickle.loads(data)
    other = pickle.dumps(("2.7", pickle.loads(sent)[1]))
    found = payload.loads_error(pickle.dumps((path, message, trace, other)))
    assert (type(found), found.message) == (RemoteError, "by value")


def test_nonsense_is_a_remote_error() -> None:
    for sent in (None, pickle.dumps(("3.11", [])), pickle.dumps(("3.11", [(1,)]))):
        found = payload.loads_error(pickle.dumps(("a.B", "text", "", sent)))
        assert (type(found), str(found)) == (RemoteError, "a.B: text")


# --- causes, contexts, notes -----------------------------------------------------------------------------------------


def test_the_remote_traceback_is_the_cause_and_has_the_cause_that_there_was() -> None:
    found = payload.loads_error(payload.dumps_error(raised(ValueError("outer"), raised(PaymentError(1, "a"), KeyError("k")))))
    told = found.__cause__
    assert isinstance(told, RemoteTraceback)
    text = str(told)
    assert text.index("KeyError: 'k'") < text.index("direct cause") < text.index("1: a") < text.index("ValueError: outer")
    assert isinstance(told.__cause__, PaymentError)
    assert isinstance(told.__cause__.__cause__, KeyError)


def test_contexts_and_notes_travel() -> None:
    def do() -> None:
        try:
            raise PaymentError(1, "a")
        except PaymentError:
            error = NotFound("x")
            error.add_note("look here")
            raise error  # noqa: B904

    found = payload.loads_error(payload.dumps_error(_caught(do)))
    assert (str(found), found.__notes__) == ("no such thing: x", ["look here"])
    assert isinstance(found.__context__, PaymentError)
    assert there_and_back(_with(Reducible(1, extra="e"), __notes__=["a"])).__notes__ == ["a"]


def test_nothing_of_it_is_left_for_the_cyclic_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        left = [
            weakref.ref(there_and_back(WHOLE[name]())) for name in ("payment", "OSError with an init", "own group", "own reduce")
        ]
        left += [weakref.ref(there_and_back(STAND_INS[name][0]())) for name in STAND_INS if name != "itself in its args"]
        assert [ref() for ref in left if ref() is not None] == []
    finally:
        gc.enable()


# --- texts ---------------------------------------------------------------------------------------------------------


class BadStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_one_whose_str_raises_is_no_trouble() -> None:
    data = payload.dumps_error(raised(BadStr()))
    assert payload.describe_error(data)[1] == "<its __str__ raised RuntimeError>"
    assert isinstance(payload.loads_error(data), BadStr)


def test_our_own_frames_are_left_out_of_the_traceback() -> None:
    def ours() -> None:
        theirs()

    def theirs() -> None:
        raise ValueError

    text = exceptions.format_traceback(_caught(ours), skip=2)
    assert "in theirs" in text
    assert "in ours" not in text


@pytest.mark.parametrize(("error", "path"), [(ValueError(), "ValueError"), (NotFound("x"), f"{__name__}.NotFound")])
def test_class_paths(error: Exception, path: str) -> None:
    assert exceptions.class_path(error) == path


# --- exceptions among values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WHOLE)
def test_an_exception_among_values_arrives_as_itself(name: str) -> None:
    error = WHOLE[name]()
    if name in ("lying reduce", "reduce with another message"):
        pytest.skip("its class says otherwise, and nothing compares values")
    ((found,),) = payload.loads(payload.dumps([[error]]))
    assert type(found) is type(error)
    if name != "an address in its message":
        assert str(found) == str(error)


def test_one_that_holds_others_and_itself() -> None:
    error: Any = _with(PaymentError(1, "a"), others=[NotFound("x")], color=Color.RED)
    error.me = error
    for found in (there_and_back(error), payload.loads(payload.dumps(error))):
        assert (str(found), str(found.others[0]), found.color) == ("1: a", "no such thing: x", Color.RED)
        assert isinstance(found.me, PaymentError)


@only_server
def test_whose_error_it_is_when_a_result_cannot_be_loaded(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for made in (Unloadable, Leaves):
        result = queue.submit(made)
        queue.run_worker(burst=True)
        for propagate in (True, False):
            with pytest.raises(HotQueueError, match=r"task .* succeeded, but its result cannot be loaded here"):
                result.get(timeout=5, propagate=propagate)


def test_concurrent_futures_own_cancelled_error_is_an_exception() -> None:
    assert type(there_and_back(concurrent.futures.CancelledError())) is concurrent.futures.CancelledError
