package store

// Trials are what Diagnose tries.
var (
	Trials         = trials
	OptionalTrials = optionalTrials
	OurKeys        = ourKeys
	RuleOf         = ruleOf
)
