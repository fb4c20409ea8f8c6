-- A supervisor's beat for one queue: renew the leases of its workers, then survey the queue; ring where a ring was lost.
-- KEYS 1 workers 2 scheduled 3 control 4 tasks 5 ready 6 ready:async 7 suspects 8 bell 9 bell:async 10 paused 11 expiring
--      12 owned:over 13 outbox 14 receipts 15 schedules:next 16 steps:todo 17 steps:open 18 accounts 19 enqueued 20… held:<worker> of each of its workers
-- ARGV 1 lease in ms (0: change nothing) 2 ms for which a worker counts as registered while it holds nothing
--      3 how many workers of its own, then these, then workers that died where it can see that
-- Returns { now, ms until the next due task (-1: none), own workers that were given up, { other worker, until when, … } of those whose
--           time has run out, and of the dead, { id of a running task to be stopped, the record to end it with, … } (at most STOPS),
--           how many unfinished tasks, how many suspects, what else is to be done, a sum of: 1 tasks wait past their expiry, 2 results
--           are to be let go of, 4 there is something for other queues, 8 something came from others, 16 ends of tasks are to be followed, 32 there is something to be counted; how many own workers hold
--           something; ms until the next slot of a schedule (-1: none) }; at a queue that is newer than we are, its schema behind that, and
--           of the rest what is ours.
-- In `workers`, a worker that holds something stands with the deadline of its lease, one that holds nothing with the time until which its
-- registration counts, below nought.
-- Leases come first: whatever any other key holds, nobody loses what he runs by it.
local workers, scheduled, control, tasks, ready, ready_async = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local suspects, bell, bell_async, paused, expiring = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local owned_over, outbox, receipts, schedules_next, steps_todo, steps_open = KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[16], KEYS[17]
local accounts, enqueued = KEYS[18], KEYS[19]
local LONGEST, MOST_OTHERS = 120000, 1000 -- ms that any lease runs; other workers that one call tells of
local STOPS = 100 -- each takes a supervisor two requests; of more, some are told at random, and the others the next time
local now, lease, stay, own_count = now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local own, gone, others, holding = {}, {}, {}, 0
local function own_worker(n) return ARGV[3 + n] end
local function own_held(n) return KEYS[19 + n] end

local function renew()
  redis.pcall('HDEL', control, '') -- as may_grow
  local renewed, any = {}, redis.call('EXISTS', unpack(KEYS, 20)) > 0
  for i = 1, own_count do
    local holds = any and redis.call('EXISTS', own_held(i)) == 1
    if holds then holding = holding + 1 end
    renewed[2 * i - 1], renewed[2 * i] = text(holds and now + lease or 0 - now - stay), own_worker(i)
    own[own_worker(i)] = true
  end
  if redis.call('ZADD', workers, 'XX', 'CH', unpack(renewed)) == own_count then return end
  for i = 1, own_count do
    if not redis.call('ZSCORE', workers, own_worker(i)) then gone[#gone + 1] = own_worker(i) end
  end
end

local function tell_of(worker, score)
  if own[worker] then return end
  own[worker] = true -- once
  others[#others + 1] = worker
  others[#others + 1] = text(math.abs(tonumber(score)))
end

if own_count > 0 then renew() end
local newer_key = string.sub(tasks, 1, -6) .. 'schema:' .. SCHEMA + 1
local is_idle = redis.call('EXISTS', scheduled, control, tasks, suspects, expiring, owned_over, outbox, receipts, schedules_next, steps_todo, steps_open, accounts, enqueued, newer_key) == 0
local newer = not is_idle and redis.call('GET', newer_key)
if newer then return { text(now), -1, gone, {}, {}, 0, 0, 0, holding, -1, tonumber(newer) } end
local overdue = redis.call('ZRANGEBYSCORE', workers, '(' .. text(0 - now), text(now), 'WITHSCORES', 'LIMIT', 0, MOST_OTHERS)
for i = 1, #overdue, 2 do tell_of(overdue[i], overdue[i + 1]) end
local first_dead = 4 + own_count
if #ARGV >= first_dead then
  for i, score in ipairs(redis.call('ZMSCORE', workers, unpack(ARGV, first_dead))) do
    if score then tell_of(ARGV[first_dead + i - 1], score) end
  end
end

-- Of a queue in which there is nothing, that is all: there may be many.
if is_idle then
  return { text(now), -1, gone, others, {}, 0, 0, 0, holding, -1 }
end
redis.pcall('HDEL', control, '')

-- A lease that runs for longer than any is from before the clock was put back. Whoever lives renews it within a second.
if lease > 0 then
  local far = redis.call('ZRANGEBYSCORE', workers, '(' .. text(now + math.max(LONGEST, lease)), '+inf', 'LIMIT', 0, MOST_OTHERS)
  for _, worker in ipairs(far) do redis.call('ZADD', workers, 'XX', text(now + lease), worker) end
end

-- Every wake token may be lost with whoever had it: while there is work, a bell that holds none is rung, for several, as more than
-- one may be stopped.
local function ring_again(which, waiting)
  local tokens = redis.pcall('LLEN', which)
  if tokens == 0 and redis.call('EXISTS', waiting) > 0 then ring(which, BELLS, waiting) end
end

local unfinished = redis.call('HLEN', tasks)
if unfinished > 0 and lease > 0 and not pausing(string.sub(tasks, 1, -6)).is_queue_paused() then
  ring_again(bell, ready)
  ring_again(bell_async, ready_async)
end
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
local due = first[2] and math.max(0, tonumber(first[2]) - now) or -1
local earliest = redis.pcall('ZRANGE', expiring, 0, 0, 'WITHSCORES')
local chores = ((tonumber(earliest[2]) or math.huge) <= now and 1 or 0)
  + 16 * math.min(1, redis.call('EXISTS', steps_todo) + #redis.call('ZRANGEBYSCORE', steps_open, '-inf', text(now), 'LIMIT', 0, 1))
  + 2 * redis.call('EXISTS', owned_over) + 4 * redis.call('EXISTS', outbox) + 8 * redis.call('EXISTS', receipts) + 32 * math.min(1, redis.call('EXISTS', accounts, enqueued))
local suspected = redis.pcall('ZCARD', suspects) -- of the wrong type: fetch says so
if type(suspected) == 'table' then suspected = 0 end
local stops = redis.call('HLEN', control) > STOPS and redis.call('HRANDFIELD', control, STOPS, 'WITHVALUES')
  or redis.call('HGETALL', control)
local next_slot = redis.pcall('ZRANGE', schedules_next, 0, 0, 'WITHSCORES')
local until_slot = next_slot[2] and math.ceil(math.max(0, tonumber(next_slot[2]) - now)) or -1
return { text(now), due, gone, others, stops, unfinished, suspected, chores, holding, until_slot }
