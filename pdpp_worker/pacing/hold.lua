-- Hold a connection back: no request before now + delay. The longest hold stands.
-- KEYS[1]  the connection's bucket
-- ARGV[1]  delay, µs
-- ARGV[2]  how long an idle bucket is kept, ms
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local bucket = redis.call('HMGET', KEYS[1], 'hold', 'last')
local till = math.max(now + tonumber(ARGV[1]), tonumber(bucket[1] or 0))
local busy = math.max(till, tonumber(bucket[2] or 0))
redis.call('HSET', KEYS[1], 'hold', string.format('%.0f', till))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', (busy - now) / 1000 + tonumber(ARGV[2])))
return string.format('%.0f', till - now)
