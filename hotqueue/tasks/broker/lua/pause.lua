-- Pause a queue or the tasks of a name, or undo that.
-- KEYS 1 paused 2 ready 3 ready:async 4 bell 5 bell:async
-- ARGV 1 'pause' or 'resume' 2 what, as its line begins: '1' for the queue, 'task:<name>' 3 how many lines there may be
-- Returns 1, or 0 when there are too many.
local paused, ready, ready_async, bell, bell_async = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local is_pause, what, most = ARGV[1] == 'pause', ARGV[2], tonumber(ARGV[3])
local wrong = newer_queue() or must_be('string', paused)
if wrong then return wrong end
local lines, others, before = redis.call('GET', paused) or '', {}, nil
if lines == '1' then lines = '1 0' end
for line in string.gmatch(lines, '[^\n]+') do
  if string.match(line, '^(.*) ') == what then before = line else others[#others + 1] = line end
end
if is_pause then
  if #others >= most then return 0 end
  others[#others + 1] = before or what .. ' ' .. text(now_ms())
end
redis.call('DEL', paused) -- first: a full server lets a script go on that has written
if others[1] then redis.call('SET', paused, table.concat(others, '\n')) end
if not is_pause then -- for who unparks what was set aside, too
  ring(bell, 1, ready)
  ring(bell_async, 1, ready_async)
end
return 1
