-- Let go of some results that owners had which are over.
-- KEYS 1 owned 2 owned:over
-- Returns how many parts are left to do.
local owned, owned_over = KEYS[1], KEYS[2]
local wrong = newer_queue() or must_be('hash', owned) or must_be('list', owned_over)
if wrong then return wrong end
may_grow(owned)
return owning(owned, now_ms()).let_go_of_part()
