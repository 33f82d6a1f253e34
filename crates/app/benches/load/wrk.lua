-- Plays a list of requests, one per line of the file given as the first argument: method, path, token, content type, body,
-- separated by tabs. The second argument says how many threads there are: every thread has its own part of the list. The third
-- says for how many milliseconds a refused connection rests before its next request, as `Retry-After` wants it; 0 is not at
-- all. Ends with one line of JSON, because what wrk prints is for people.

local threads = 0

function setup(thread)
  thread:set("place", threads)
  threads = threads + 1
end

local requests, turn = {}, 0

function init(arguments)
  local number, parts = 0, tonumber(arguments[2])
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
  local rest, owed = tonumber(arguments[3]), 0
  if rest > 0 then
    -- wrk does not say which connection it asks about; all are alike, so what counts is how many rest.
    response = function(status)
      if status >= 400 then owed = owed + 1 end
    end
    delay = function()
      if owed == 0 then return 0 end
      owed = owed - 1
      return rest
    end
  end
end

function request()
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
