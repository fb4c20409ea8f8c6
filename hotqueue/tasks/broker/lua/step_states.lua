-- How some tasks are, as the steps of a workflow: of each the begin of its record, or where it stands. Writes nothing.
-- KEYS 1 tasks 2 dead:tasks 3 scheduled
-- ARGV 1 what the key of a result begins with 2 how many bytes of a record are wanted 3… ids
-- Returns of each of them that begin; or, where there is no record, 's' scheduled, 't' it is there in another way, 'd' dead, '' none of that.
local tasks, dead_tasks, scheduled = KEYS[1], KEYS[2], KEYS[3]
local newer = newer_queue()
if newer then return newer end
local results, last, found = ARGV[1], tonumber(ARGV[2]) - 1, {}
for n = 3, #ARGV do
  local id = ARGV[n]
  local head = redis.pcall('GETRANGE', results .. id, 0, last)
  if type(head) ~= 'string' or head == '' then
    if redis.call('HEXISTS', tasks, id) == 1 then
      head = redis.call('ZSCORE', scheduled, id) and 's' or 't'
    else
      head = redis.call('HEXISTS', dead_tasks, id) == 1 and 'd' or ''
    end
  end
  found[#found + 1] = head
end
return found
