-- Whether a queue is newer than its script. Put behind the prelude; step, sweep and enqueue_one do it in ways of their own.

-- A queue's schema says which forms its rows may have. A key stands for each number from 2 up to it, and holds it: so a script that
-- knows fewer forms finds the one behind its own. See docs/decisions/0042.
-- Gives back the refusal of a script that is older than its queue, nil where it is not.
local function newer_queue()
  local prefix, name = string.match(KEYS[1], '^({[^:]*:(.-)}:)')
  local found = redis.call('GET', prefix .. 'schema:' .. SCHEMA + 1)
  if found then return redis.error_reply('NEWERQUEUE ' .. found .. ' ' .. SCHEMA .. ' ' .. name) end
end
