-- Read results.
-- KEYS: results    ARGV: bytes: larger ones are read by themselves
-- Returns for each its value (nothing: large, or gone) and ms to live (-1: for ever, -2: gone).
local answer = {}
for _, key in ipairs(KEYS) do
  local is_small = redis.call('STRLEN', key) <= tonumber(ARGV[1])
  answer[#answer + 1] = is_small and redis.call('GET', key)
  answer[#answer + 1] = redis.call('PTTL', key)
end
return answer
