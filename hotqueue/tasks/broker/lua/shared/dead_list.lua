-- The dead list. Put behind the prelude.

-- Take a task out of the dead list, and what it has kept for its next run, unless it `runs` again; returns how many bytes are left in
-- it. The count begins anew whenever the list is empty, and where somebody else put something in its place it stops no work.
local function drop_dead(dead, tasks, bytes, id, runs)
  local size = redis.call('HSTRLEN', tasks, id)
  if size > 0 then
    local checkpoints = string.sub(dead, 1, -5) .. 'checkpoints'
    local kept = redis.pcall('HSTRLEN', checkpoints, id)
    if type(kept) == 'number' and kept > 0 then
      size = size + kept
      if not runs then redis.call('HDEL', checkpoints, id) end
    end
  end
  redis.call('HDEL', tasks, id)
  redis.call('ZREM', dead, id)
  if redis.call('EXISTS', dead) == 0 then
    redis.call('DEL', bytes)
    return 0
  end
  local left = redis.pcall('INCRBY', bytes, 0 - size)
  return type(left) == 'number' and left or 0
end
