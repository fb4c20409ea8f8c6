-- How many wake tokens a bell holds. Writes nothing.
-- KEYS 1 bell
local bell = KEYS[1]
return redis.call('LLEN', bell)
