-- Store results.
-- KEYS: results    ARGV: for each its value and ms to live (-1: for ever)
for i, key in ipairs(KEYS) do
  if ARGV[2 * i] == '-1' then redis.call('SET', key, ARGV[2 * i - 1])
  else redis.call('SET', key, ARGV[2 * i - 1], 'PX', ARGV[2 * i]) end
end
return #KEYS
