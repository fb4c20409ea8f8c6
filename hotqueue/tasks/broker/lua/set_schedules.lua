-- Change schedules: each change only if its schedule is as it was read. Nothing is fired in this queue; what goes to others is posted.
-- KEYS 1 schedules 2 schedules:states 3 schedules:next
-- ARGV what firing.lua says
-- Returns one number a change: 1 done, 0 not.
local schedules, schedules_states, schedules_next = KEYS[1], KEYS[2], KEYS[3]
local newer = newer_queue()
if newer then return newer end
local made, packed = firing(schedules, schedules_states, schedules_next, 0), ''
may_grow(schedules_states)
local is_new = redis.call('EXISTS', schedules) == 0
for _, change in ipairs(made.changes) do
  if change.counts then packed = packed .. ARGV[change.from + 6] end
end
if packed ~= '' then posting(string.sub(schedules, 1, -#'schedules' - 1))(packed)() end
local done = made.note({})
-- For workers with a glob, as enqueue.lua says it of a queue's first task: this one may have none yet.
if is_new and redis.call('EXISTS', schedules) == 1 then
  redis.pcall('PUBLISH', 'hotqueue:new', string.sub(schedules, 11, -12)) -- {hotqueue:<name>}:schedules
end
return done
