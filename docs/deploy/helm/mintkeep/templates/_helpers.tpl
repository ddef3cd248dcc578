{{/* The name of all objects: that of the release. */}}
{{- define "mintkeep.name" -}}
{{- if eq .Release.Name "mintkeep" -}}mintkeep{{- else -}}{{ printf "%s-mintkeep" .Release.Name | trunc 52 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "mintkeep.selector" -}}
app.kubernetes.io/name: mintkeep
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mintkeep.labels" -}}
{{ include "mintkeep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What must be given: each error says what to do. A secret is never generated: a new master key would make the data useless. */}}
{{- define "mintkeep.check" -}}
{{- if not .Values.issuer -}}
{{- fail "Set issuer to the origin at which services reach Mintkeep, such as https://auth.example.com." -}}
{{- end -}}
{{- if not .Values.secrets.redisURL.name -}}
{{- fail "Set secrets.redisURL.name to the Secret that has the URL of Redis: kubectl create secret generic mintkeep --from-literal=redis-url=redis://… --from-literal=master-key=$(openssl rand -base64 32)." -}}
{{- end -}}
{{- if not .Values.secrets.masterKey.name -}}
{{- fail "Set secrets.masterKey.name to the Secret that has the master key: 32 random bytes in base64. The chart does not create one: with another key the data in Redis cannot be decrypted." -}}
{{- end -}}
{{- if and .Values.admin.enabled (not .Values.admin.url) -}}
{{- fail "Set admin.url to the origin at which operators reach Mintkeep, such as https://admin.internal.example." -}}
{{- end -}}
{{- if and .Values.metrics.prometheusRule.enabled (not .Values.metrics.prometheusRule.rules) -}}
{{- fail "Set metrics.prometheusRule.rules to the text of a file of rules for Prometheus: --set-file metrics.prometheusRule.rules=FILE." -}}
{{- end -}}
{{- range $name, $value := .Values.settings -}}
{{- if has $name (list "MINTKEEP_REDIS_URL" "MINTKEEP_MASTER_KEY" "MINTKEEP_ADMIN_TOKEN" "MINTKEEP_ADMIN_TOKEN_NEXT") -}}
{{- fail (printf "Remove %s from settings: a secret is given by reference, in secrets." $name) -}}
{{- end -}}
{{- if or (hasSuffix "_FILE" $name) (has $name (list "MINTKEEP_ADDR" "MINTKEEP_ISSUER" "MINTKEEP_METRICS_ADDR" "MINTKEEP_ADMIN_ADDR" "MINTKEEP_ADMIN_URL" "MINTKEEP_TRUSTED_PROXIES" "MINTKEEP_TLS_CERT" "MINTKEEP_TLS_KEY")) -}}
{{- fail (printf "Remove %s from settings: the chart sets it, from values of its own." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mintkeep.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The variables of a secret, and the files below /run/secrets/mintkeep. */}}
{{- define "mintkeep.secretFiles" -}}
redisURL: redis-url
masterKey: master-key
adminToken: admin-token
adminTokenNext: admin-token-next
redisCA: redis-ca.crt
{{- end -}}
