-- Turns: which lanes wait at a gate, and which of them is next. Included by lanes.lua.

-- turns:<gate>: lane → its turn. A lane stands at the gate that is shut for the first of its tasks, and at no other. Its turn is the place
-- of that task, so that higher priorities and what is older go first. Of lanes whose tasks take turns (fair_key) it is that when they
-- come; each time that one of them has had its turn, it gets a new number of its priority, behind all that have come meanwhile.
-- Like rates.lua, it refers to nothing of what is around it: each such thing costs every step, whatever that does.
local function turns(tag)
  local made = {}

  local function turns_of(gate) return tag .. 'turns:' .. gate end

  -- The lane whose turn it is, that turn, and whether others wait as well.
  function made.first(gate)
    local found = redis.call('ZRANGE', turns_of(gate), 0, 1, 'WITHSCORES')
    return found[1], found[2], found[3] ~= nil
  end

  function made.join(gate, lane, turn) redis.call('ZADD', turns_of(gate), turn, lane) end

  function made.turn_of(gate, lane) return redis.call('ZSCORE', turns_of(gate), lane) end

  -- The turn behind all others that have come, of one that is in this place.
  function made.next_turn(place)
    local band = math.floor(tonumber(place) / BAND) * BAND
    return string.format('%.0f', band + redis.call('INCR', tag .. 'seq'))
  end

  -- Have lanes go behind all others that have come. `place`: of one that is of their priority.
  function made.go_behind(gate, lanes, place)
    if not lanes[1] then return end
    local line, last = {}, math.floor(tonumber(place) / BAND) * BAND + redis.call('INCRBY', tag .. 'seq', #lanes)
    for n, lane in ipairs(lanes) do line[2 * n - 1], line[2 * n] = string.format('%.0f', last - #lanes + n), lane end
    redis.call('ZADD', turns_of(gate), unpack(line))
  end

  -- False: nobody waits there any more.
  function made.leave(gate, ...)
    redis.call('ZREM', turns_of(gate), ...)
    return redis.call('EXISTS', turns_of(gate)) == 1
  end

  function made.drop_empty(gate, most, is_empty)
    for _, lane in ipairs(redis.call('ZRANGE', turns_of(gate), 0, most - 1)) do
      if is_empty(lane) then redis.call('ZREM', turns_of(gate), lane) end
    end
  end

  return made
end
