package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
)

var files = []string{"values-redis.yaml", "values-sentinel.yaml", "values-cluster.yaml"}

// helm lint finds nothing, for each file.
func TestLint(t *testing.T) {
	for _, file := range files {
		for _, message := range lint.All(chartDir, values(t, file), "auth", true).Messages {
			if message.Severity >= support.WarningSev {
				t.Errorf("%s: %s", file, message)
			}
		}
	}
}

// Each switch by itself renders objects that Kubernetes knows.
func TestSwitches(t *testing.T) {
	for _, change := range []string{
		"secrets.adminToken.name=s", "secrets.adminTokenNext.name=s", "secrets.tls.name=s", "secrets.redisCA.name=s", "secrets.redisURL.key=url",
		"settings.MINTKEEP_FEED=off", "settings.MINTKEEP_METADATA_COMPAT=false", "trustedProxies={10.0.0.0/8,192.0.2.7}",
		"image.tag=0.1.0", "image.digest=sha256:" + strings.Repeat("a", 64), "image.pullPolicy=Always", "pullSecrets={registry}",
		"replicas=1", "resources.limits.cpu=1", "preStopSleepSeconds=5", "admin.enabled=true,admin.url=https://admin.internal.example",
		"service.type=LoadBalancer", "service.port=443", "service.annotations.a=b", "ingress.enabled=true", "ingress.enabled=true,ingress.className=nginx",
		"ingress.enabled=true,ingress.tlsSecret=s", "ingress.enabled=true,ingress.annotations.a=b",
		"metrics.enabled=false", "metrics.port=9999", "metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.labels.release=p",
		"networkPolicy.enabled=false", "networkPolicy.callers[0].podSelector.matchLabels.a=b", "networkPolicy.egress[0].ports[0].port=6379",
		"podDisruptionBudget.enabled=false", "podDisruptionBudget.maxUnavailable=50%",
		"extraContainers[0].name=x,extraContainers[0].image=y", "extraVolumes[0].name=x", "podAnnotations.a=b", "podLabels.a=b", "nodeSelector.a=b",
		"tolerations[0].key=a", "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key=a",
		"priorityClassName=high", "serviceAccountName=mintkeep",
	} {
		if _, err := render(values(t, "", append(slices.Clone(required), change)...)); err != nil {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// The rules of a file, as --set-file has them, are those of the PrometheusRule.
func TestRules(t *testing.T) {
	v := values(t, "values-redis.yaml", "metrics.prometheusRule.enabled=true", "metrics.prometheusRule.labels.release=p")
	v["metrics"].(map[string]any)["prometheusRule"].(map[string]any)["rules"] = `# A file of rules.
groups:
  - name: mintkeep
    rules:
      - alert: MintkeepDown
        expr: up{job="mintkeep"} == 0
        for: 2m
        labels: {severity: critical}
`
	o, err := render(v)
	if err != nil {
		t.Fatal(err)
	}
	groups := o.rule.Spec.Groups
	if len(groups) != 1 || len(groups[0].Rules) != 1 || groups[0].Rules[0].Expr != `up{job="mintkeep"} == 0` || o.rule.Labels["release"] != "p" {
		t.Errorf("got %+v", o.rule)
	}
}

// What must be given is missed with a sentence that says what to do. A secret is never generated.
func TestMissing(t *testing.T) {
	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"nothing":                   {nil, "Set issuer to the origin"},
		"no Redis":                  {required[:1], "Set secrets.redisURL.name to the Secret"},
		"no master key":             {required[:2], "Set secrets.masterKey.name to the Secret"},
		"operators without a URL":   {append(slices.Clone(required), "admin.enabled=true"), "Set admin.url"},
		"rules without a file":      {append(slices.Clone(required), "metrics.prometheusRule.enabled=true"), "Set metrics.prometheusRule.rules"},
		"a secret as a setting":     {append(slices.Clone(required), "settings.MINTKEEP_MASTER_KEY=x"), "Remove MINTKEEP_MASTER_KEY from settings"},
		"what the chart sets":       {append(slices.Clone(required), "settings.MINTKEEP_ADDR=:80"), "Remove MINTKEEP_ADDR from settings"},
		"a misspelt value":          {append(slices.Clone(required), "replica=3"), "replica"},
		"a misspelt value, inside":  {append(slices.Clone(required), "secrets.masterKey.nam=x"), "nam"},
		"a setting of another kind": {append(slices.Clone(required), "settings.TOKEN_TTL=15m"), "TOKEN_TTL"},
		"an issuer with a path":     {append(slices.Clone(required), "issuer=https://auth.example.com/x"), "issuer"},
	} {
		if _, err := render(values(t, "", c.set...)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
}

// Each container meets the restricted Pod Security Standard, and is limited and probed; no token of Kubernetes is mounted.
func TestPodsAreConfined(t *testing.T) {
	for _, file := range files {
		spec := mustRender(t, file).deployment.Spec.Template.Spec
		pod := spec.SecurityContext
		if !*pod.RunAsNonRoot || *pod.RunAsUser == 0 || pod.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: the pod has %+v", file, pod)
		}
		if *spec.AutomountServiceAccountToken || *spec.EnableServiceLinks || spec.HostNetwork {
			t.Errorf("%s: a token, service links or the network of the host", file)
		}
		if *spec.TerminationGracePeriodSeconds < 20 || len(spec.TopologySpreadConstraints) == 0 {
			t.Errorf("%s: %d s to terminate, spread %v", file, *spec.TerminationGracePeriodSeconds, spec.TopologySpreadConstraints)
		}
		for _, c := range spec.Containers {
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) != 0 {
				t.Errorf("%s: %s has %+v", file, c.Name, s)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() || c.ReadinessProbe == nil {
				t.Errorf("%s: %s has no limit, no request or no probe", file, c.Name)
			}
			for _, v := range c.Env {
				if v.ValueFrom != nil {
					t.Errorf("%s: %s comes from elsewhere, and not from a file", file, v.Name)
				}
			}
		}
		main := spec.Containers[0]
		if main.LivenessProbe.HTTPGet.Path != "/healthz" || main.ReadinessProbe.HTTPGet.Path != "/readyz" {
			t.Errorf("%s: the probes are %v and %v", file, main.LivenessProbe, main.ReadinessProbe)
		}
	}
}

// Each file that a variable names is in the volume, from the Secret that the values name.
func TestSecrets(t *testing.T) {
	for _, file := range files {
		spec := mustRender(t, file).deployment.Spec.Template.Spec
		there := map[string]bool{}
		for _, source := range spec.Volumes[0].Projected.Sources {
			for _, item := range source.Secret.Items {
				there["/run/secrets/mintkeep/"+item.Path] = true
			}
		}
		for _, v := range spec.Containers[0].Env {
			if strings.HasPrefix(v.Value, "/") && !there[v.Value] {
				t.Errorf("%s: %s is %s, which is not in the volume: %v", file, v.Name, v.Value, there)
			}
		}
	}
}

// peers are who reaches each port by the NetworkPolicy: the labels of the namespaces, or everyone.
func peers(o objects) map[string]string {
	reached := map[string]string{}
	for _, rule := range o.policy.Spec.Ingress {
		who := "everyone"
		if len(rule.From) != 0 {
			var names []string
			for _, peer := range rule.From {
				names = append(names, slices.Collect(maps.Values(peer.NamespaceSelector.MatchLabels))...)
			}
			who = strings.Join(names, " ")
		}
		for _, port := range rule.Ports {
			reached[port.Port.String()] = who
		}
	}
	return reached
}

// Metrics and what is for operators are reached by those alone whom the values name.
func TestNetworkPolicy(t *testing.T) {
	admin := []string{"admin.enabled=true", "admin.url=https://admin.internal.example"}
	for name, c := range map[string]struct {
		o    objects
		want map[string]string
	}{
		"the defaults":                {mustRender(t, "", required...), map[string]string{"http": "everyone"}},
		"operators, and none named":   {mustRender(t, "", append(admin, required...)...), map[string]string{"http": "everyone"}},
		"callers and scrapers":        {mustRender(t, "values-redis.yaml"), map[string]string{"http": "ingress-nginx", "metrics": "monitoring"}},
		"operators and scrapers":      {mustRender(t, "values-sentinel.yaml"), map[string]string{"http": "everyone", "admin": "operators", "metrics": "monitoring"}},
		"scrapers, without a metrics": {mustRender(t, "values-redis.yaml", "metrics.enabled=false"), map[string]string{"http": "ingress-nginx"}},
	} {
		if got := peers(c.o); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		if got := c.o.policy.Spec.PodSelector.MatchLabels; !subset(got, c.o.deployment.Spec.Template.Labels) {
			t.Errorf("%s: the policy is for pods with %v", name, got)
		}
	}
	if o := mustRender(t, "values-sentinel.yaml"); o.services["mintkeep"].Spec.Ports[0].TargetPort.String() != "http" || len(o.services["mintkeep"].Spec.Ports) != 1 {
		t.Errorf("the public Service leads to %v", o.services["mintkeep"].Spec.Ports)
	}
}

// What selects pods or Services selects those of this release, and each port exists.
func TestSelectors(t *testing.T) {
	for _, file := range files {
		o := mustRender(t, file, "metrics.serviceMonitor.enabled=true", "podDisruptionBudget.enabled=true")
		labels := o.deployment.Spec.Template.Labels
		ports := map[string]bool{}
		for _, port := range o.deployment.Spec.Template.Spec.Containers[0].Ports {
			ports[port.Name] = true
		}
		for name, s := range o.services {
			if !subset(s.Spec.Selector, labels) {
				t.Errorf("%s: the Service %s selects %v", file, name, s.Spec.Selector)
			}
			for _, port := range s.Spec.Ports {
				if !ports[port.TargetPort.String()] {
					t.Errorf("%s: the Service %s leads to the port %s", file, name, port.TargetPort.String())
				}
			}
		}
		if !subset(o.deployment.Spec.Selector.MatchLabels, labels) || !subset(o.budget.Spec.Selector.MatchLabels, labels) {
			t.Errorf("%s: the deployment or the disruption budget selects other pods", file)
		}
		var scraped []string
		for name, s := range o.services {
			if subset(o.monitor.Spec.Selector.MatchLabels, s.Labels) {
				scraped = append(scraped, name)
			}
		}
		if o.services["mintkeep-metrics"].Labels[o.monitor.Spec.JobLabel] != "mintkeep" {
			t.Errorf("%s: the job is the label %s", file, o.monitor.Spec.JobLabel)
		}
		if !slices.Equal(scraped, []string{"mintkeep-metrics"}) {
			t.Errorf("%s: the monitor scrapes %v", file, scraped)
		}
	}
}

// A node drain evicts no replica while too few are ready: a new process does not know what Redis has lost.
func TestEvictionWhileNotReady(t *testing.T) {
	for _, file := range files {
		spec := mustRender(t, file, "podDisruptionBudget.enabled=true").budget.Spec
		if spec.UnhealthyPodEvictionPolicy == nil || *spec.UnhealthyPodEvictionPolicy != policy.IfHealthyBudget {
			t.Errorf("%s: unhealthyPodEvictionPolicy is not IfHealthyBudget", file)
		}
	}
}

func subset(part, whole map[string]string) bool {
	for name, value := range part {
		if whole[name] != value {
			return false
		}
	}
	return len(part) > 0
}
