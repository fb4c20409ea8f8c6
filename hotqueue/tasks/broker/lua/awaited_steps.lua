-- Which steps wait for tasks that are still to end, of some of these, and for how many of them. Reads.
-- KEYS 1 owned 2 tasks
-- ARGV 1 where to go on, '0' to begin with
-- Returns { where to go on next, '0' when all were looked at, of each step its id, and how many }.
local owned, tasks = KEYS[1], KEYS[2]
local wrong = newer_queue() or must_be('hash', owned, tasks)
if wrong then return wrong end
if redis.call('EXISTS', owned) == 0 then return { '0' } end
return owning(owned, now_ms()).awaited(tasks, ARGV[1])
