{{/* Names that distinguish the telemetry of a release from that of others. Keys of later charts may be missing: `helm upgrade --reuse-values` brings the values of that release. */}}

{{- define "route-service.serviceName" -}}
{{ default (include "route-service.fullname" .) .Values.telemetry.serviceName }}
{{- end -}}

{{- define "route-service.telemetryNamespace" -}}
{{ default .Release.Namespace .Values.namespaceOverride }}
{{- end -}}

{{/* The job of the series in Prometheus: service.namespace and service.name, as Prometheus derives it from OTLP. A monitor sets the same for its targets. */}}
{{- define "route-service.job" -}}
{{- $namespace := default (include "route-service.telemetryNamespace" .) (index (default dict .Values.telemetry.resourceAttributes) "service.namespace") -}}
{{ default (printf "%s/%s" $namespace (include "route-service.serviceName" .)) .Values.telemetry.job }}
{{- end -}}

{{/* Whether Prometheus scrapes the pods. Metrics are then not sent by OTLP, or each would count twice. */}}
{{- define "route-service.isScraped" -}}
{{- if or .Values.telemetry.prometheus (.Values.serviceMonitor).enabled (.Values.podMonitor).enabled -}}true{{- end -}}
{{- end -}}

{{- define "route-service.scrapeVariables" -}}
{{- if include "route-service.isScraped" . }}
RouteService__Management__Prometheus: "true"
{{- if .Values.telemetry.endpoint }}
OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: ""
{{- end }}
{{- end }}
{{- end -}}

{{/* The interval between samples of each series, for the panels. */}}
{{- define "route-service.sampleInterval" -}}
{{- if (.Values.serviceMonitor).enabled -}}
{{ default "60s" .Values.serviceMonitor.interval }}
{{- else if (.Values.podMonitor).enabled -}}
{{ default "60s" .Values.podMonitor.interval }}
{{- else if include "route-service.isScraped" . -}}
60s
{{- else -}}
{{ printf "%ds" (divf .Values.telemetry.metricExportIntervalMilliseconds 1000 | ceil | int | max 1) }}
{{- end -}}
{{- end -}}

{{/* The files of rules, with this release in place of "route-service" in "default": (dict "root" $ "text" …). */}}
{{- define "route-service.rulesOf" -}}
{{- $name := include "route-service.fullname" .root -}}
{{- $objectives := default dict .root.Values.prometheusRule.objectives -}}
{{- .text
  | replace "(1 - 0.99)" "(1 - LATENCY)"
  | replace "(1 - 0.999)" (printf "(1 - %v)" (default 0.999 $objectives.availability))
  | replace "(1 - LATENCY)" (printf "(1 - %v)" (default 0.99 $objectives.latency))
  | replace "job=\"route-service\"" (printf "job=\"%s\"" (include "route-service.job" $.root))
  | replace "namespace=\"default\"" (printf "namespace=\"%s\"" (include "route-service.telemetryNamespace" $.root))
  | replace "deployment=\"route-service\"" (printf "deployment=\"%s\"" $name)
  | replace "horizontalpodautoscaler=\"route-service\"" (printf "horizontalpodautoscaler=\"%s\"" $name)
  | replace "~\"route-service-" (printf "~\"%s-" $name)
  | replace "name: route-service." (printf "name: %s.%s." (include "route-service.telemetryNamespace" $.root) $name) }}
{{- end -}}

{{/* The rules of this release without those that are disabled, in the form of a PrometheusRule. */}}
{{- define "route-service.ruleGroups" -}}
{{- $labels := merge (dict "namespace" (include "route-service.telemetryNamespace" .)) (default dict .Values.prometheusRule.additionalLabels) -}}
{{- $known := list -}}
{{- $groups := list -}}
{{- range $file := list "files/rules.yaml" "files/rules-kubernetes.yaml" }}
{{- range $group := (include "route-service.rulesOf" (dict "root" $ "text" ($.Files.Get $file)) | fromYaml).groups }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- if $rule.alert }}
{{- $known = append $known $rule.alert }}
{{- $_ := set $rule "labels" (merge (dict) $labels $rule.labels) }}
{{- with $.Values.telemetry.runbookUrl }}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s#%s" (trimSuffix "#" .) (lower $rule.alert)) }}
{{- end }}
{{- end }}
{{- if not (has $rule.alert $.Values.prometheusRule.disabled) }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- if and $rules (or (eq $file "files/rules.yaml") (ne (toString $.Values.prometheusRule.kubernetes) "false")) }}
{{- $groups = append $groups (dict "name" $group.name "rules" $rules) }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.prometheusRule.disabled }}
{{- if not (has . $known) }}
{{- fail (printf "prometheusRule.disabled: there is no alert '%s'; there are %s." . (join ", " $known)) }}
{{- end }}
{{- end }}
{{- toYaml (concat $groups .Values.prometheusRule.extraGroups) }}
{{- end -}}

{{/* The dashboard of this release. Grafana identifies dashboards by their uid, and sidecars by the name of their file. */}}
{{- define "route-service.dashboard" -}}
{{- $job := include "route-service.job" . -}}
{{- $links := "\"links\": [" -}}
{{- with .Values.telemetry.runbookUrl }}
{{- $links = printf "\"links\": [\n    {\"type\": \"link\", \"title\": \"Runbooks\", \"url\": %s, \"targetBlank\": true}," (toJson .) }}
{{- end }}
{{- .Files.Get "files/dashboard.json"
  | replace "\"title\": \"RouteService\"" (printf "\"title\": \"RouteService %s\"" $job)
  | replace "\"uid\": \"route-service\"" (printf "\"uid\": \"route-service-%s\"" ($job | sha256sum | trunc 12))
  | replace "{\"text\": \"route-service\", \"value\": \"route-service\"}" (printf "{\"text\": %s, \"value\": %s}" (toJson $job) (toJson $job))
  | replace "\"interval\": \"60s\"" (printf "\"interval\": \"%s\"" (include "route-service.sampleInterval" .))
  | replace "\"links\": [" $links }}
{{- end -}}

{{/* The common part of a ServiceMonitor and a PodMonitor: (dict "root" $ "monitor" its values). */}}
{{- define "route-service.scrapeEndpoint" -}}
port: management
path: /metrics
{{- with .monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with .monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
relabelings:
  - {targetLabel: job, replacement: {{ include "route-service.job" .root | quote }}}
  - {sourceLabels: [__meta_kubernetes_pod_name], targetLabel: instance}
  {{- with .monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
