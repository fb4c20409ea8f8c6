-- A page of the dead list, the newest first: no more records than are read at once, one at least. Writes nothing.
-- KEYS 1 dead 2 dead:tasks
-- ARGV 1 how many at most 2 how many of the newest to pass over; or 3 the id and 4 the time of death of the one behind which it goes on
-- Returns { id, time of death, record or '', … }. Where the one to go on behind has gone, those of its moment come (again), and what follows.
local dead, dead_tasks = KEYS[1], KEYS[2]
local newer = newer_queue()
if newer then return newer end
local most, first, last, died = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
if died ~= '' and redis.call('ZSCORE', dead, last) == died then
  first = redis.call('ZREVRANK', dead, last) + 1
elseif died ~= '' then -- an id may be empty, where somebody else wrote it
  first = redis.call('ZCOUNT', dead, '(' .. died, '+inf')
end
local line, out, bytes = redis.call('ZREVRANGE', dead, first, first + most - 1, 'WITHSCORES'), {}, 0
for i = 1, #line, 2 do
  bytes = bytes + redis.call('HSTRLEN', dead_tasks, line[i])
  if bytes > READ_BYTES and i > 1 then break end
  local n = #out
  out[n + 1], out[n + 2], out[n + 3] = line[i], line[i + 1], redis.call('HGET', dead_tasks, line[i]) or ''
end
return out
