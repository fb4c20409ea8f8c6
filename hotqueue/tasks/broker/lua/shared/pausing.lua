-- What is paused of a queue, and tasks that are set aside for it. Put behind the prelude. See docs/decisions/0054.

-- paused: a line each: '1 <ms>' is the whole queue, since when; 'task:<name> <ms>' are the tasks of that name. Before names could be paused
-- it was '1' alone; whoever knows no more than that takes any line for the whole queue, and starts nothing.
-- Tasks of such a name are parked for the need 'paused:<name>' as they come to the front of ready, and unparked once its line is gone.
-- Makes functions, of a queue whose keys begin with `tag`, and refers to nothing around it: see history.lua for why. `lines`: what the key
-- holds; with it, `history` and `gates`: the functions of that name, for whoever sets tasks aside.
local function pausing(tag, lines, history, gates)
  local made, names = {}, {}
  local tasks, attempts, needs, parked_for = tag .. 'tasks', tag .. 'attempts', tag .. 'needs', tag .. 'parked:'
  local at_front, most = 100, 1000 -- of a ready set: so many are looked at in a row, and in all, to see whether they are paused
  local has_freed = false -- a slot of a gate: others may have come in

  function made.is_all(given) return given == '1' or string.find('\n' .. given, '\n1 ', 1, true) ~= nil end

  function made.has_name(name, given) return string.find('\n' .. (given or lines), '\ntask:' .. name .. ' ', 1, true) ~= nil end

  -- Whether the queue is: by what the key holds, for whoever does without it if that is of the wrong type.
  function made.is_queue_paused()
    local found = redis.pcall('GET', tag .. 'paused')
    return found and (type(found) == 'table' or made.is_all(found))
  end

  -- The name of the task that an envelope is of; nil for what is none. Calls of one task have the same header: it is decoded once.
  function made.task_of(envelope)
    if #envelope < 26 or string.byte(envelope) ~= 1 then return nil end -- of other wire versions: workers park these themselves
    local size, _, id = struct.unpack('>I4I4B', envelope, 17)
    local header = string.sub(envelope, 26 + id, 25 + id + size)
    if names[header] == nil then
      local fine, found = pcall(cjson.decode, header)
      names[header] = fine and type(found) == 'table' and type(found.task) == 'string' and found.task
    end
    return names[header] or nil
  end

  -- Park those of the first `count` of a line, ids and places of a ready set, whose names are paused; gives back how many these are.
  function made.set_aside(set, line, count)
    local ids, by_need, gone = {}, {}, {}
    for i = 1, count do ids[i] = line[2 * i - 1] end
    if count == 0 then return 0 end
    local envelopes, gated = redis.call('HMGET', tasks, unpack(ids)), {}
    for i, id in ipairs(ids) do
      local name = envelopes[i] and made.task_of(envelopes[i])
      if name and made.has_name(name) then
        local need = 'paused:' .. name
        by_need[need] = by_need[need] or {}
        table.insert(by_need[need], line[2 * i])
        table.insert(by_need[need], id)
        gone[#gone + 1] = id
        if (string.byte(envelopes[i], 4) or 0) > 7 then gated[#gated + 1] = id end
      end
    end
    for need, places in pairs(by_need) do
      local pasts = {}
      for i = 2, #places, 2 do
        local a = history().split(redis.call('HGET', attempts, places[i]))
        a.need = need
        pasts[i - 1], pasts[i] = places[i], history().join(a)
      end
      redis.call('SADD', needs, need) -- first: a key of the wrong type leaves them in no two places
      redis.call('HSET', attempts, unpack(pasts))
      redis.pcall('ZADD', parked_for .. need, unpack(places)) -- of the wrong type: they stand nowhere until the audit restores them
    end
    if #gone > 0 then redis.call('ZREM', set, unpack(gone)) end
    for _, id in ipairs(gated) do gates(tag .. 'ready').lanes().free(id) end
    has_freed = has_freed or #gated > 0
    return #gone
  end

  -- The same for the first of a ready set, until none of so many as there is room for is paused; false: there may be more.
  -- `fitting`: how many of a line are worth reading.
  function made.are_set_aside(set, room, fitting)
    local want = math.min(most, math.max(room, at_front))
    for _ = 1, math.ceil(most / want) do
      local line = redis.call('ZRANGE', set, 0, want - 1, 'WITHSCORES')
      local count = #line > 0 and fitting(line) or 0
      local gone = made.set_aside(set, line, count)
      if gone == 0 or (count - gone >= room and not has_freed) then return true end -- a lane may have let others in, in front of them
    end
    return false
  end

  -- How many needs of parked tasks somebody may meet: nobody meets a pause.
  function made.open_needs()
    local number = 0
    for _, need in ipairs(redis.call('SMEMBERS', needs)) do
      local name = string.match(need, '^paused:(.*)$')
      if not (name and made.has_name(name)) then number = number + 1 end
    end
    return number
  end

  function made.names()
    local found = {}
    for name in string.gmatch(lines, 'task:(%S+) %d+') do found[#found + 1] = name end
    return found
  end

  return made
end
