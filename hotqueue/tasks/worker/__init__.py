"""One process: fetches, executes, settles."""
