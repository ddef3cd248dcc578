package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/mintkeep/mintkeep/server/guard"
)

func main() {
	g, err := guard.New(guard.Config{
		Issuer:           "https://auth.example.com",
		ClientID:         "orders",
		ClientSecretFile: "/run/secrets/orders",
		Audiences:        []string{"https://orders.example.com", "https://auth.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /orders", g.Require("read")(http.HandlerFunc(list)))
	mux.Handle("POST /refunds", g.Require("refund", guard.Strict)(http.HandlerFunc(refund)))
	log.Println(http.ListenAndServe(":9000", mux))
}

func list(w http.ResponseWriter, r *http.Request) {
	who, _ := guard.From(r.Context())
	fmt.Fprintf(w, "orders of %s\n", who.Subject)
}

func refund(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
