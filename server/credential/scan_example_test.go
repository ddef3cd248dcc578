package credential_test

import (
	"fmt"
	"hash/crc32"

	"github.com/mintkeep/mintkeep/server/credential"
)

// genuine says whether the last six characters of a credential are the checksum of the others. The function
// stands in docs/scanning.md, for those who write a scanner of their own.

func genuine(credential string) bool {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if len(credential) < 6 {
		return false
	}
	body, checksum := credential[:len(credential)-6], credential[len(credential)-6:]
	sum := crc32.ChecksumIEEE([]byte(body))
	for i := 5; i >= 0; i-- {
		if checksum[i] != digits[sum%62] {
			return false
		}
		sum /= 62
	}
	return true
}

func Example() {
	key := credential.NewKey("mk")
	fmt.Println(genuine(key), genuine(key[1:]), genuine(""))
	// Output: true false false
}
