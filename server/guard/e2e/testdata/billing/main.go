package main

import (
	"io"
	"log"
	"net/http"
	"os"

	"github.com/mintkeep/mintkeep/server/guard/tokens"
)

func main() {
	src, err := tokens.New(tokens.Config{
		Issuer:           "https://auth.example.com",
		ClientID:         "billing",
		ClientSecretFile: "/run/secrets/billing",
		Scope:            "read",
		Resource:         "https://orders.example.com",
	})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: src.Transport(nil)}
	resp, err := client.Get("https://orders.example.com/orders")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
}
