-- Hold a connection, or one of its lanes, back: no request before now + delay. The longest hold stands, and goes when it is over.
-- KEYS[1]  no request before this instant, µs
-- ARGV[1]  delay, µs
-- ARGV[2]  longest hold, µs
-- Returns how long the hold lasts, µs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local latest = now + ARGV[2]
local value = redis.pcall('GET', KEYS[1])
local held = tonumber(type(value) == 'string' and value) or 0
-- What lies further ahead than any hold can was written by a clock that was wrong.
if not (held >= 0 and held <= latest) then held = 0 end
local till = math.max(math.min(now + ARGV[1], latest), held)
redis.call('SET', KEYS[1], string.format('%.0f', till), 'PX', string.format('%.0f', math.max(1, (till - now) / 1000 + 1)))
return string.format('%.0f', till - now)
