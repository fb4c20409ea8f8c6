-- At which queues any of some workers is registered. Writes nothing.
-- KEYS workers of each queue
-- ARGV names of the workers
-- Returns for each queue how many of them; 0 where that cannot be read.
-- Mostly it is none of them: each worker has a key of its own at its queues, and one command tells that none of thousands is there.
local AT_ONCE = 4000
local found, some, is_any = {}, {}, false

local function look()
  is_any = is_any or (#some > 0 and redis.call('EXISTS', unpack(some)) > 0)
  some = {}
end

for n, workers in ipairs(KEYS) do
  found[n] = 0
  local front = string.sub(workers, 1, -2) .. ':'
  for _, name in ipairs(ARGV) do some[#some + 1] = front .. name end
  if #some + #ARGV > AT_ONCE then look() end
end
look()
if not is_any then return found end
for n, workers in ipairs(KEYS) do
  local scores = redis.pcall('ZMSCORE', workers, unpack(ARGV))
  for _, score in ipairs(scores.err and {} or scores) do
    if score then found[n] = found[n] + 1 end
  end
end
return found
