// Package schemas compares the files of docs/gateways that no test runs with the types of the projects that read them. It is a
// module of its own, so that the guard does not depend on them.
package schemas
