-- Whether there is anything that upkeep has to see to: tasks, results to be let go of, what goes to other queues or came from them,
-- slots of schedules, orders, what is to be counted.
-- KEYS 1 tasks 2 owned:over 3 outbox 4 receipts 5 schedules:next 6 steps:todo 7 steps:open 8 control 9 accounts 10 enqueued
-- Returns how many of these there are. Writes nothing.
return redis.call('EXISTS', unpack(KEYS))
