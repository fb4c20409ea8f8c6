"""A producer in another language. Run it with ``python json_other_language.py [redis-cli|valkey-cli|node|python]``.

A queue with ``serializer=json`` is a Redis list of JSON texts, so anything that speaks Redis can push to it: the client of the
server, Node without any package, or a few lines of Python that know nothing of hotqueue.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hotqueue import HotQueue

NODE = """
const [socket, key, message] = process.argv.slice(1);
const words = ["RPUSH", key, message];
const command = `*${words.length}\\r\\n` + words.map(w => `$${Buffer.byteLength(w)}\\r\\n${w}\\r\\n`).join("");
require("net").connect(socket, function () { this.end(command); }).on("data", data => process.stdout.write(data));
"""
BARE = """
import socket, sys
path, key, message = sys.argv[1:]
words = [b"RPUSH", key.encode(), message.encode()]
with socket.socket(socket.AF_UNIX) as link:
    link.connect(path)
    link.sendall(b"*3\\r\\n" + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(word), word) for word in words))
    link.recv(100)
"""


def producer(language: str, socket: str, key: str, message: str) -> list[str]:
    """Return a command that pushes a message."""
    if language == "node":
        return ["node", "-e", NODE, socket, key, message]
    if language == "python":
        return [sys.executable, "-c", BARE, socket, key, message]
    return [found(language) or language, "-s", socket, "RPUSH", key, message]


def found(program: str) -> str | None:
    """Return where a program is; the package that brings the embedded server may bring its client, too."""
    return shutil.which(program, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def main(language: str) -> None:
    """Receive what another program pushes, and push something that it could read."""
    with tempfile.TemporaryDirectory() as folder, HotQueue("people", serializer=json, dbfilename=f"{folder}/queue.rdb") as queue:
        queue.put({"name": "Grace", "from": "Python"})  # starts the server
        # The socket is beside the database file. A server with a port needs host and port instead.
        message = json.dumps({"name": "Ada", "from": language})
        command = producer(language, f"{folder}/queue.rdb.hotqueue/s", queue.key, message)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for person in queue.consume(block=False):
            print(f"{person['name']} came from {person['from']}")


if __name__ == "__main__":
    some = (name for name in ("redis-cli", "valkey-cli", "node", "python") if found(name) or name == "python")
    main(sys.argv[1] if sys.argv[1:] else next(some))
