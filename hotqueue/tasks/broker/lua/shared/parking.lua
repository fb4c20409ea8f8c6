-- Tasks that are parked, until something that they need is there, or a pause is over. Put behind the prelude, history, lanes and pausing.

-- In a function that makes these: see history.lua. `tag`: what the queue's keys begin with.
local made_parking
local function parking(tag)
  if made_parking then return made_parking end
  local made = {}
  made_parking = made
  local tasks, attempts, needs, parked_for = tag .. 'tasks', tag .. 'attempts', tag .. 'needs', tag .. 'parked:'
  local at_front = 100 -- of a ready set: so many are looked at to see whether they are paused

  -- Have a task wait, out of the set in which it stood, until something it needs is there.
  function made.park(id, place, need)
    local a = history().split(redis.call('HGET', attempts, id))
    a.need = need
    redis.call('SADD', needs, need) -- first: a key of the wrong type leaves it in no two places
    redis.call('HSET', attempts, id, history().join(a))
    redis.call('ZADD', parked_for .. need, place, id)
  end

  -- Park a task that stands in a ready set, if its name is paused; tells whether it is.
  function made.set_aside(lines, set, id, place)
    local envelope = redis.call('HGET', tasks, id)
    local name = envelope and pausing(tag).task_of(envelope)
    if not (name and pausing(tag).has_name(lines, name)) then return false end
    made.park(id, place, 'paused:' .. name)
    redis.call('ZREM', set, id)
    if string.byte(envelope, 4) > 7 then gates(tag .. 'ready').free(id) end
    return true
  end

  -- The same for the first of a ready set, until none of so many as there is room for is paused; false: there may be more.
  -- `fitting`: how many of a line of ids and places are worth reading.
  function made.are_set_aside(lines, set, room, fitting)
    local want = math.min(MOST, math.max(room, at_front))
    for _ = 1, math.ceil(MOST / want) do
      local line = redis.call('ZRANGE', set, 0, want - 1, 'WITHSCORES')
      local count, gone = #line > 0 and fitting(line) or 0, 0
      for i = 1, 2 * count, 2 do
        if made.set_aside(lines, set, line[i], line[i + 1]) then gone = gone + 1 end
      end
      if gone == 0 or (count - gone >= room and not made_gates) then return true end -- a lane may have let others in, in front of them
    end
    return false
  end

  -- How many needs of parked tasks somebody may meet: nobody meets a pause.
  function made.open_needs(lines)
    local number = 0
    for _, need in ipairs(redis.call('SMEMBERS', needs)) do
      local name = string.match(need, '^paused:(.*)$')
      if not (name and pausing(tag).has_name(lines, name)) then number = number + 1 end
    end
    return number
  end

  return made
end
