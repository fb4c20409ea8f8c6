-- Prelude of the scripts that settle or return what a consumer holds. A held list has one message; more are coped with.
local LIMIT = 5      -- deaths and exceptions after which a message goes to dead-messages
local DAY = 86400    -- seconds a count is kept

local function seconds()
  return tonumber(redis.call('TIME')[1])
end

-- Count one death or exception of a message; true when it was the last that it is allowed.
local function is_over(came_back, message)
  local field = redis.sha1hex(message)
  local count, at = string.match(redis.call('HGET', came_back, field) or '', '^(%d+) (%d+)$')
  local now = seconds()
  count = (count and now - tonumber(at) <= DAY) and count + 1 or 1
  if count >= LIMIT then
    redis.call('HDEL', came_back, field)
    return true
  end
  redis.call('HSET', came_back, field, string.format('%d %d', count, now))
  redis.call('EXPIRE', came_back, DAY)
  return false
end

-- Move what is held to the head of the list, in its old order, or to dead-messages.
-- Returns how many went back and how many are dead.
local function give_back(list, held, came_back, dead, charged)
  local back, died = 0, 0
  local message = redis.call('RPOP', held) -- frees memory first, so a full server lets the rest pass
  while message do
    if charged and is_over(came_back, message) then
      redis.call('RPUSH', dead, message)
      died = died + 1
    else
      redis.call('LPUSH', list, message)
      back = back + 1
    end
    message = redis.call('RPOP', held)
  end
  return {back, died}
end

-- Take the held message off: it is done, or dead because it cannot be loaded.
local function settle(held, came_back, dead, fate)
  local message = redis.call('LPOP', held)
  if not message then
    return
  end
  if fate == 'dead' then
    redis.call('RPUSH', dead, message)
  end
  if redis.call('EXISTS', came_back) == 1 then
    redis.call('HDEL', came_back, redis.sha1hex(message))
  end
end
