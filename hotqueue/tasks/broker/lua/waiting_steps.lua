-- Some of the steps that wait here for ends of tasks, or for what they take from another queue ('@in'); none of a workflow of which more is to be sent. Reads.
-- KEYS 1 steps 2 steps:open
-- ARGV 1 where to go on, '0' to begin with
-- Returns { where to go on next, '0' when all were looked at, of each its id, and its row }.
local steps, steps_open = KEYS[1], KEYS[2]
local wrong = newer_queue() or must_be('hash', steps) or must_be('zset', steps_open)
if wrong then return wrong end
local found = redis.call('HSCAN', steps, ARGV[1], 'COUNT', 200)
local out = { found[1] }
for i = 1, #found[2], 2 do
  local left, due, root = string.match(found[2][i + 1], '^(%d+) %d+ %S+ (%S*) ([^\n]*)')
  local waits = left and not string.find(due, '[=~]') -- those: another queue has it
  if waits and not (root ~= '' and redis.call('ZSCORE', steps_open, root)) then
    out[#out + 1], out[#out + 2] = found[2][i], found[2][i + 1]
  end
end
return out
