-- Put the last unstarted tasks of a worker's fetch back at their places, uncharged: their permits were drained.
-- KEYS 1 held:<worker> 2 ready 3 ready:async 4 suspects 5 bell 6 bell:async
-- ARGV 1 fetch number 2 how many, from the tail
-- Returns how many went back. Which ones that are was settled when they were fetched: so it may come late, or twice, and puts back
-- nothing that has started meanwhile, under this number or another.
local held, ready, ready_async, suspects, bell, bell_async = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local fetch, tail = ARGV[1], tonumber(ARGV[2])
local wrong = must_be('zset', ready, ready_async, suspects)
if wrong then return wrong end
may_grow(held)
local back = holds().let_go_unstarted(held, fetch, tail, function(id, origin, place)
  local set = holds().place_of(origin, ready, ready_async, suspects)
  redis.call('ZADD', set, place, id)
  if set == suspects then gates(ready).lanes().free(id) end -- one in ready keeps its slot
end)
gates(ready).ring()
if back > 0 then
  ring(bell, back, ready)
  if redis.call('ZCARD', ready_async) > 0 then ring(bell_async, back, ready_async) end
end
return back
