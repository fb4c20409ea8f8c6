-- A supervisor's beat for one queue: renew the leases of its workers and survey the queue.
-- KEYS 1 workers 2 scheduled 3 control 4 needs
-- ARGV 1 lease in ms 2… own workers
-- Returns { now, ms until the next due task (-1: none), own workers that were given up, { other worker, deadline, … },
--           { id of a running task to be stopped, the record to end it with, … }, needs }.
local LONGEST = 120000 -- ms that any lease runs
local now = now_ms()
may_grow(KEYS[3])
local own, gone, others = {}, {}, {}
for i = 2, #ARGV do
  own[ARGV[i]] = true
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], 'XX', text(now + ARGV[1]), ARGV[i])
  else
    gone[#gone + 1] = ARGV[i]
  end
end

-- A lease that runs for longer than any is from before the clock was put back. Whoever lives renews it within a second.
local function plausible(worker, deadline)
  local lease = tonumber(ARGV[1])
  if lease == 0 or tonumber(deadline) <= now + math.max(LONGEST, lease) then return deadline end
  redis.call('ZADD', KEYS[1], 'XX', text(now + lease), worker)
  return text(now + lease)
end

local all = redis.call('ZRANGE', KEYS[1], 0, 999, 'WITHSCORES')
for i = 1, #all, 2 do
  if not own[all[i]] then
    others[#others + 1] = all[i]
    others[#others + 1] = plausible(all[i], all[i + 1])
  end
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local due = first[2] and math.max(0, tonumber(first[2]) - now) or -1
return { text(now), due, gone, others, redis.call('HGETALL', KEYS[3]), redis.call('SMEMBERS', KEYS[4]) }
