-- Take a snapshot: copy a queue's keys as they are at this moment, to be read later. The copies expire by themselves.
-- KEYS: the list, and the keys of the queue that are known    ARGV: ms that the copies stay
-- Copies what the indexes name as well: nothing that moves from one key to another may be missed.
-- Returns { { key, its copy, ms to live or -1 }, … }.
local seen, answer = {}, {}
local function take(key)
  if seen[key] then return end
  seen[key] = true
  local left = redis.call('PTTL', key)
  if left == -2 then return end
  local copy = staged(KEYS[1], 'export', key)
  redis.call('COPY', key, copy, 'REPLACE')
  redis.call('PEXPIRE', copy, ARGV[1])
  answer[#answer + 1] = { key, copy, left }
end
for _, key in ipairs(KEYS) do take(key) end
for _, key in ipairs(indexed(KEYS[1])) do take(key) end
return answer
