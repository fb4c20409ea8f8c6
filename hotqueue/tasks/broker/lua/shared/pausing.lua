-- What is paused of a queue. Put behind the prelude. See docs/decisions/0054.

-- paused: a line each: '1 <ms>' is the whole queue, since when; 'task:<name> <ms>' are the tasks of that name. Before names could be paused
-- it was '1' alone; whoever knows no more than that takes any line for the whole queue, and starts nothing.
-- Tasks of such a name are parked for the need 'paused:<name>' as they come to the front of ready, and unparked once its line is gone.
-- In a function that makes these: see history.lua. `tag`: what the queue's keys begin with.
local made_pausing
local function pausing(tag)
  if made_pausing then return made_pausing end
  local made, names = {}, {}
  made_pausing = made

  function made.is_all(lines) return lines == '1' or string.find('\n' .. lines, '\n1 ', 1, true) ~= nil end

  function made.has_name(lines, name) return string.find('\n' .. lines, '\ntask:' .. name .. ' ', 1, true) ~= nil end

  -- Whether the queue is: by what the key holds, for whoever does without it if that is of the wrong type.
  function made.is_queue_paused()
    local lines = redis.pcall('GET', tag .. 'paused')
    return lines and (type(lines) == 'table' or made.is_all(lines))
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

  function made.names(lines)
    local found = {}
    for name in string.gmatch(lines, 'task:(%S+) %d+') do found[#found + 1] = name end
    return found
  end

  return made
end
