-- The dead list. Put behind the prelude.

-- Take a task out of the dead list; returns how many bytes are left in it. The count begins anew whenever the list is empty,
-- and where somebody else put something in its place it stops no work.
local function drop_dead(dead, tasks, bytes, id)
  local size = redis.call('HSTRLEN', tasks, id)
  redis.call('HDEL', tasks, id)
  redis.call('ZREM', dead, id)
  if redis.call('EXISTS', dead) == 0 then
    redis.call('DEL', bytes)
    return 0
  end
  local left = redis.pcall('INCRBY', bytes, 0 - size)
  return type(left) == 'number' and left or 0
end
