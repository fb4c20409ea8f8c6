-- Prelude of the scripts that copy a whole queue: the keys that an index of it names, the name of a key's copy.
local function indexed(list)
  local tag, found = '{' .. list .. '}:', {}
  local function each(members, ...)
    for _, member in ipairs(members) do
      for _, family in ipairs({ ... }) do found[#found + 1] = tag .. family .. member end
    end
  end
  each(redis.call('SMEMBERS', tag .. 'needs'), 'parked:')
  each(redis.call('ZRANGE', tag .. 'workers', 0, -1), 'held:', 'worker:')
  each(redis.call('ZRANGE', tag .. 'consumers', 0, -1), 'consuming:', 'consumer:')
  return found
end

local function staged(list, way, key)
  return '{' .. list .. '}:' .. way .. ':' .. (key == list and '' or string.sub(key, #list + 4))
end
