package faults

import "time"

// confirmed has a revocation wait for a replica.
var confirmed = []string{"MINTKEEP_REVOKE_DURABILITY=replicas:1"}

// asynchronous is why revocations may be lost without it.
const asynchronous = "ack does not wait for replicas"

// failovers are faults after which another server is the primary. What was issued and not yet replicated is lost. What
// was revoked stays revoked where a revocation waits for a replica.
var failovers = []fault{
	{
		name: "sentinel-failover", form: short, on: sentinels(), unavailable: perhaps, forgets: true, control: asynchronous,
		inject: func(s *scene) { s.watched.Failover() },
		lift:   func(s *scene) { s.watched.AwaitFailover() },
	},
	{
		name: "sentinel-primary-killed", form: short, on: sentinels(), environ: confirmed, unavailable: some, forgets: true,
		inject: func(s *scene) { s.watched.ExpectFailure(); s.watched.Primary.Kill() },
		lift:   func(s *scene) { s.watched.Replica.Promoted(); s.rejoin(); s.watched.AwaitFailover() },
	},
	{
		name: "sentinel-primary-frozen", form: long, on: sentinels(), environ: confirmed, unavailable: some, forgets: true,
		inject: func(s *scene) { s.watched.ExpectFailure(); s.watched.Primary.Freeze() },
		lift: func(s *scene) {
			s.watched.AwaitFailover()
			time.Sleep(time.Second)
			s.watched.Primary.Thaw()
			s.watched.Rejoin()
		},
	},
	{
		name: "replica-link-cut", form: short, on: sentinels(), environ: confirmed, unavailable: some, forgets: true,
		inject: func(s *scene) { s.cutLink(); s.watched.Primary.Kill() },
		lift:   func(s *scene) { s.watched.Replica.Promoted(); s.rejoin(); s.watched.AwaitFailover() },
	},
	{
		name: "replica-link-cut-ack", form: short, on: sentinels(), unavailable: some, forgets: true, control: asynchronous,
		inject: func(s *scene) { s.cutLink(); s.watched.Primary.Kill() },
		lift:   func(s *scene) { s.watched.AwaitFailover() },
	},
	{
		name: "primary-isolated", form: short, unavailable: some, during: 3 * time.Second,
		on:     sentinels("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"),
		inject: func(s *scene) { s.watched.Link.Block() },
		lift:   func(s *scene) { s.watched.Link.Restore() },
	},
	{
		name: "cluster-primary-killed", form: short, on: sixNodes(), unavailable: some, forgets: true, control: asynchronous,
		inject: func(s *scene) { s.nodes.ExpectFailure(); s.nodes.Masters[1].Kill() },
		lift:   func(s *scene) { s.nodes.Replicas[1].Promoted(); s.nodes.AwaitWell() },
	},
	{
		name: "cluster-primary-returns", form: long, on: sixNodes(), environ: confirmed, unavailable: some, forgets: true,
		inject: func(s *scene) { s.nodes.ExpectFailure(); s.nodes.Masters[1].Kill() },
		lift: func(s *scene) {
			s.nodes.Replicas[1].Promoted()
			s.nodes.Masters[1].Start()
			s.nodes.AwaitWell()
		},
	},
}

// cutLink cuts the replica off, a second before the fault of the primary, which the Sentinels are to notice.
func (s *scene) cutLink() {
	s.watched.Link.Block()
	time.Sleep(time.Second)
	s.watched.ExpectFailure()
}

// rejoin starts the old primary as a replica of the new one, as the Sentinels would: without one, no revocation can be
// confirmed.
func (s *scene) rejoin() {
	s.t.Helper()
	s.watched.Primary.Start()
	s.watched.Rejoin()
}
