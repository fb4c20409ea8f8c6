"""The full-screen monitor, `hotwatch --live`: views of the facts that `monitor/` reads, and keys that act on what they show.

Needs the extra ``hotqueue[watch]`` (textual). What is shown is read in a thread of its own, so that no store holds up a key;
of the screen only lines that changed are painted.
"""
