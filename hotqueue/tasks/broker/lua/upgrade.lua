-- Take a queue to the schema of this version: from now on its rows may have newer forms, and versions that do not know them are refused.
-- KEYS 1 workers 2 seq 3… schema:<n> of each number above 1, up to that one
-- Returns { schema before, workers that do not know the new one, … }. Never down; done again, it changes nothing.
local workers, seq = KEYS[1], KEYS[2]
local wrong = newer_queue() or must_be('zset', workers) or must_be('string', seq, unpack(KEYS, 3))
if wrong then return wrong end
local answer = { tonumber(KEYS[3] and redis.call('GET', KEYS[3])) or 1 }
for i = 3, #KEYS do redis.call('SET', KEYS[i], SCHEMA) end

-- Places go on above all that older versions give: by that number they see that the queue is newer, and ask.
local least = SCHEMA * NUMBERS - NUMBERS
if tonumber(redis.call('GET', seq) or 0) < least then redis.call('SET', seq, text(least)) end

-- Their workers settle what they hold, and fetch no more: what stands in the place of their last fetch is no number.
for _, name in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
  local worker = string.match(workers, '^{.-}:') .. 'worker:' .. name
  if (tonumber(redis.pcall('HGET', worker, 'schema') or 1) or 1) < SCHEMA then
    redis.pcall('HSET', worker, 'fetch', 'newer')
    answer[#answer + 1] = name
  end
end
return answer
