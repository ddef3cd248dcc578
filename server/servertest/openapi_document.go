package servertest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// document is an OpenAPI document with its router. It is read-only once loaded.
type document struct {
	spec     *openapi3.T
	router   routers.Router
	notFound *openapi3.ResponseRef // components.responses.NotFound, if there is one
}

// documents holds each document that this process has seen, by the digest of its text: it is loaded once, not once a test.
var documents sync.Map // [sha256.Size]byte → func() (*document, error)

func documentOf(spec []byte) (*document, error) {
	load, _ := documents.LoadOrStore(sha256.Sum256(spec), sync.OnceValues(func() (*document, error) {
		return loadDocument(spec)
	}))
	return load.(func() (*document, error))()
}

func loadDocument(text []byte) (*document, error) {
	spec, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := spec.Validate(context.Background()); err != nil {
		return nil, err
	}
	if err := closeResponses(spec); err != nil {
		return nil, err
	}
	if err := speedUp(spec); err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(spec)
	if err != nil {
		return nil, err
	}
	d := &document{spec: spec, router: router}
	if spec.Components != nil {
		d.notFound = spec.Components.Responses["NotFound"]
	}
	return d, nil
}

// beyond are the keywords of OpenAPI 3.1 that the validator for 3.0 passes over. speedUp turns the other one, const, into enum.
var beyond = []string{
	"$defs", "contains", "contentSchema", "dependentRequired", "dependentSchemas", "else", "if", "maxContains", "minContains",
	"patternProperties", "prefixItems", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
}

// speedUp turns a validated document of OpenAPI 3.1 into one of 3.0: for 3.1 the library compiles the JSON Schema of every
// header and body again for every response, which takes some thirty times as long. It understands "type: [string, 'null']"
// in both.
func speedUp(spec *openapi3.T) error {
	err := spec.WalkSchemas(func(at string, ref *openapi3.SchemaRef) error {
		text, err := json.Marshal(ref.Value)
		if err != nil {
			return err
		}
		var keywords map[string]any
		if err := json.Unmarshal(text, &keywords); err != nil {
			return err
		}
		for _, k := range beyond {
			if _, ok := keywords[k]; ok {
				return fmt.Errorf("%s: keyword %s, which the validator for OpenAPI 3.0 passes over", at, k)
			}
		}
		if ref.Value.Const != nil {
			ref.Value.Enum, ref.Value.Const = []any{ref.Value.Const}, nil
		}
		return nil
	})
	spec.OpenAPI = "3.0.3"
	return err
}

// closeResponses allows the objects of every response the members that the document lists, and no others. Schemas joined by
// allOf cannot be closed one by one, and so must not occur.
func closeResponses(spec *openapi3.T) error {
	closed := false
	closeSchema := func(at string, ref *openapi3.SchemaRef) error {
		s := ref.Value
		if len(s.AllOf) > 0 {
			return fmt.Errorf("response schema %s%s: allOf, of which the parts cannot be closed", ref.Ref, at)
		}
		if len(s.Properties) > 0 && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
			s.AdditionalProperties.Has = &closed
		}
		return nil
	}
	for _, item := range spec.Paths.Map() {
		for _, op := range item.Operations() {
			for _, resp := range op.Responses.Map() {
				for _, media := range resp.Value.Content {
					if media.Schema == nil {
						continue
					}
					if err := media.Schema.WalkSubtree(closeSchema); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
