-- Plays a list of requests, one per line of the file given as the first argument: method, path, token, content type, body,
-- separated by tabs. The second argument says how often the list is played (0: until the time is over), the third how many
-- milliseconds a connection rests before each request, the fourth how many threads there are: every thread has its own part
-- of the list. Ends with one line of JSON, because what wrk prints is for people.

local threads = 0

function setup(thread)
  thread:set("place", threads)
  threads = threads + 1
end

local requests, turn, left, pause = {}, 0, -1, 0

function init(arguments)
  local number, parts = 0, tonumber(arguments[4])
  for line in io.lines(arguments[1]) do
    if number % parts == place then
      local method, path, token, kind, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$")
      local headers = {}
      if token ~= "" then headers["Authorization"] = "Bearer " .. token end
      if kind ~= "" then headers["Content-Type"] = kind end
      if body == "" then body = nil end
      requests[#requests + 1] = wrk.format(method, path, headers, body)
    end
    number = number + 1
  end
  local passes = tonumber(arguments[2])
  if passes > 0 then left = passes * #requests end
  pause = tonumber(arguments[3])
  if pause > 0 then
    delay = function() return pause end
  end
end

function request()
  if left == 0 then wrk.thread:stop() else left = left - 1 end
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'guiche {"requests":%d,"refused":%d,"broken":%d,"micros":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max
  ))
end
