-- Asks mintkeep-guard about each request. HAProxy 2.6 and later; see haproxy.cfg.
local address = "http://127.0.0.1:8182"
local headers = {
    "x-auth-subject", "x-auth-client-id", "x-auth-scope", "x-auth-type",
    "x-auth-credential-id", "x-auth-audience", "x-auth-expires", "x-auth-actor",
}

local function verify(txn, requirements)
    for _, name in ipairs(headers) do
        txn.http:req_del_header(name)
    end
    txn:set_var("txn.guard_status", 503) -- until the guard has said something else
    local sent = {}
    local authorization = txn.http:req_get_headers()["authorization"]
    if authorization then
        local all = {}
        for i = 0, #authorization do
            table.insert(all, authorization[i])
        end
        sent["authorization"] = all
    end
    local answer = core.httpclient():get{
        url = address .. "/verify?" .. requirements, headers = sent, timeout = 4000,
    }
    if not answer or not answer.status then
        return
    end
    if answer.status == 200 then
        for _, name in ipairs(headers) do
            local value = answer.headers[name]
            if not value then -- not the guard
                return
            end
            txn.http:req_set_header(name, value[0])
        end
    elseif answer.status == 400 or answer.status == 401 or answer.status == 403 then
        local challenge = answer.headers["www-authenticate"]
        txn:set_var("txn.guard_challenge", challenge and challenge[0] or "")
        txn:set_var("txn.guard_body", (answer.body:gsub("%s+$", "")))
    else
        return
    end
    txn:set_var("txn.guard_status", answer.status)
end

core.register_action("mintkeep_guard", { "http-req" }, verify, 1)
