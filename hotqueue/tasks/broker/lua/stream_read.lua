-- Read some batches of items of a task, from an item on: no more than are read at once, one at least if there is one.
-- KEYS 1 stream:<id> 2 streamed:<id> 3 tasks
-- ARGV 1 id 2 attempt ('': whichever there is) 3 number of the item 4 bytes (0: none) 5 reader 6 ms for which the task waits for
--      it (0: it goes) 7 '1': until it has used what it has; '': until it has read what there is
-- Returns { 1 if the task has not ended, attempt or '', number of the first item that is there, number of items, then the number of the
--      item behind a batch, the batch, … }; batches only of the attempt that was asked for. See stream_add.lua.
local stream, streamed, tasks = KEYS[1], KEYS[2], KEYS[3]
local id, wanted, at, most_bytes, reader, ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local is_held = ARGV[7] == '1'
local wrong = newer_queue() or must_be('stream', stream) or must_be('hash', streamed, tasks)
if wrong then return wrong end
local known = redis.call('HMGET', streamed, 'attempt', 'first', 'count', 'largest')
local attempt, first, count = known[1] or '', tonumber(known[2] or '0') or 0, tonumber(known[3] or '0') or 0
local is_there = redis.call('HEXISTS', tasks, id)
local found = { is_there, attempt, first, count }
local is_same = wanted == '' or wanted == attempt
if attempt ~= '' and most_bytes > 0 and at < count and is_same then
  local number = math.max(1, math.floor(most_bytes / math.max(tonumber(known[4]) or 0, 1)))
  local from = attempt .. '-' .. text(math.max(at, first) + 1)
  for _, entry in ipairs(redis.call('XRANGE', stream, from, '+', 'COUNT', math.min(number, MOST))) do
    found[#found + 1], found[#found + 2] = tonumber(string.match(entry[1], '%-(%d+)$')), entry[2][2]
  end
end
if ms == 0 then
  redis.call('HDEL', streamed, 'r:' .. reader)
elseif is_there == 1 then
  if not is_held and #found > 4 then at = found[#found - 1] end
  -- A full server takes no note of who reads, and is read all the same.
  redis.pcall('HSET', streamed, 'r:' .. reader, (is_same and attempt or wanted) .. ' ' .. text(at) .. ' ' .. text(now_ms() + ms))
  if redis.call('PTTL', streamed) < ms then redis.call('PEXPIRE', streamed, text(ms)) end
end
return found
