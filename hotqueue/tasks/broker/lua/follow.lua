-- Go on with what the ends of tasks mean for the steps behind them, where a script left some of it; and end what waits of workflows whose
-- senders died before they had sent all.
-- KEYS 1 ready 2 owned 3 steps:todo 4 steps:open
-- ARGV 1 '' or the workflow that is being ended 2 where to go on with that
-- Returns { how much is left to follow, the workflow that is being ended or '', where to go on }.
local ready, owned, steps_todo, steps_open = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local root, cursor = ARGV[1], ARGV[2]
local wrong = newer_queue() or must_be('hash', owned) or must_be('list', steps_todo) or must_be('zset', steps_open)
if wrong then return wrong end
may_grow(owned)
local now = now_ms()
local follow = following(ready, owning(owned, now), now)
if root == '' then
  root, cursor = redis.call('ZRANGEBYSCORE', steps_open, '-inf', text(now), 'LIMIT', 0, 1)[1] or '', '0'
end
if root ~= '' then
  cursor = follow.end_unsent(root, cursor)
  if cursor == '0' then
    redis.call('ZREM', steps_open, root)
    root = ''
  end
end
local left = follow.follow()
follow.ring()
gates(ready).ring()
return { left, root, cursor }
