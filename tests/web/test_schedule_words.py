"""When a schedule fires, as people say it; what they would not say shorter is left as it is."""

from __future__ import annotations

import pytest

from hotqueue.web.schedule_words import in_words


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("every 30 s", "every 30 seconds"),
        ("every 1 s", "every second"),
        ("every 90 s", "every 90 seconds"),
        ("every 7200 s", "every 2 hours"),
        ("every 0.5 s", "every 0.5 seconds"),
        ("0 3 * * * UTC", "every day at 03:00"),
        ("5 14 * * mon-fri Europe/Paris", "weekdays at 14:05 (Europe/Paris)"),
        ("0 9 * * 1 UTC", "Mondays at 09:00"),
        ("0 9 * * sun UTC", "Sundays at 09:00"),
        ("30 6 1 * * UTC", "on day 1 of each month at 06:30"),
        ("7 * * * * UTC", "every hour at :07"),
        ("* * * * * UTC", "every minute"),
        ("*/1 * * * * UTC", "every minute"),
        ("5 */1 * * * UTC", "every hour at :05"),
        ("*/15 8-17 * * 1-5 UTC", "weekdays every 15 minutes, from 08:00 to 17:59"),
        ("0 */2 * * * UTC", "every 2 hours at :00"),
        ("0 3 * 1 * UTC", ""),
        ("1,2 3 * * * UTC", ""),
        ("0 3 1 * 1 UTC", ""),
        ("@daily UTC", ""),
        ("", ""),
    ],
)
def test_it_is_said_in_words(when: str, words: str) -> None:
    assert in_words(when) == words
