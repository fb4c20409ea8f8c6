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

  -- Park a task that stands in a ready set, if its name is paused; tells whether it is.
  function made.set_aside(set, id, place)
    local envelope = redis.call('HGET', tasks, id)
    local name = envelope and made.task_of(envelope)
    if not (name and made.has_name(name)) then return false end
    local a = history().split(redis.call('HGET', attempts, id))
    a.need = 'paused:' .. name
    redis.call('SADD', needs, a.need) -- first: a key of the wrong type leaves it in no two places
    redis.call('HSET', attempts, id, history().join(a))
    redis.call('ZADD', parked_for .. a.need, place, id)
    redis.call('ZREM', set, id)
    if string.byte(envelope, 4) > 7 then
      gates(tag .. 'ready').free(id)
      has_freed = true
    end
    return true
  end

  -- The same for the first of a ready set, until none of so many as there is room for is paused; false: there may be more.
  -- `fitting`: how many of a line of ids and places are worth reading.
  function made.are_set_aside(set, room, fitting)
    local want = math.min(most, math.max(room, at_front))
    for _ = 1, math.ceil(most / want) do
      local line = redis.call('ZRANGE', set, 0, want - 1, 'WITHSCORES')
      local count, gone = #line > 0 and fitting(line) or 0, 0
      for i = 1, 2 * count, 2 do
        if made.set_aside(set, line[i], line[i + 1]) then gone = gone + 1 end
      end
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
