-- Hold a connection back: no request before now + delay. The longest hold stands, and goes when it is over.
-- KEYS[1]  no request before this instant, µs
-- ARGV[1]  delay, µs
-- Returns how long the hold lasts, µs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local till = math.max(now + ARGV[1], tonumber(redis.call('GET', KEYS[1]) or 0))
redis.call('SET', KEYS[1], string.format('%.0f', till), 'PX', string.format('%.0f', math.max(1, (till - now) / 1000 + 1)))
return string.format('%.0f', till - now)
