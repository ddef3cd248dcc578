package chart

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/strvals"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const chartDir = "../mintkeep"

// required are the values without which nothing is rendered, as for helm --set.
var required = []string{"issuer=https://auth.example.com", "secrets.redisURL.name=mintkeep", "secrets.masterKey.name=mintkeep"}

// objects are what a release consists of.
type objects struct {
	deployment *apps.Deployment
	services   map[string]*core.Service
	ingress    *networking.Ingress
	policy     *networking.NetworkPolicy
	budget     *policy.PodDisruptionBudget
	monitor    *serviceMonitor
	rule       *prometheusRule
}

// The custom resources of the Prometheus operator, as far as the chart uses them: another member is an error.
type (
	serviceMonitor struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
		Spec            struct {
			JobLabel  string             `json:"jobLabel"`
			Selector  meta.LabelSelector `json:"selector"`
			Endpoints []struct {
				Port     string `json:"port"`
				Interval string `json:"interval"`
			} `json:"endpoints"`
		} `json:"spec"`
	}
	prometheusRule struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
		Spec            struct {
			Groups []struct {
				Name     string `json:"name"`
				Interval string `json:"interval"`
				Rules    []struct {
					Alert       string            `json:"alert"`
					Record      string            `json:"record"`
					Expr        string            `json:"expr"`
					For         string            `json:"for"`
					Labels      map[string]string `json:"labels"`
					Annotations map[string]string `json:"annotations"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
)

// values are those of a file, if one is named, and of assignments as for helm --set.
func values(t *testing.T, file string, set ...string) map[string]any {
	t.Helper()
	all := chartutil.Values{}
	if file != "" {
		var err error
		if all, err = chartutil.ReadValuesFile("../" + file); err != nil {
			t.Fatal(err)
		}
	}
	for _, assignment := range set {
		if err := strvals.ParseInto(assignment, all); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// render is helm template.
func render(values map[string]any) (objects, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return objects{}, err
	}
	release := chartutil.ReleaseOptions{Name: "mintkeep", Namespace: "auth", IsInstall: true}
	complete, err := chartutil.ToRenderValues(chart, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return objects{}, err
	}
	files, err := engine.Render(chart, complete)
	if err != nil {
		return objects{}, err
	}
	o := objects{services: map[string]*core.Service{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for document := range strings.SplitSeq(files[name], "\n---\n") {
			if err := o.add([]byte(document)); err != nil {
				return objects{}, fmt.Errorf("%s: %w\n%s", name, err, document)
			}
		}
	}
	return o, nil
}

// add decodes an object into the type of its kind. A member that the type does not have is an error.
func (o *objects) add(document []byte) error {
	var head meta.TypeMeta
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	var into any
	switch head.GroupVersionKind().String() {
	case "/, Kind=": // nothing but comments
		return nil
	case "apps/v1, Kind=Deployment":
		o.deployment = &apps.Deployment{}
		into = o.deployment
	case "/v1, Kind=Service":
		s := &core.Service{}
		if err := yaml.UnmarshalStrict(document, s); err != nil {
			return err
		}
		o.services[s.Name] = s
		return nil
	case "networking.k8s.io/v1, Kind=Ingress":
		o.ingress = &networking.Ingress{}
		into = o.ingress
	case "networking.k8s.io/v1, Kind=NetworkPolicy":
		o.policy = &networking.NetworkPolicy{}
		into = o.policy
	case "policy/v1, Kind=PodDisruptionBudget":
		o.budget = &policy.PodDisruptionBudget{}
		into = o.budget
	case "monitoring.coreos.com/v1, Kind=ServiceMonitor":
		o.monitor = &serviceMonitor{}
		into = o.monitor
	case "monitoring.coreos.com/v1, Kind=PrometheusRule":
		o.rule = &prometheusRule{}
		into = o.rule
	default:
		return fmt.Errorf("unexpected kind %s", head.GroupVersionKind())
	}
	return yaml.UnmarshalStrict(document, into)
}

func mustRender(t *testing.T, file string, set ...string) objects {
	t.Helper()
	o, err := render(values(t, file, set...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}
