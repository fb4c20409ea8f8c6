-- Timers of gates that a rate bounds: so it is noticed when the next task may start. Included by lanes.lua.

-- timers: gate at which lanes wait → when it is to be looked at. Of all of them the first stands in `scheduled` too, under a newline,
-- which no id has: so whoever sleeps until something is due wakes up for it.
local function timers(tag, rating)
  local made, timers, scheduled, now = {}, tag .. 'timers', tag .. 'scheduled', rating.now
  local alarm, is_earlier -- when `scheduled` has it, and whether that is sooner than before
  local mark = '\n' -- under which the first stands in `scheduled`

  -- Have a gate looked at again.
  function made.set(name, at)
    redis.call('ZADD', timers, text(at), name)
    alarm = alarm or tonumber(redis.call('ZSCORE', scheduled, mark) or nil) or math.huge
    if at < alarm then
      redis.call('ZADD', scheduled, text(at), mark)
      alarm, is_earlier = at, redis.call('ZRANGE', scheduled, 0, 0)[1] == mark
    end
  end

  local function set_alarm()
    local first = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
    alarm = math.huge
    if not first[2] then return redis.call('ZREM', scheduled, mark) end
    made.set(first[1], tonumber(first[2]))
  end

  function made.drop(name)
    if redis.call('ZREM', timers, name) == 1 and redis.call('EXISTS', timers) == 0 then
      redis.call('ZREM', scheduled, mark)
      alarm = nil -- a timer that is set in this script comes after it
    end
  end

  -- Gates whose time has come, some of them; each is to be looked at now.
  function made.due(open)
    local names = redis.call('ZRANGEBYSCORE', timers, '-inf', text(now), 'LIMIT', 0, 100)
    for _, name in ipairs(names) do
      redis.call('ZREM', timers, name)
      open(name)
    end
    set_alarm()
  end

  -- Have those looked at now whose time is further away than any can be: it was set before the clock was put back.
  function made.mend()
    local last = redis.call('ZREVRANGE', timers, 0, 49, 'WITHSCORES')
    for i = 1, #last, 2 do
      local period = tonumber(string.match(last[i], '^r(%d+) ') or nil) or 0
      if tonumber(last[i + 1]) > now + rating.window(period) then redis.call('ZADD', timers, text(now), last[i]) end
    end
    set_alarm()
  end

  -- Whether somebody who sleeps is to be told that something is due sooner.
  function made.is_earlier() return is_earlier end

  return made
end
