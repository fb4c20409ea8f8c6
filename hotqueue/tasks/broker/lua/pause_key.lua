-- Pause a key: no task that has it at one of its gates starts any more. Or have these go on.
-- KEYS 1 ready 2 paused:keys
-- ARGV 1 key, as gates have it 2 '1' to pause, '' to go on
-- Returns 1 where it was not so before, else 0.
local ready, paused_keys = KEYS[1], KEYS[2]
local key, is_to_stop = ARGV[1], ARGV[2] == '1'
local wrong = newer_queue() or must_be('hash', paused_keys)
if wrong then return wrong end
local changed = gates(ready).lanes().pause(key, is_to_stop)
gates(ready).ring()
return gates(ready).wrong() or (changed and 1 or 0)
