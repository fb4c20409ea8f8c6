-- What tasks of this queue send to others: written with a task's end, brought there by relay.py. Put behind the prelude. See
-- docs/decisions/0050.

-- outbox: a queue → the number before which all that was posted for it has been struck. posted:<queue>: 'id, newline, due, blank, expires,
-- newline, envelope' → its number: when it was posted, in µs, or one more than the last one's.
-- In a function that makes this function where it is used: see history.lua for why. `tag`: what the queue's keys begin with.
local function posting(tag)
  local outbox = tag .. 'outbox'
  local t = redis.call('TIME')
  local now, number_now = t[1] * 1000 + math.floor(t[2] / 1000), t[1] * 1000000 + t[2]

  local function instant(spec)
    local later = string.match(spec, '^%+(%d+)$')
    return later and text(now + later) or spec
  end

  local function key_of(queue) return tag .. 'posted:' .. queue end

  local function must_be_a(kind, key)
    local found = redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then error('WRONGTYPE ' .. key .. ' holds a ' .. found .. ', not a ' .. kind, 0) end
  end

  -- Looks at what is to be posted, and gives back what does it.
  -- packed: of each 'queue, newline, id, newline, due, blank, expires, blank, size of the envelope, newline, envelope'.
  return function(packed)
    local entries, lasts, at = {}, {}, 1
    must_be_a('hash', outbox)
    while at <= #packed do
      local queue, id, due, expires, size, from = string.match(packed, '^([^\n]+)\n([^\n]+)\n(%S*) (%S*) (%d+)\n()', at)
      at = from + size
      entries[#entries + 1] = { queue, id .. '\n' .. instant(due) .. ' ' .. instant(expires) .. '\n' .. string.sub(packed, from, at - 1) }
      if not lasts[queue] then
        must_be_a('zset', key_of(queue))
        lasts[queue] = tonumber(redis.call('ZREVRANGE', key_of(queue), 0, 0, 'WITHSCORES')[2]) or 0
      end
    end
    return function()
      for queue in pairs(lasts) do redis.call('HSETNX', outbox, queue, '0') end
      for _, entry in ipairs(entries) do
        local number = math.max(number_now, lasts[entry[1]] + 1)
        redis.call('ZADD', key_of(entry[1]), text(number), entry[2])
        lasts[entry[1]] = number
      end
    end
  end
end
