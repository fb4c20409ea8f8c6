-- Keep what a run of a task leaves for the next one, as long as the task is this worker's.
-- KEYS 1 attempts 2 workers 3 held:<worker> 4 checkpoints
-- ARGV 1 worker 2 id 3 the record of `held` that it is in 4 what is kept 5 '1': this run has come further than those before, or ''
-- Returns 1; 0 when the worker has it no more.
-- The task is marked in `attempts`, by a word behind the numbers: step.lua looks for checkpoints only where something is in there.
-- Another word says how many of its deliveries count no more: those before a run that has come further. See docs/decisions/0068.
local attempts, workers, held, checkpoints, id = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2]
local KEPT_MS = 7776000000 -- 90 days, as long as the dead are kept
if not redis.call('ZSCORE', workers, ARGV[1]) or not holds().has(held, ARGV[3], id) then return 0 end
local wrong = must_be('hash', attempts, checkpoints)
if wrong then return wrong end
local a = history().split(redis.call('HGET', attempts, id))
local words = a.unknown
if not string.find(words .. ' ', ' c ', 1, true) then a.unknown = a.unknown .. ' c' end
if ARGV[5] == '1' and a.deliveries > 0 then a.unknown = string.gsub(a.unknown, ' f%d+', '') .. ' f' .. text(a.deliveries) end
if a.unknown ~= words then redis.call('HSET', attempts, id, history().join(a)) end
redis.call('HSET', checkpoints, id, ARGV[4])
redis.call('PEXPIRE', checkpoints, text(KEPT_MS))
return 1
