module github.com/mintkeep/mintkeep/server/guard/e2e

go 1.24.0

require github.com/mintkeep/mintkeep/server/guard v0.0.0

require github.com/go-jose/go-jose/v4 v4.1.8 // indirect

replace github.com/mintkeep/mintkeep/server/guard => ../
