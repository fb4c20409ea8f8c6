-- Rates: how many tasks have started lately under a key, and when the next may; timers, by which that is noticed. Put in front of lanes.lua.

-- starts:<gate>, with a time to live: how many started that still count, four bytes; then of each hundredth of the period in which some
-- did, the earliest first, when the last of them started, six bytes, and how many they are, four. So a log is 1 KB at most.
-- timers: gate at which lanes wait → when it is to be looked at. Of all of them the first stands in `scheduled` too, under a newline,
-- which no id has: so whoever sleeps until something is due wakes up for it.
local function rates(tag)
  local made, logs = {}, {}
  local time, timers, scheduled = redis.call('TIME'), tag .. 'timers', tag .. 'scheduled'
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local alarm, is_earlier -- when `scheduled` has it, and whether that is sooner than before
  local HUNDREDTHS, RECORD = 100, 10
  local mark = '\n' -- under which the first stands in `scheduled`

  local function text(number) return string.format('%.0f', number) end

  function made.now() return text(now) end

  -- For how long a start counts: the period, and as long as it may take from a fetch, where it is counted, until it takes place.
  local function window(period) return period + math.min(LATEST, math.floor(period / LATE_PART)) end

  -- The log of a gate, without what does not count any more. Starts that are still to come are from before the clock was put back: they
  -- count from now on, so that nobody waits for longer than a period.
  local function log_of(name, period)
    local log = logs[name]
    if log then return log end
    local value = redis.call('GET', tag .. 'starts:' .. name) or ''
    log = { used = 0, at = 5, value = '' }
    logs[name] = log
    if #value < 4 + RECORD or #value % RECORD ~= 4 then return log end
    log.value, log.used = value, (struct.unpack('>I4', value))
    if struct.unpack('>I6', value, #value - RECORD + 1) > now + period / HUNDREDTHS then
      log.value = struct.pack('>I4I6I4', log.used, now, log.used)
    end
    while log.at < #log.value do
      local last, number = struct.unpack('>I6I4', log.value, log.at)
      if last + window(period) > now then return log end
      log.used, log.at = log.used - number, log.at + RECORD
    end
    log.used = 0
    return log
  end

  -- How many count now.
  function made.used(gate) return log_of(gate.name, gate.period).used end

  local function write(gate, log, records)
    log.at, log.value = 5, struct.pack('>I4', log.used) .. records
    redis.call('SET', tag .. 'starts:' .. gate.name, log.value, 'PX', text(window(gate.period) + 1000))
  end

  -- One starts.
  function made.start(gate)
    local log, part, number = log_of(gate.name, gate.period), gate.period / HUNDREDTHS, 1
    local kept = string.sub(log.value, log.at)
    if #kept > 0 then
      local last, before = struct.unpack('>I6I4', kept, #kept - RECORD + 1)
      if math.floor(last / part) == math.floor(now / part) then
        kept, number = string.sub(kept, 1, -RECORD - 1), before + 1
      end
    end
    log.used = log.used + 1
    write(gate, log, kept .. struct.pack('>I6I4', now, number))
  end

  -- One that was counted then did not start.
  function made.take_back(gate, at)
    local log, part = log_of(gate.name, gate.period), gate.period / HUNDREDTHS
    for from = #log.value - RECORD + 1, log.at, -RECORD do
      local last, number = struct.unpack('>I6I4', log.value, from)
      if math.floor(last / part) == math.floor(at / part) then
        local left = number > 1 and struct.pack('>I6I4', last, number - 1) or ''
        log.used = log.used - 1
        return write(gate, log, string.sub(log.value, log.at, from - 1) .. left .. string.sub(log.value, from + RECORD))
      end
    end
  end

  -- When the first of those that count does not count any more; nil: none does, and what has a slot has not started yet.
  function made.opens_at(name)
    local period = tonumber(string.match(name, '^r(%d+) '))
    local log = log_of(name, period)
    return log.at < #log.value and (struct.unpack('>I6', log.value, log.at)) + window(period) or nil
  end

  function made.opens_in(name)
    local at = made.opens_at(name)
    return at and math.max(0, at - now)
  end

  -- Have a gate looked at again.
  function made.set_timer(name, at)
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
    made.set_timer(first[1], tonumber(first[2]))
  end

  function made.drop_timer(name)
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
      if tonumber(last[i + 1]) > now + window(period) then redis.call('ZADD', timers, text(now), last[i]) end
    end
    set_alarm()
  end

  -- Whether somebody who sleeps is to be told that something is due sooner.
  function made.is_earlier() return is_earlier end

  return made
end
