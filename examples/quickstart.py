"""The plain queue: put, get, consume. Run it with ``python quickstart.py``; nothing has to be set up first."""

from decimal import Decimal

from hotqueue import HotQueue

# An embedded server of this process alone, gone at exit. With a file name instead, every process that names it shares it.
with HotQueue("quickstart", dbfilename=":memory:") as queue:
    queue.put("first", {"second": 2}, Decimal("3.0"))
    print("messages:", len(queue))
    print("got:", queue.get())

    # Each message is held until the loop asks for the next one: killed in between, it would go back to the list.
    for message in queue.consume(block=False):
        print("consumed:", message)

    print("nothing left:", queue.get())
