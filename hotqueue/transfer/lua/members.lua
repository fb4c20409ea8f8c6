-- Prelude of the scripts that copy a whole queue: the keys that an index of it names, the name of a key's copy.
local function indexed(list)
  local tag, found = '{' .. list .. '}:', {}
  local function each(members, ...)
    for _, member in ipairs(members) do
      for _, family in ipairs({ ... }) do found[#found + 1] = tag .. family .. member end
    end
  end
  for number = 2, math.min(tonumber(redis.call('GET', tag .. 'schema:2') or 1) or 1, 99) do found[#found + 1] = tag .. 'schema:' .. number end
  each(redis.call('SMEMBERS', tag .. 'needs'), 'parked:')
  each(redis.call('SMEMBERS', tag .. 'lanes'), 'lane:', 'slots:')
  each(redis.call('ZRANGE', tag .. 'workers', 0, -1), 'held:', 'worker:')
  each(redis.call('ZRANGE', tag .. 'consumers', 0, -1), 'consuming:', 'consumer:')
  each(redis.call('HKEYS', tag .. 'outbox'), 'posted:')
  each(redis.call('HKEYS', tag .. 'receipts'), 'received:')
  for _, field in ipairs(redis.call('HKEYS', tag .. 'owned')) do -- results that have to be there as long as who owns them
    if string.sub(field, 1, 1) ~= '\n' then found[#found + 1] = tag .. 'result:' .. field end
  end
  return found
end

local function staged(list, way, key)
  return '{' .. list .. '}:' .. way .. ':' .. (key == list and '' or string.sub(key, #list + 4))
end
