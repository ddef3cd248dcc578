package store

// Trials are the ACL probes of Diagnose.
var (
	Trials         = trials
	OptionalTrials = optionalTrials
	OurKeys        = ourKeys
	RuleOf         = ruleOf
)
