-- At which queues any of some workers is registered. Writes nothing.
-- KEYS workers of each queue
-- ARGV names of the workers
-- Returns for each queue how many of them; 0 where that cannot be read.
local found = {}
for n, workers in ipairs(KEYS) do
  local scores, count = redis.pcall('ZMSCORE', workers, unpack(ARGV)), 0
  for _, score in ipairs(scores.err and {} or scores) do
    if score then count = count + 1 end
  end
  found[n] = count
end
return found
