// Package metrics is Mintkeep's metrics for Prometheus, and the only importer of
// its client.
//
// One struct, Metrics, has a registry of its own. The other packages count by
// calling its methods, all of which do nothing on a nil *Metrics, so that a test
// or a tool needs none. Handler serves the scrape, on a listener apart from the
// public one.
//
// No label value comes from outside: a route is a pattern of the server's own
// table, and methods, statuses, formats, reasons and Redis commands outside fixed
// lists are counted as "other". There is also a limit on the number of series, so
// that even an error in a caller costs accuracy and not memory.
//
// The series:
//
//	mintkeep_http_requests_total{route,method,status}       answered requests
//	mintkeep_http_request_duration_seconds{route}           from first byte read to last byte written
//	mintkeep_tokens_issued_total{format}                    jwt, opaque
//	mintkeep_tokens_refused_total{reason}                   the error code of RFC 6749 §5.2
//	mintkeep_introspections_total{result}                   active, inactive
//	mintkeep_redis_command_duration_seconds{command}        round trips, with those that failed
//	mintkeep_redis_errors_total{command}                    what the store could not do
//	mintkeep_redis_pool_connections                         open connections
//	mintkeep_redis_pool_idle_connections                    of these, idle
//	mintkeep_redis_pool_hits_total                          times a free connection was there
//	mintkeep_redis_pool_misses_total                        times none was
//	mintkeep_redis_pool_timeouts_total                      times the wait for one timed out
//	mintkeep_redis_pool_stale_total                         connections dropped for being old or broken
//	mintkeep_store_behind                                   1: Redis has lost what this replica has seen in it
//	mintkeep_signing_key_age_seconds                        of the active key; absent until one is loaded
//	mintkeep_remote_key_fetches_total{result}               ok, failed: fetches of clients' key sets
//	mintkeep_remote_key_sets                                fetched key sets that can be used
//	mintkeep_remote_key_sets_overdue                        of these, past their time because they cannot be fetched
//	mintkeep_remote_key_oldest_seconds                      since the oldest one in use was fetched
//	mintkeep_feed_subscribers                               polls of guards that wait
//	mintkeep_feed_look_age_seconds                          since the last successful look; absent while no guard polls
//	mintkeep_feed_voids_total{kind}                         appended, by what was revoked or changed
//	mintkeep_feed_resets_total{reason}                      first, malformed, broken: guards that forget all their answers
//	mintkeep_feed_propagation_seconds                       from the reading of a void to the answers that carry it
//	mintkeep_feed_broken_total{reason}                      times the feed began not to answer guards
//	mintkeep_audit_not_written_total{to}                    store, copy: events that are missing in the audit log, or in its copy
//	mintkeep_ready                                          1: /readyz answers 200
//	mintkeep_store_breaker{state}                           1 for the present state: closed, checking, replaying, uncovered, quarantined
//	mintkeep_signing_key_rotation_seconds                   the age at which the active key is rotated; absent with manual rotation
//	mintkeep_certificate_expiry_timestamp_seconds           of the server's certificate; absent without TLS
//	mintkeep_clients                                        registered; this and the next four are absent while Redis does not answer
//	mintkeep_users                                          users
//	mintkeep_active_keys                                    API keys that are active
//	mintkeep_guards{state}                                  current, late: heard of within a minute, by any replica
//	mintkeep_redis_memory_used_ratio                        of the fullest primary; absent without maxmemory
//	mintkeep_build_info{version,goversion}                  always 1
//
// and the usual go_* and process_* ones.
package metrics
