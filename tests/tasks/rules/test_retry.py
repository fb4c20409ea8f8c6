"""Whether an error is tried again, and after how long."""

from __future__ import annotations

import pytest

from hotqueue.tasks.rules.retry import RetryPolicy, backoff


@pytest.mark.parametrize(("retries", "wanted"), [(0, 1), (1, 2), (2, 4), (9, 512), (10, 600), (10_000, 600)])
def test_the_delay_doubles_up_to_the_cap(retries: int, wanted: float) -> None:
    assert backoff(RetryPolicy(jitter=False), retries, lambda: 0.5) == wanted


def test_full_jitter_draws_from_zero_to_the_delay() -> None:
    policy = RetryPolicy(base=4)
    assert [backoff(policy, 1, lambda r=r: r) for r in (0.0, 0.5, 0.75)] == [0, 4, 6]


def test_without_backoff_the_delay_is_always_the_same() -> None:
    assert [backoff(RetryPolicy(base=3, exponential=False), n, lambda: 0.1) for n in range(3)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("limit", "own", "retries", "wanted"),
    [(3, None, 2, True), (3, None, 3, False), (0, None, 0, False), (None, None, 10**6, True), (3, 5, 4, True), (3, 0, 0, False)],
)
def test_a_retry_is_left_below_the_limit(limit: int | None, own: int | None, retries: int, wanted: bool) -> None:
    assert RetryPolicy(max_retries=limit).allows(retries, own) is wanted


@pytest.mark.parametrize(
    ("error", "wanted"), [(OSError(), True), (FileNotFoundError(), False), (ConnectionError(), True), (ValueError(), False)]
)
def test_classes_and_their_exceptions_say_what_is_tried_again(error: Exception, wanted: bool) -> None:
    policy = RetryPolicy(autoretry_for=(OSError,), dont_autoretry_for=(FileNotFoundError,))
    assert policy.wants(error) is wanted


GROUPS: list[tuple[BaseException, bool]] = [
    (ExceptionGroup("g", [OSError(), ConnectionError()]), True),
    (ExceptionGroup("g", [OSError(), ExceptionGroup("h", [TimeoutError()])]), True),
    (ExceptionGroup("g", [OSError(), ValueError()]), False),
    (ExceptionGroup("g", [OSError(), ExceptionGroup("h", [ValueError()])]), False),
    (ExceptionGroup("g", [OSError(), ExceptionGroup("h", [FileNotFoundError()])]), False),
    (BaseExceptionGroup("g", [OSError(), KeyboardInterrupt()]), False),
]


@pytest.mark.parametrize(("error", "wanted"), GROUPS, ids=str)
def test_a_group_is_tried_again_when_all_that_is_in_it_is(error: Exception, wanted: bool) -> None:
    policy = RetryPolicy(autoretry_for=(OSError,), dont_autoretry_for=(FileNotFoundError,))
    assert policy.wants(error) is wanted


def test_a_group_may_be_named_itself_or_forbidden() -> None:
    class Own(ExceptionGroup[Exception]): ...

    mixed, own = ExceptionGroup("g", [OSError(), ValueError()]), ExceptionGroup("g", [Own("h", [OSError()])])
    assert RetryPolicy(autoretry_for=(ExceptionGroup,)).wants(mixed)
    assert RetryPolicy(autoretry_for=(Exception,)).wants(mixed)
    assert not RetryPolicy(autoretry_for=(Exception,), dont_autoretry_for=(ValueError,)).wants(mixed)
    assert not RetryPolicy(autoretry_for=(OSError,), dont_autoretry_for=(Own,)).wants(own)
    assert not RetryPolicy(autoretry_for=(Exception,)).wants(BaseExceptionGroup("g", [OSError(), SystemExit()]))


def test_causes_and_contexts_do_not_count() -> None:
    error = ValueError()
    error.__cause__ = error.__context__ = OSError()
    assert not RetryPolicy(autoretry_for=(OSError,)).wants(error)


def test_nothing_is_tried_again_by_default() -> None:
    assert not RetryPolicy().wants(Exception())
