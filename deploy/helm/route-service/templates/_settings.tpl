{{/* What the service is told: its environment. */}}

{{/* A section of .Values.settings as environment variables: (dict "prefix" "RouteService" "section" …), as the lines of a YAML map. */}}
{{- define "route-service.sectionVariables" -}}
{{- range $key, $value := .section }}
{{- $name := printf "%s__%s" $.prefix (title $key) }}
{{- if kindIs "map" $value }}
{{- include "route-service.sectionVariables" (dict "prefix" $name "section" $value) }}
{{- else if not (kindIs "invalid" $value) }}
{{ $name }}: {{ include "route-service.scalar" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A number as it was written: Helm reads all of them as floats, and would print 4194304 as 4.194304e+06. */}}
{{- define "route-service.scalar" -}}
{{- if kindIs "float64" . -}}{{ printf "%.0f" . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* All that is not secret, which the ConfigMap holds. */}}
{{- define "route-service.variables" -}}
RouteService__Grpc__Port: "50051"
RouteService__Management__Port: "8081"
{{- include "route-service.scrapeVariables" . }}
RouteService__Shutdown__DelaySeconds: {{ include "route-service.scalar" .Values.shutdown.delaySeconds | quote }}
RouteService__Shutdown__GraceSeconds: {{ include "route-service.scalar" .Values.shutdown.graceSeconds | quote }}
{{- if .Values.embedded.enabled }}
RouteService__Sqlite__Path: /data/route-service.db
RouteService__Sqlite__NotesPath: /data/route-service-notes.db
{{- else if eq .Values.database.migration.mode "onStart" }}
RouteService__Postgres__MigrateOnStart: "true"
{{- end }}
{{- if .Values.tls.enabled }}
RouteService__Grpc__CertificatePath: /etc/route-service/tls/tls.crt
RouteService__Grpc__CertificateKeyPath: /etc/route-service/tls/tls.key
{{- if .Values.tls.clientCa.existingSecret }}
RouteService__Grpc__ClientCaPath: /etc/route-service/client-ca/ca.crt
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if .enabled }}
RouteService__Auth__Enabled: "true"
RouteService__Auth__AnonymousHealth: {{ .anonymousHealth | quote }}
RouteService__Auth__AnonymousReflection: {{ .anonymousReflection | quote }}
{{- if or .apiKeys.existingSecret .apiKeys.lines }}
RouteService__Auth__ApiKeysPath: /etc/route-service/api-keys/api-keys
{{- end }}
{{- if .jwt.issuer }}
RouteService__Auth__Jwt__Issuer: {{ .jwt.issuer | quote }}
RouteService__Auth__Jwt__Audience: {{ .jwt.audience | quote }}
{{- if .jwt.jwks.existingConfigMap }}
RouteService__Auth__Jwt__JwksPath: /etc/route-service/jwks/jwks.json
{{- end }}
{{- if .jwt.symmetricKey.existingSecret }}
RouteService__Auth__Jwt__KeyPath: /etc/route-service/jwt-key/key
{{- end }}
{{- end }}
{{- end }}
{{- end }}
Logging__LogLevel__Default: {{ .Values.logging.level }}
{{- range $category, $level := .Values.logging.levels }}
Logging__LogLevel__{{ $category }}: {{ $level }}
{{- end }}
Logging__Console__FormatterName: {{ .Values.logging.format }}
{{- with .Values.telemetry }}
{{- if .endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ .endpoint | quote }}
OTEL_EXPORTER_OTLP_PROTOCOL: {{ .protocol }}
OTEL_SERVICE_NAME: {{ include "route-service.serviceName" $ | quote }}
OTEL_METRIC_EXPORT_INTERVAL: {{ include "route-service.scalar" .metricExportIntervalMilliseconds | quote }}
{{- with .tracesSampler }}
OTEL_TRACES_SAMPLER: {{ . | quote }}
{{- end }}
{{- with .tracesSamplerArg }}
OTEL_TRACES_SAMPLER_ARG: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- include "route-service.sectionVariables" (dict "prefix" "RouteService" "section" .Values.settings) }}
{{- end -}}

{{/* What is secret, or known only where a pod runs. */}}
{{- define "route-service.secretVariables" -}}
{{- if not .Values.embedded.enabled -}}
{{ include "route-service.connectionVariable" (dict "secret" (include "route-service.connectionSecret" . | fromYaml)) }}
{{- end }}
{{- with .Values.telemetry }}
{{- if .endpoint }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "route-service.resourceAttributes" . | quote }}
{{- if .headers.existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .headers.existingSecret }}, key: {{ .headers.key }}}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "route-service.resourceAttributes" -}}
service.instance.id=$(POD_NAME){{ if not (hasKey (default dict .resourceAttributes) "service.namespace") }},service.namespace=$(POD_NAMESPACE){{ end }},k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)
{{- range $name, $value := .resourceAttributes }},{{ $name }}={{ $value }}{{ end }}
{{- end -}}

{{/* Which Secret has the service's connection string, and under which key. */}}
{{- define "route-service.connectionSecret" -}}
{{- with .Values.database.existingSecret }}
{{- if .name }}
name: {{ .name }}
key: {{ .key }}
{{- else }}
name: {{ include "route-service.fullname" $ }}-connection
key: connectionString
{{- end }}
{{- end }}
{{- end -}}

{{/* The same for what migrates, where that is not the service itself. */}}
{{- define "route-service.migrationSecret" -}}
{{- if .Values.database.migration.existingSecret.name }}
name: {{ .Values.database.migration.existingSecret.name }}
key: {{ .Values.database.migration.existingSecret.key }}
{{- else if or .Values.database.migration.connectionString (and (eq .Values.database.migration.mode "job") .Values.database.connectionString) }}
name: {{ include "route-service.fullname" . }}-migration-connection
key: connectionString
{{- else }}
{{- include "route-service.connectionSecret" . }}
{{- end }}
{{- end -}}

{{- define "route-service.connectionVariable" -}}
- name: ConnectionStrings__RouteService
  valueFrom: {secretKeyRef: {name: {{ .secret.name }}, key: {{ .secret.key }}}}
{{- end -}}

{{/* The connection string of the Secret that the chart makes. */}}
{{- define "route-service.connectionString" -}}
{{- with .Values.postgis }}
{{- if .enabled -}}
Host={{ include "route-service.postgisName" $ }};Username={{ .username }};Password={{ .password }};Database={{ .database }}
{{- else -}}
{{ $.Values.database.connectionString }}
{{- end }}
{{- end }}
{{- end -}}
