-- Let go of results whose owners are no tasks any more, which only others at our keys bring about. Some owners a call.
-- KEYS 1 owned 2 tasks 3 dead:tasks
-- ARGV 1 where to go on, '0' to begin with
-- Returns { where to go on next, '0' when all were looked at, how many owners were none }.
local owned, tasks, dead_tasks = KEYS[1], KEYS[2], KEYS[3]
local wrong = newer_queue() or must_be('hash', owned, tasks, dead_tasks)
if wrong then return wrong end
if redis.call('EXISTS', owned) == 0 then return { '0', 0 } end
return owning(owned, now_ms()).mend(tasks, dead_tasks, ARGV[1])
