-- How many tasks wait for a worker: what whoever waits for room looks at. Writes nothing.
-- KEYS 1 ready
-- Returns the number.
local ready = KEYS[1]
return newer_queue() or waiting_tasks(ready)
