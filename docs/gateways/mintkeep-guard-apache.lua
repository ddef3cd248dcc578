-- Asks mintkeep-guard about each request, for Apache's mod_lua: see apache-lua.conf. It needs Debian's lua-socket.
local unix = require "socket.unix"
local path = "/run/mintkeep-guard.sock"
local names = {
    "X-Auth-Subject", "X-Auth-Client-Id", "X-Auth-Scope", "X-Auth-Type",
    "X-Auth-Credential-Id", "X-Auth-Audience", "X-Auth-Expires", "X-Auth-Actor",
}
local unavailable = '{"error":"temporarily_unavailable","error_description":"The credential cannot be checked now. Try again."}'
local guard -- the connection of this thread; it stays open

-- exchange sends a request and reads its answer. nil: there is none.
local function exchange(request)
    local sent = guard:send(request)
    local status = sent and (guard:receive("*l") or ""):match("^HTTP/1%.1 (%d%d%d)")
    local headers = {}
    while status do
        local line = guard:receive("*l")
        if not line then
            return nil
        elseif line == "" then
            local length = tonumber(headers["content-length"])
            local body = length == 0 and "" or length and guard:receive(length)
            return body and tonumber(status), headers, body
        end
        local name, value = line:match("^([^:]+):%s*(.-)%s*$")
        if name then
            headers[name:lower()] = value
        end
    end
end

-- ask asks again on a new connection if the one that was kept has been closed meanwhile.
local function ask(request)
    local fresh
    repeat
        fresh = not guard
        guard = guard or unix()
        guard:settimeout(4, "t")
        if not fresh or guard:connect(path) then
            local status, headers, body = exchange(request)
            if status then
                return status, headers, body
            end
        end
        guard:close()
        guard = nil
    until fresh
end

function verify(r)
    for name in pairs(r:headers_in_table()) do
        if name:lower():match("^x[-_]auth[-_]") then
            r.headers_in[name] = nil
        end
    end
    local required = r.subprocess_env["mintkeep_guard"]
    if not required then
        r:err("mintkeep_guard is not set: name what this route requires, such as scope=read")
        return 500
    end
    local authorization = r.headers_in["Authorization"]
    local status, headers, body = ask("GET /verify?" .. required .. " HTTP/1.1\r\nHost: mintkeep-guard\r\n"
        .. (authorization and "Authorization: " .. authorization .. "\r\n" or "") .. "\r\n")
    if status == 200 then
        for _, name in ipairs(names) do
            r.headers_in[name] = headers[name:lower()]
        end
        if headers["x-auth-subject"] then
            return apache2.OK
        end
        status = nil -- not the guard
    end
    if status == 400 or status == 401 or status == 403 then
        r.err_headers_out["WWW-Authenticate"] = headers["www-authenticate"]
    else
        r.err_headers_out["Retry-After"] = "1"
        status, body = 503, unavailable
    end
    r.status, r.content_type = status, "application/json"
    r.err_headers_out["Cache-Control"] = "no-store"
    r:puts(body)
    return apache2.DONE
end
