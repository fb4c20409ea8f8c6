-- How much a look at tasks reads at once. Put behind the prelude.

local SOME = 20

local function mean_size(tasks, ids, most)
  local sum = 0
  for _, id in ipairs(ids) do sum = sum + math.min(most, redis.call('HSTRLEN', tasks, id)) end
  return sum / math.max(1, #ids)
end

-- How many tasks are worth reading with their envelopes: no more of them than are read at once, by the sizes of some, and of some of the
-- large ones.
local function page_of(tasks, large)
  local mean = mean_size(tasks, redis.call('HRANDFIELD', tasks, SOME), SMALL_TASK)
  local larges = redis.pcall('SRANDMEMBER', large, SOME)
  if larges.err then larges = {} end
  if #larges > 0 then
    mean = mean + mean_size(tasks, larges, math.huge) * redis.call('SCARD', large) / math.max(1, redis.call('HLEN', tasks))
  end
  return math.max(1, math.min(MOST, math.floor(READ_BYTES / math.max(1, mean))))
end
