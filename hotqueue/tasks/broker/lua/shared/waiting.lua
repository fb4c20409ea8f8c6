-- How many tasks wait for a worker; put behind the prelude.

-- Those that are ready, in lanes or parked: whatever a worker that has time may have to do. Those that wait for their time are none yet,
-- and what a worker has in hand is none any more. What is not of its type counts as nothing: see gates.lua.
local function waiting_tasks(ready)
  local tag, waiting = string.sub(ready, 1, -6), 0
  local function add(command, key)
    local found = redis.pcall(command, tag .. key)
    if type(found) == 'number' then waiting = waiting + found end
  end
  add('ZCARD', 'ready')
  add('ZCARD', 'ready:async')
  add('ZCARD', 'suspects')
  add('SCARD', 'blocked')
  local needs = redis.pcall('SMEMBERS', tag .. 'needs')
  for i = 1, #needs do add('ZCARD', 'parked:' .. needs[i]) end
  add('ZCARD', 'parked:unique') -- which is in no list of needs: see unique.lua
  return waiting
end
