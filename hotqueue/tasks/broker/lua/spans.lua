-- What was counted in some spans of a queue, and what is told and not counted yet, as of one moment. Writes nothing.
-- KEYS 1 statistics 2 accounts 3 enqueued
-- ARGV 1 which step, as the fields of rows have it 2 how many spans of it are kept 3 number of the first span 4 how many
--      5 '1': of all tasks together; '0': of each name, and of no more names than 6 says 7 the version that the caller knows, of which it wants no rows
--      8 how many accounts may be told at once: others wait for so long
-- Returns { version, names or '', rows, of one name after another, accounts, enqueued }; 0 where nothing was ever counted, 1 where there are more accounts.
local statistics, accounts, enqueued = KEYS[1], KEYS[2], KEYS[3]
local step, kept, first, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local is_of_all, most = ARGV[5] == '1', tonumber(ARGV[6])
if redis.call('EXISTS', statistics, accounts, enqueued) == 0 then return 0 end
local known = redis.call('HMGET', statistics, 'version', 'counted')
local version, counted = known[1] or '0', tonumber(known[2]) or 0 -- these stand in front of what is not
if redis.call('LLEN', accounts) - counted > tonumber(ARGV[8]) then return 1 end
local names, numbers = '', { 0 }
if not is_of_all then
  names, numbers = redis.call('HGET', statistics, 'task names') or '', {}
  local _, others = string.gsub(names, '\n', '')
  for n = 1, names == '' and 0 or math.min(most, others + 1) do numbers[n] = n end
end
local rows = {}
if version ~= ARGV[7] then
  for _, number in ipairs(numbers) do
    local fields = {}
    for n = 0, count - 1 do fields[n + 1] = struct.pack('>BHH', step, number, (first + n) % kept) end
    for n, row in ipairs(redis.call('HMGET', statistics, unpack(fields))) do rows[#rows + 1] = row or '' end
  end
end
return { version, names, rows, redis.call('LRANGE', accounts, counted, -1), redis.call('HGETALL', enqueued) }
