package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/mintkeep/mintkeep/server/guard"
)

func main() {
	g, err := guard.New(guard.Config{
		Issuer:       "http://localhost:8080",
		ClientID:     "orders",
		ClientSecret: os.Getenv("ORDERS_SECRET"),
		Audiences:    []string{"https://api.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/orders", g.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprintf(w, "orders of %s\n", who.Subject)
	})))
	log.Fatal(http.ListenAndServe(":9000", nil))
}
