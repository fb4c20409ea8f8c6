-- What was thrown away of the dead list lately, and can be brought back for a while: see docs/decisions/0071. Put behind the prelude and dead_list.

-- discarded: id → when it was thrown away, in ms. discarded:tasks: id → 'when it died, how many bytes it had kept for its next run, what
-- this discard was marked with', a newline, these bytes, and its record; '-' for their number, and nothing behind the newline, where it is
-- not to come back as it ended others with it, '+' where it was too large. A newline, which is no id → how many bytes all of these have. Both go by themselves once the last one is too old.
local BYTES = '\n'
local FORGOTTEN_AT_ONCE = 2000

local function forget_discarded(discarded, tasks, id)
  local size = redis.call('HSTRLEN', tasks, id)
  redis.call('ZREM', discarded, id)
  redis.call('HDEL', tasks, id)
  if redis.call('EXISTS', discarded) == 0 then return redis.call('DEL', tasks) end
  redis.pcall('HINCRBY', tasks, BYTES, 0 - size)
end

-- Note a task that is thrown away; false where there is no memory for it, and nothing was written. A first write of a script may be
-- refused for want of that: so nothing may be written before.
local function note_discarded(discarded, tasks, id, entry, now)
  local before = redis.call('HSTRLEN', tasks, id)
  local done = redis.pcall('HSET', tasks, id, entry)
  if type(done) == 'table' and done.err then return false end
  redis.call('ZADD', discarded, text(now), id)
  redis.pcall('HINCRBY', tasks, BYTES, #entry - before)
  return true
end

-- Forget what is too old, and the oldest of what is too much.
local function trim_discarded(discarded, tasks, now, ms)
  for _ = 1, FORGOTTEN_AT_ONCE do
    local oldest = redis.call('ZRANGE', discarded, 0, 0, 'WITHSCORES')
    if not oldest[1] then return end
    local bytes = tonumber(redis.call('HGET', tasks, BYTES)) or 0
    local is_much = redis.call('ZCARD', discarded) > MOST_DEAD or bytes > MOST_DISCARDED_BYTES
    if not is_much and (tonumber(oldest[2]) or 0) > now - ms then break end
    forget_discarded(discarded, tasks, oldest[1])
  end
  redis.call('PEXPIRE', discarded, text(ms))
  redis.call('PEXPIRE', tasks, text(ms))
end
