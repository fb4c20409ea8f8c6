-- Have a task own results: they stay, beyond their own time, until it has ended and cannot be retried.
-- KEYS 1 tasks 2 dead:tasks 3-5 done 6 owned
-- ARGV 1 what the key of a result begins with 2 owner 3 number of the part: 0, 1, 2 … 4 '1': each has to exist 5 ids, each with a newline
--      behind it, at most 1,000
-- Returns { a letter an id, whether it is so }: R the result is there, T the task has not ended, D it ended without a result,
--   X it is dead and its result has expired, U unknown, or expired. It is not so when there is no such owner, or one has to exist
--   and does not. Said again it is what it was. A part is said once: other ids under its number are refused.
local tasks, dead_tasks, owned = KEYS[1], KEYS[2], KEYS[6]
local done = { KEYS[3], KEYS[4], KEYS[5] }
local results, owner, part, is_strict, names = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5]
local wrong = newer_queue() or must_be('hash', tasks, dead_tasks, owned)
if wrong then return wrong end
local owners = owning(owned, now_ms())
local ids, states, all_there = owners.lines(names), {}, true
if #ids == 0 or #ids > MOST or string.find(owner, '\n', 1, true) then return redis.error_reply('ERR no owner, or no ids, of ours') end
local unfinished = redis.call('HMGET', tasks, unpack(ids))
for n, id in ipairs(ids) do
  if unfinished[n] then
    states[n] = 'T'
  elseif redis.call('EXISTS', results .. id) == 1 then
    states[n] = 'R'
  else
    states[n] = redis.call('HEXISTS', dead_tasks, id) == 1 and 'X' or is_done(done, id) and 'D' or 'U'
    all_there = false
  end
end
states = table.concat(states)
if redis.call('HEXISTS', tasks, owner) + redis.call('HEXISTS', dead_tasks, owner) == 0 or (is_strict and not all_there) then
  return { states, 0 }
end
local refused = owners.own_part(owner, part, names, states)
if refused then return redis.error_reply('ERR part ' .. text(part) .. ' of what ' .. owner .. ' owns ' .. refused) end
return { states, 1 }
