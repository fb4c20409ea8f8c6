"""Hold tasks of one name back, ask why one waits, and end what nobody needs any more. Run it with ``python flow_control.py``."""

import subprocess
import sys
from pathlib import Path

from hotqueue import HotQueue

queue = HotQueue("flow")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task
def mail(address: str) -> str:
    """Send a mail: not while the mail server is down."""
    return f"mailed {address}"


@queue.task
def price(fruit: str) -> int:
    """Compute a price, mail or no mail."""
    return len(fruit)


def work() -> None:
    """Have a worker run what it may."""
    subprocess.run([WORKER, "flow_control", "--burst", "--quiet"], cwd=HERE, check=True)


def main() -> None:
    """Pause the mails, go on with the rest, drop one tenant's, and let the others go."""
    queue.pause(task=mail)
    mails = [mail.apply_async((f"{name}@example.org",), headers={"tenant": name}) for name in ("ann", "bob", "cid")]
    prices = price.map(["fig", "plum"])
    work()
    print("prices:", prices.get(timeout=10))
    print("mails wait:", mails[0].why().reason, queue.stats()["paused_tasks"])
    print("revoked:", queue.revoke_all(headers={"tenant": "bob"}))
    queue.resume(task=mail)
    work()
    print([result.get(timeout=10) for result in (mails[0], mails[2])])
    mail.apply_async(("dan@example.org",), countdown=3600)
    print("purged:", queue.purge(state="scheduled"))


if __name__ == "__main__":
    main()
