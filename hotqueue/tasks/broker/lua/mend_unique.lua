-- Look at some unique keys, and at some tasks that wait behind others: what is left of tasks that ended unseen goes, and what may go on does.
-- KEYS 1 ready
-- ARGV 1 how many of each at most, any: with each call there are others
local ready = KEYS[1]
local newer = newer_queue()
if newer then return newer end
redis.call('ZREM', ready, '') -- as may_grow
gates(ready).unique().successors().mend(now_ms(), ARGV[1])
gates(ready).ring()
return 1
