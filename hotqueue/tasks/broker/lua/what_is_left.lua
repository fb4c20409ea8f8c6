-- Whether workers are to let go of a queue that they found by a glob: nothing is left of it, or only what nobody needs.
-- KEYS 1 tasks 2 dead:tasks 3 paused 4 owned 5 owned:over 6 seq 7 stats 8 bell 9 bell:async 10 outbox
--      11 receipts 12 schedules 13 accounts 14 enqueued
-- ARGV 1 '1': it has been idle for so long that its counter may go, so that its next task announces it as one that is new
-- Returns 0 nothing is left 1 no task is there 2 there is something for workers, or for people.
local tasks, dead_tasks, paused, owned, owned_over = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local seq, stats, bell, bell_async = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local outbox, receipts, schedules = KEYS[10], KEYS[11], KEYS[12]
local accounts, enqueued = KEYS[13], KEYS[14]
if redis.call('EXISTS', tasks, dead_tasks, paused, owned, owned_over, outbox, receipts, schedules) > 0 then return 2 end
if redis.call('EXISTS', seq) == 0 then return 0 end
-- What was taken up to a schema keeps its counter, by which older programs are refused: see docs/decisions/0042.
if ARGV[1] ~= '1' or redis.call('EXISTS', string.sub(tasks, 1, -#'tasks' - 1) .. 'schema:2') == 1 then return 1 end
redis.call('DEL', seq, bell, bell_async)
for _, key in ipairs({ stats, accounts, enqueued }) do redis.call('EXPIRE', key, 86400) end -- nobody trims it any more
return 0
