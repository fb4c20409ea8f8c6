-- Rates: how many tasks have started lately under a key, and when the next may; included by gates.lua.

-- starts:<gate>, with a time to live: how many started that still count, four bytes; then of each hundredth of the period in which some
-- did, the earliest first, when the last of them started, six bytes, and how many they are, four. So a log is 1 KB at most.
local function rates(tag)
  local logs = {}
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local HUNDREDTHS, RECORD = 100, 10

  -- For how long a start counts: the period, and as long as it may take from a fetch, where it is counted, until it takes place.
  local function window(period) return period + math.min(LATEST, math.floor(period / LATE_PART)) end

  -- The log of a gate, without what does not count any more. Starts that are still to come are from before the clock was put back: they
  -- count from now on, so that nobody waits for longer than a period.
  local function log_of(name, period)
    local log = logs[name]
    if log then return log end
    local value = redis.call('GET', tag .. 'starts:' .. name) or ''
    log = { used = 0, started = 0, at = 5, value = '' }
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
  local function used(gate) return log_of(gate.name, gate.period).used end

  -- One starts: it counts, and is to be written.
  local function start(gate)
    local log = log_of(gate.name, gate.period)
    log.used, log.started = log.used + 1, log.started + 1
  end

  local function write(name, period, log, records)
    log.at, log.started, log.value = 5, 0, struct.pack('>I4', log.used) .. records
    redis.call('SET', tag .. 'starts:' .. name, log.value, 'PX', text(window(period) + 1000))
  end

  -- Write those that have started. Gives back the log.
  local function written(name, period)
    local log, part = log_of(name, period), period / HUNDREDTHS
    local kept, number = string.sub(log.value, log.at), log.started
    if number == 0 then return log end
    if #kept > 0 then
      local last, before = struct.unpack('>I6I4', kept, #kept - RECORD + 1)
      if math.floor(last / part) == math.floor(now / part) then
        kept, number = string.sub(kept, 1, -RECORD - 1), before + number
      end
    end
    write(name, period, log, kept .. struct.pack('>I6I4', now, number))
    return log
  end

  local function write_started(gate) written(gate.name, gate.period) end

  -- One that was counted then did not start.
  local function take_back(gate, at)
    local log, part = written(gate.name, gate.period), gate.period / HUNDREDTHS
    for from = #log.value - RECORD + 1, log.at, -RECORD do
      local last, number = struct.unpack('>I6I4', log.value, from)
      if math.floor(last / part) == math.floor(at / part) then
        local left = number > 1 and struct.pack('>I6I4', last, number - 1) or ''
        log.used = log.used - 1
        return write(gate.name, gate.period, log, string.sub(log.value, log.at, from - 1) .. left .. string.sub(log.value, from + RECORD))
      end
    end
  end

  -- When the first of those that count does not count any more; nil: none does, and what has a slot has not started yet.
  local function opens_at(name)
    local period = tonumber(string.match(name, '^r(%d+) '))
    local log = written(name, period)
    return log.at < #log.value and (struct.unpack('>I6', log.value, log.at)) + window(period) or nil
  end

  local function opens_in(name)
    local at = opens_at(name)
    return at and math.max(0, at - now)
  end

  -- now: in ms
  return { now = now, window = window, used = used, start = start, write = write_started, take_back = take_back, opens_at = opens_at, opens_in = opens_in }
end
