-- Waking those who wait for tasks. Put behind the prelude.

local BELLS = 4             -- wake tokens kept at most

-- Bells do without: a key of the wrong type there stops no work.
-- Whoever took a token may never come for its task: a process that is stopped takes one all the same. So a bell that holds none is
-- rung for every task that waits, those included that were rung for before and are still there.
local function ring(bell, tokens, ready)
  local length = redis.pcall('LLEN', bell)
  if type(length) == 'table' then return end
  local waiting = length == 0 and redis.pcall('ZCARD', ready)
  if type(waiting) == 'number' then tokens = math.max(tokens, waiting) end
  local room = BELLS - length
  for _ = 1, math.min(room, tokens) do redis.call('LPUSH', bell, '1') end
end
