-- Whether tasks wait that a worker can do something about. Writes nothing.
-- KEYS 1 ready 2 ready:async 3 suspects 4 needs 5 scheduled
-- Returns how many of them are there.
return redis.call('EXISTS', unpack(KEYS))
