-- Free the done sets that are about to expire: when millions of ids expire at once, the server is held up for seconds.
-- KEYS 1-3 done
-- ARGV 1 ms: sets that have less to live
local before = tonumber(ARGV[1])
for _, done in ipairs(KEYS) do
  local left = redis.call('PTTL', done)
  if left >= 0 and left < before then redis.call('UNLINK', done) end
end
