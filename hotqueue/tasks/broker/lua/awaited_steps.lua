-- Which steps wait for tasks that are still to end, of some of these, and for how many of them. Reads.
-- KEYS 1 owned 2 tasks
-- ARGV 1 where to go on, '0' to begin with
-- Returns { where to go on next, '0' when all were looked at, of each step its id, and how many }.
local owned, tasks = KEYS[1], KEYS[2]
local wrong = newer_queue() or must_be('hash', owned, tasks)
if wrong then return wrong end
local found, times = redis.call('HSCAN', owned, ARGV[1], 'COUNT', 200), {}
local out = { found[1] }
for i = 1, #found[2], 2 do
  local entry = found[2][i + 1]
  if string.find(entry, '\n%l') and string.byte(found[2][i]) ~= 10 and redis.call('HEXISTS', tasks, found[2][i]) == 1 then
    for kind, id in string.gmatch(entry, '\n(%l)([^\n]+)') do
      if kind ~= 'h' then times[id] = (times[id] or 0) + 1 end
    end
  end
end
for id, number in pairs(times) do out[#out + 1], out[#out + 2] = id, number end
return out
